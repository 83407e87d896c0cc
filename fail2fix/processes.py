"""The processes a run starts: none of them outlives it, and none leaves its shared memory behind.

Linux only, like the engines. A process that lost its parent goes to the nearest *subreaper* above it, so whoever
became one before starting anything can always find all its descendants.
"""

import contextlib
import ctypes
import re
from collections.abc import Set
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36
END_S = 10.0
# vLLM's ring buffers; the kernel does not remove them with the processes.
SEGMENT = re.compile(r"/dev/shm/psm_\w+")


def become_subreaper() -> None:
    """Let orphans among this process's descendants become its own children."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def shared_segments() -> set[Path]:
    """The shared memory that processes below this one hold: what to remove when they are gone."""
    found: set[Path] = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(OSError):
            maps = Path(f"/proc/{process.pid}/maps").read_text()
            found |= {Path(name) for name in SEGMENT.findall(maps)}
    return found


def end_descendants(segments: Set[Path] = frozenset()) -> int:
    """Kill every process below this one, and remove the shared memory they hold; how many were killed.

    Nothing is asked first: a hung process does not answer, and one that is stopped cannot. Killing may free others
    from a parent, so it goes on until none is left.

    Args:
        segments: shared memory to remove beside theirs.
    """
    killed: set[int] = set()
    found = set(segments)
    while alive := [process for process in psutil.Process().children(recursive=True) if runs(process)]:
        found |= shared_segments()
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        killed |= {process.pid for process in alive}
        _, left = psutil.wait_procs(alive, timeout=END_S)
        if left:  # in the kernel's hands (a hung file system): nothing more can be done
            break
    for segment in found:
        segment.unlink(missing_ok=True)
    return len(killed)


def runs(process: psutil.Process) -> bool:
    """Whether a process is there and not only waits for its parent to take note of its end."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
