"""The page in a headless Chromium: it asks for nothing, says nothing on the console, and has the elements we wrote."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from faults.attack_text import HTML

from tests.report.made_up import Page, page_of, write_run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.heavy, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]
ADDRESS = "http://report.example/"
QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
    "--disable-domain-reliability", "--virtual-time-budget=3000", "--enable-logging=stderr", "--dump-dom",
)  # fmt: skip
BROWSERS_OWN = ("google.com", "googleapis.com", "gvt1.com")  # what Chromium asks for by itself


@contextmanager
def proxy(html: str) -> Iterator[tuple[int, list[str]]]:
    """A proxy that serves the page for one address and records every other request."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == ADDRESS:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(html.encode())
                return
            self.refuse()

        def refuse(self) -> None:
            if not any(host in self.path for host in BROWSERS_OWN):
                asked.append(self.path)
            self.send_error(404)

        do_CONNECT = do_POST = do_HEAD = refuse

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, asked
    server.shutdown()
    thread.join()
    server.server_close()


def shown(html: str, profile: Path) -> tuple[str, list[str], list[str]]:
    """The page as Chromium understands it, what it asked for, and what it said on the console."""
    with proxy(html) as (port, asked):
        command = [str(CHROMIUM), *QUIET, f"--proxy-server=127.0.0.1:{port}", f"--user-data-dir={profile}", ADDRESS]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=300, env=os.environ | {"HOME": str(profile)}
        )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout, asked, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_the_test_sees_requests_and_complaints(tmp_path: Path) -> None:
    """A page without the policy asks for its picture; one with it says that it may not."""
    picture = "<!DOCTYPE html><title>x</title><body><img src='http://elsewhere.example/x.png'>"
    assert "http://elsewhere.example/x.png" in shown(picture, tmp_path / "a")[1]
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
    _, asked, said = shown(picture.replace("<title>", policy + "<title>"), tmp_path / "b")
    assert "http://elsewhere.example/x.png" not in asked
    assert said


def test_no_request_leaves_the_page_and_it_says_nothing(tmp_path: Path) -> None:
    html = page_of(*(write_run(tmp_path / "runs" / name) for name in ("one", "two")))
    dom, asked, said = shown(html, tmp_path / "profile")
    assert not [address for address in asked if not address.endswith("/favicon.ico")]
    assert said == []
    assert "Attempts and corrections" in dom


def test_chromium_builds_the_same_elements_from_hostile_texts(tmp_path: Path) -> None:
    texts = (HTML[place % len(HTML)] + f" {place}" for place in range(10_000))
    html = page_of(write_run(tmp_path / "hostile" / "run", texts=texts))
    plain = page_of(write_run(tmp_path / "plain" / "run"))
    dom, asked, said = shown(html, tmp_path / "profile")
    plain_dom, _, _ = shown(plain, tmp_path / "profile")
    assert Page(dom).elements == Page(plain_dom).elements
    assert Page(dom).quoted == Page(html).quoted
    assert not [address for address in asked if not address.endswith("/favicon.ico")]
    assert said == []
