"""End all processes that a run started. Their shared memory: `fail2fix.cluster.shared_memory`.

Linux only, like the engines. A process that loses its parent is adopted by the nearest *subreaper* above it, so a
process that becomes one before it starts others can find all its descendants.
"""

import contextlib
import ctypes

import psutil

from fail2fix.cluster.shared_memory import held_by, remove_segments

PR_SET_CHILD_SUBREAPER = 36
END_S = 10.0


def become_subreaper() -> None:
    """Adopt orphans among this process's descendants."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants() -> int:
    """Kill every process below this one, and remove the shared memory they hold; return how many were killed.

    Killed without a request first: a hung or stopped process does not answer. Killing may release others from a
    parent, so it is repeated until none is left.
    """
    killed: set[int] = set()
    segments: set[int] = set()
    while alive := [process for process in psutil.Process().children(recursive=True) if runs(process)]:
        segments |= held_by(alive)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        killed |= {process.pid for process in alive}
        if psutil.wait_procs(alive, timeout=END_S)[1]:  # blocked in the kernel, as by a hung file system
            break
    remove_segments(segments)
    return len(killed)


def runs(process: psutil.Process) -> bool:
    """Whether a process exists and is not a zombie."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False
