"""The processes a run starts: none of them outlives it. Their shared memory: `fail2fix.cluster.shared_memory`.

Linux only, like the engines. A process that lost its parent goes to the nearest *subreaper* above it, so whoever
became one before starting anything can always find all its descendants.
"""

import contextlib
import ctypes

import psutil

from fail2fix.cluster.shared_memory import held_by, remove_segments

PR_SET_CHILD_SUBREAPER = 36
END_S = 10.0


def become_subreaper() -> None:
    """Let orphans among this process's descendants become its own children."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants() -> int:
    """Kill every process below this one, and remove the shared memory they hold; how many were killed.

    Nothing is asked first: a hung process does not answer, and one that is stopped cannot. Killing may free others
    from a parent, so it goes on until none is left.
    """
    killed: set[int] = set()
    segments: set[int] = set()
    while alive := [process for process in psutil.Process().children(recursive=True) if runs(process)]:
        segments |= held_by(alive)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        killed |= {process.pid for process in alive}
        _, left = psutil.wait_procs(alive, timeout=END_S)
        if left:  # in the kernel's hands (a hung file system): nothing more can be done
            break
    remove_segments(segments)
    return len(killed)


def runs(process: psutil.Process) -> bool:
    """Whether a process is there and not only waits for its parent to take note of its end."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
