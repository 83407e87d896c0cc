"""Lock a file for one run; the system frees the lock when the process ends.

verl 0.9.1 sends an actor's weights to its engine over sockets named /tmp/rl-colocate-zmq-<Ray job>-replica-<n>-rank-<n>
(verl/workers/rollout/vllm_rollout/vllm_rollout.py). Every Ray cluster numbers its jobs from 1, so two runs that each
start Ray on one machine use the same names: an engine may then receive the other run's weights, without an error if
their shapes agree. `hold_weight_sync` keeps two such runs apart.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from fail2fix.method.errors import InputError, reading

FOLDER = Path("/tmp")


def lock(file: IO[str], refusal: Callable[[], str]) -> bool:
    """Lock an open file until it is closed; False on a file system without locks.

    Raises:
        InputError: another process holds the lock; the file is closed.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with file:
            raise InputError(refusal()) from None
    except OSError:
        return False
    return True


def hold(path: Path, run: Path, refusal: Callable[[str], str]) -> IO[str]:
    """Lock a file that all users of this machine share, until it is closed or this process ends.

    Args:
        path: the file, created if it is missing, and never removed.
        run: the run's folder, written to the file.
        refusal: the message of the error, given the folder of the run that holds the file.

    Raises:
        InputError: another run holds the file, or it cannot be opened or locked.
    """
    file = _open(path)
    if not lock(file, lambda: refusal(file.read().strip())):
        raise InputError(f"{path}: this file system has no locks, which keep two runs apart; put it on another one")
    file.truncate(0)
    file.write(f"{run}\n")
    file.flush()
    return file


def hold_weight_sync(job: str, run: Path, folder: Path = FOLDER) -> IO[str]:
    """Hold the sockets of a Ray job (its id) on this machine, which are in ``folder``, for one run, as `hold` does.

    Raises:
        InputError: another run holds them.
    """
    sockets = folder / f"rl-colocate-zmq-{job}"
    refusal = (
        f"another run on this machine ({{}}) syncs its weights under the same names, {sockets}-*, and either could get "
        "the other's weights; wait until it ends, or start one Ray for both (ray start --head, then RAY_ADDRESS=auto)"
    )
    return hold(sockets.with_name(f"{sockets.name}.held"), run, refusal.format)


def _open(path: Path) -> IO[str]:
    """Open a file, created if missing, for every user of the machine; a link is not followed."""
    with suppress(FileExistsError):
        created = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        os.fchmod(created, 0o666)  # whatever the umask
        return os.fdopen(created, "r+", errors="replace")
    hint = "every run on this machine locks this file: let its owner remove it"
    with reading(f"{path}: cannot be opened", OSError, hint=hint):
        return os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+", errors="replace")
