"""A name that one run holds on this machine, by the lock of a file: the system frees it when the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from fail2fix.method.errors import InputError


class TakenError(Exception):
    """Another run holds the name; the message is that run's folder."""


def hold(path: Path, run: Path) -> int:
    """Hold a file as long as this process lives; a file descriptor, which frees it when closed.

    Args:
        path: the file, made if it is missing, and never removed.
        run: the run's folder, named to whoever comes second.

    Raises:
        TakenError: another run holds it.
        InputError: the file cannot be opened.
    """
    held = _open(path)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.read(held, 4096).decode(errors="replace").strip()
        os.close(held)
        raise TakenError(other) from None
    os.ftruncate(held, 0)
    os.pwrite(held, f"{run}\n".encode(), 0)
    return held


def _open(path: Path) -> int:
    """Open the file, made if it is not there, for every user of the machine; a link is not followed."""
    try:
        made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        os.fchmod(made, 0o666)  # whatever the umask
        return made
    except FileExistsError:
        pass
    try:
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror}; every run on this machine locks this file: let its owner remove it"
        ) from error
