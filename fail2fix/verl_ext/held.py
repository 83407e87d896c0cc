"""A name that one run holds on this machine, by the lock of a file: the system frees it when the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Taken(Exception):
    """Another run holds the name; the message is that run's folder."""


def hold(path: Path, run: Path) -> int:
    """Hold a file as long as this process lives; a file descriptor, which frees it when closed.

    Args:
        path: the file, made if it is missing, and never removed.
        run: the run's folder, named to whoever comes second.

    Raises:
        Taken: another run holds it.
    """
    held = _open(path)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.read(held, 4096).decode(errors="replace").strip()
        os.close(held)
        raise Taken(other) from None
    if os.access(path, os.W_OK):
        path.write_text(f"{run}\n")
    return held


def _open(path: Path) -> int:
    """Open the file, made if it is not there; another user's, in a folder like /tmp, may be read only."""
    if path.exists():
        return os.open(path, os.O_RDONLY)
    return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
