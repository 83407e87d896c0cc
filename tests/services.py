"""A local HTTP service that is down, busy or broken for a while, for tests of what asks it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STOP_LOOK_S = 0.01  # between two looks of a server whether it is told to stop; the library's own is half a second


@dataclass
class Reply:
    """A body with headers of its own, in pieces ``pause_s`` seconds apart."""

    pieces: Iterable[bytes]
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0.0


@dataclass
class Service:
    """Each POST is answered with ``answer``, or with ``status`` for ``broken_s`` seconds from the first one.

    ``answer``: JSON, or a function of the request's JSON that returns JSON, any bytes, or a ``Reply``.
    """

    port: int
    status: int = 200
    answer: Mapping[str, Any] | Callable[[Any], Mapping[str, Any] | bytes | Reply] = field(
        default_factory=lambda: {"score": 1.0}
    )
    headers: dict[str, str] = field(default_factory=dict)
    broken_s: float = 0.0
    asked: list[float] = field(default_factory=list)  # when each request came in

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def broken(self) -> bool:
        return time.monotonic() < self.asked[0] + self.broken_s


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(status: int = 200, for_s: float = 0.0, **given: Any) -> Iterator[Service]:
    """A service that answers ``status`` for ``for_s`` seconds, and then judges. ``given``: its other fields."""
    service = Service(free_port(), status, broken_s=for_s, **given)
    with _listening(service):
        yield service


@contextmanager
def down(for_s: float, **given: Any) -> Iterator[Service]:
    """A service that nobody listens for until ``for_s`` seconds have passed. ``given``: its other fields."""
    service = Service(free_port(), **given)
    ended = threading.Event()

    def start() -> None:
        time.sleep(for_s)
        with _listening(service):
            ended.wait()

    thread = threading.Thread(target=start)
    thread.start()
    try:
        yield service
    finally:
        ended.set()
        thread.join()


@contextmanager
def _listening(service: Service) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            service.asked.append(time.monotonic())
            broken = service.broken()
            given = b"{}" if broken else service.answer
            answer = given(json.loads(request)) if callable(given) else given
            if not isinstance(answer, Reply):
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                answer = Reply([body], {"Content-Length": str(len(body))})
            self.send_response(service.status if broken else 200)
            headers = {"Content-Type": "application/json"} | answer.headers | (service.headers if broken else {})
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):  # whoever asked has heard enough
                for piece in answer.pieces:
                    self.wfile.write(piece)
                    time.sleep(answer.pause_s)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256

    with Server(("127.0.0.1", service.port), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(STOP_LOOK_S,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
