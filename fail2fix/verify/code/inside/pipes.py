"""Messages over pipes: a length (8 hexadecimal digits) and JSON, all ASCII. Also the end of a run.

Knows: descriptors and deadlines. Must not know: programs, tests.
"""

import json
import os
import select
import time
from typing import Any


class End(BaseException):
    """The run is over; a BaseException, so that no `except Exception` of a test swallows it.

    Reasons: "died" (the program's process ended), "timeout", "limit" (of memory, output, processor time), "stopped"
    (a test failed).
    """


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_message(descriptor: int, message: Any) -> None:
    write_all(descriptor, framed(message))


def framed(message: Any) -> bytes:
    data = json.dumps(message).encode()
    return b"%08x" % len(data) + data


def read_message(descriptor: int, deadline: float | None = None, largest: int = 1 << 30) -> Any:
    """The next message, of at most `largest` bytes, whole before `deadline` (monotonic seconds).

    Raises:
        End: "died" at the end of the stream, "timeout", "limit".
    """
    size = int(_read_exactly(descriptor, 8, deadline), 16)
    if size > largest:
        raise End("limit")
    return json.loads(_read_exactly(descriptor, size, deadline))


def readable(descriptor: int, seconds: float) -> bool:
    """Whether a descriptor has data, or has ended, within `seconds`. For any descriptor number."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def _read_exactly(descriptor: int, size: int, deadline: float | None) -> bytes:
    parts = []
    while size:
        if deadline is not None and not readable(descriptor, deadline - time.monotonic()):
            raise End("timeout")
        part = os.read(descriptor, min(size, 1 << 16))
        if not part:
            raise End("died")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def send_report(reports: int, **report: Any) -> None:
    """Send one JSON line out of the sandbox, on a descriptor that no program's process holds."""
    write_all(reports, json.dumps(report).encode() + b"\n")
