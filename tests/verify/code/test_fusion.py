"""The SandboxFusion back-end against a server that speaks its protocol (client 0.3.7, `POST /run_code`)."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fail2fix.verify.code.backend import Outcome
from fail2fix.verify.code.fusion import FusionBackend
from fail2fix.verify.code.ground_truth import Limits, parse_ground_truth
from tests.services import STOP_LOOK_S
from tests.tiers import heavy_where

pytest.importorskip("sandbox_fusion", reason="the SandboxFusion client is not installed: pip install sandbox-fusion")
pytestmark = pytest.mark.usefixtures("quick_pauses")

ADD = {"kind": "calls", "entry_point": "add", "calls": [{"args": [1, 2], "expected": 3}]}
RIGHT, WRONG, SLOW = "def add(a, b): return a + b", "def add(a, b): return a - b", "while True: pass"
Reply = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]


class Service:
    """`replies` are taken in order, the last one again and again; `requests` are what came in."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.replies: list[Reply] = [run]
        self.endpoint = ""

    def answer(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.requests.append(request)
        return (self.replies.pop(0) if len(self.replies) > 1 else self.replies[0])(request)


def run(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """What the service does, unsandboxed: only ever with the programs of this file."""
    command = [sys.executable, "-I", "-c", request["code"]]
    try:
        done = subprocess.run(
            command, input=request["stdin"], capture_output=True, text=True, timeout=request["run_timeout"], check=False
        )
    except subprocess.TimeoutExpired as error:
        return reply("TimeLimitExceeded", (error.stdout or b"").decode(), None)
    return reply("Finished", done.stdout, done.returncode)


def reply(status: str, stdout: str, code: int | None) -> tuple[int, dict[str, Any]]:
    result = {"status": status, "execution_time": 0.1, "return_code": code, "stdout": stdout, "stderr": ""}
    overall = "Success" if code == 0 else "Failed"
    answer = {"status": overall, "message": "", "compile_result": None, "run_result": result, "files": {}}
    return 200, answer | {"executor_pod_name": None}


def broken(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 502, {"detail": "no upstream"}


def sandbox_error(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"status": "SandboxError", "message": "no space left", "files": {}}


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            code, body = service.answer(request) if self.path == "/run_code" else (404, {})
            text = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(STOP_LOOK_S,), daemon=True).start()
        service.endpoint = f"http://127.0.0.1:{server.server_address[1]}/"
        yield service
        server.shutdown()


def outcome(
    service: Service, program: str, ground_truth: dict[str, Any] = ADD, retry_s: float = 20.0, test_s: float = 2.0
) -> Outcome:
    backend = FusionBackend(service.endpoint, concurrency=2, limits=Limits(test_s, total_s=4), retry_s=retry_s)
    try:
        return asyncio.run(backend.run(program, parse_ground_truth(ground_truth)))
    finally:
        backend.close()


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (RIGHT, Outcome("ok", 1, 1)),
        (WRONG, Outcome("ok", 0, 1)),
        (SLOW, Outcome("timeout", 0, 1)),
        ("import os\nos._exit(0)", Outcome("ok", 0, 1)),
    ],
)
def test_verdicts_are_those_of_the_local_back_end(service: Service, program: str, expected: Outcome) -> None:
    assert outcome(service, program, test_s=0.5 if program == SLOW else 2.0) == expected


@pytest.mark.parametrize(
    "ground_truth",
    [
        {"kind": "stdio", "tests": [{"stdin": "", "stdout": "3"}]},
        {"kind": "assertions", "functions": ["add"], "tests": ["assert add(1, 2) == 3"]},
    ],
)
def test_the_other_kinds(service: Service, ground_truth: dict[str, Any]) -> None:
    assert outcome(service, f"{RIGHT}\nprint(add(1, 2))", ground_truth).correct
    assert not outcome(service, f"{WRONG}\nprint(add(1, 2))", ground_truth).correct


def test_what_is_expected_is_not_sent(service: Service) -> None:
    secret = ADD | {"calls": [{"args": [1, 2], "expected": "secret"}]}
    assert not outcome(service, RIGHT, secret).correct
    assert "secret" not in json.dumps(service.requests)
    assert service.requests[0]["language"] == "python"
    assert service.requests[0]["run_timeout"] == 4


def test_a_run_that_the_service_ended_is_a_timeout(service: Service) -> None:
    service.replies = [lambda _: reply("TimeLimitExceeded", '{"ready": 1}\n{"started": 1}\n', None)]
    assert outcome(service, RIGHT) == Outcome("timeout", 0, 1)


@pytest.mark.parametrize("failure", [broken, sandbox_error, lambda _: reply("Error", "", None)])
def test_a_service_that_breaks_is_asked_again_and_then_an_error(service: Service, failure: Reply) -> None:
    service.replies = [failure, failure, run]
    assert outcome(service, RIGHT) == Outcome("ok", 1, 1)
    service.replies = [failure]
    service.requests.clear()
    assert outcome(service, RIGHT, retry_s=0.2) == Outcome("error")
    assert len(service.requests) >= 2


@pytest.mark.parametrize("status", heavy_where([429, 503], [503]))
def test_a_busy_service_loses_no_verdict(service: Service, status: int) -> None:
    asked: list[float] = []

    def busy(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        asked.append(time.monotonic())
        return run(request) if asked[-1] > asked[0] + 0.3 else (status, {})

    service.replies = [busy]
    backend = FusionBackend(service.endpoint, concurrency=4, limits=Limits(test_s=20, total_s=40))
    tests = parse_ground_truth(ADD)

    async def all_at_once() -> list[Outcome]:
        return await asyncio.gather(*[backend.run(RIGHT, tests) for _ in range(16)])

    assert asyncio.run(all_at_once()) == [Outcome("ok", 1, 1)] * 16
    assert len(service.requests) > 16
    backend.close()


def test_a_request_that_the_service_refuses_is_not_repeated(service: Service) -> None:
    service.replies = [lambda _: (413, {})]
    assert outcome(service, RIGHT) == Outcome("error")
    assert len(service.requests) == 1


def test_a_pause_leaves_the_thread_to_others(service: Service) -> None:
    """With one thread, a program that the service cannot run holds up no other."""
    service.replies = [lambda request: broken(request) if "a - b" in request["stdin"] else run(request)]
    backend = FusionBackend(service.endpoint, concurrency=1, limits=Limits(test_s=2, total_s=4), retry_s=60)
    tests = parse_ground_truth(ADD)

    async def both() -> None:
        failing = asyncio.ensure_future(backend.run(WRONG, tests))
        while not service.requests:
            await asyncio.sleep(0.01)
        for _ in range(3):
            assert (await backend.run(RIGHT, tests)).correct
        assert not failing.done()
        service.replies = [run]
        assert await failing == Outcome("ok", 0, 1)

    asyncio.run(both())
    backend.close()


@pytest.mark.parametrize("stdout", ["", "Traceback", '{"ready": 1}\n', "[]", "[" * 100_000])
def test_nonsense_before_the_program_is_an_error(service: Service, stdout: str) -> None:
    service.replies = [lambda _: reply("Finished", stdout, 0)]
    assert outcome(service, RIGHT, retry_s=0) == Outcome("error")


def test_no_service_is_an_error(service: Service) -> None:
    service.endpoint = "http://127.0.0.1:9"
    assert outcome(service, RIGHT, retry_s=0) == Outcome("error")


def test_a_closed_one_is_refused(service: Service) -> None:
    backend = FusionBackend(service.endpoint)
    backend.close()
    backend.close()
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(backend.run(RIGHT, parse_ground_truth(ADD)))
