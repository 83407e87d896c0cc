"""Memory of all processes of a sandbox together, if no control group limits it.

An rlimit holds for one process, and many processes can each use it up. So /proc is read every `LOOK_S` seconds from
outside. No program can hide from it: every process of a sandbox descends from its process 1.
"""

import contextlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
LOOK_S = 0.05


class MemoryWatch:
    """Whether process `first` and its descendants use more than `limit_bytes`; 0: no limit."""

    def __init__(self, limit_bytes: int, first: int) -> None:
        self._limit_bytes, self._first, self._due = limit_bytes, first, 0.0
        self.look_s = LOOK_S if limit_bytes else math.inf

    def is_exceeded(self) -> bool:
        """Look, unless the last look is less than `LOOK_S` seconds ago."""
        if not self._limit_bytes or time.monotonic() < self._due:
            return False
        self._due = time.monotonic() + LOOK_S
        family = list(_family(self._first))
        # Resident pages that processes share are counted once for each; the exact sum takes longer.
        return sum(map(_resident, family)) > self._limit_bytes and sum(map(_share, family)) > self._limit_bytes


def _family(first: int) -> Iterator[int]:
    """A process and its descendants; processes that end meanwhile are left out."""
    yield first
    for children in PROC.glob(f"{first}/task/*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                yield from _family(int(child))


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * PAGE_BYTES
    return 0


def _share(pid: int) -> int:
    """Bytes of a process, with shared pages divided among their users; resident bytes if that is unreadable."""
    with contextlib.suppress(OSError):
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return _resident(pid)
