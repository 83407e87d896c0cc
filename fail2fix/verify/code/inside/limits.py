"""Limits of a sandbox's processes, and how their ends are read.

Knows: rlimits, signals, wait statuses. Must not know: programs, tests.
"""

import contextlib
import ctypes
import os
import resource
import signal
import time
from typing import Any

from fail2fix.verify.code.inside.pipes import readable

DEATHS_BY_LIMIT = (signal.SIGKILL, signal.SIGXCPU, signal.SIGXFSZ)
"""Signals that end a process at a limit of memory, processor time or file size."""

PR_SET_DUMPABLE = 4


def let_others_look(allowed: bool) -> None:
    """Whether processes of the same user may read this one's memory and descriptors (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, int(allowed), 0, 0, 0)


def set_limits(limits: dict[str, Any]) -> None:
    """Limit this process and its children; `processes` is 0 if something else counts them."""
    wanted = {
        resource.RLIMIT_AS: limits["memory_bytes"],
        resource.RLIMIT_CPU: limits["cpu_s"],
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    if limits["processes"]:
        wanted[resource.RLIMIT_NPROC] = limits["processes"]
    for kind, value in wanted.items():
        set_limit(kind, value)


def set_limit(kind: int, value: int) -> None:
    """Set a limit permanently; a lower existing one stays."""
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def wait_until(child: int, deadline: float) -> int | None:
    """The child's exit code (negative: the signal that ended it); None if it still runs at `deadline`."""
    watch = os.pidfd_open(child)
    ended = readable(watch, deadline - time.monotonic())
    os.close(watch)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if ended else None


def kill_rest(child: int) -> None:
    """End and reap all processes of a program. Only process 1 may kill every process it sees."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        if os.getpid() == 1:
            os.kill(-1, signal.SIGKILL)
        else:
            os.killpg(child, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)
