"""Which run a folder of checkpoints belongs to.

``fail2fix_run.json`` names a run by a random id, which moves with the run's folder. It lies in the run's folder, in
``trainer.default_local_dir`` and in each checkpoint. A folder of checkpoints holds one run's steps only; those without
the file are a run's own inside its own folder, as the default is, and another's elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from omegaconf import DictConfig, open_dict

from fail2fix.data.atomic import write_whole
from fail2fix.method.errors import InputError

FILE = "fail2fix_run.json"
LOCK = ".lock"


@dataclass(frozen=True)
class Owner:
    """A run: its id, which alone decides, and ``<experiment>/<run>`` as it was first called."""

    id: str
    name: str = field(compare=False)


def read_owner(folder: Path) -> Owner | None:
    """The run that a folder belongs to; None if it says none."""
    try:
        return Owner(**json.loads((folder / FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_owner(folder: Path, owner: Owner) -> None:
    """Let a folder say which run it belongs to."""
    write_whole(folder / FILE, json.dumps(asdict(owner)))


def steps_in(folder: Path) -> list[int]:
    """The steps that have a folder, ascending, whoever wrote them."""
    found = (re.fullmatch(r"global_step_(\d+)", path.name) for path in folder.glob("global_step_*"))
    return sorted(int(match[1]) for match in found if match)


def is_inside(checkpoints: Path, run_folder: Path) -> bool:
    """Whether the checkpoints lie in the run's own folder."""
    return run_folder.resolve() in checkpoints.resolve().parents


def owns(run_folder: Path | None, owner: Owner, checkpoint: Path) -> bool:
    """Whether a run wrote a checkpoint's folder; ``run_folder``: the run's, where unnamed checkpoints are its own."""
    written_by = read_owner(checkpoint)
    if written_by is None:
        return run_folder is not None and is_inside(checkpoint, run_folder)
    return written_by == owner


def adopt_name(config: DictConfig) -> None:
    """A run without a name that resumes from a folder of checkpoints is the run that wrote them."""
    run, trainer = config.fail2fix.run, config.trainer
    if run.name is not None or trainer.resume_mode == "disable" or trainer.get("val_only", False):
        return
    folder = Path(trainer.default_local_dir)
    if trainer.resume_mode == "resume_path" and Path(trainer.resume_from_path).resolve().parent != folder.resolve():
        return
    owner = read_owner(folder)
    if owner is None or not steps_in(folder):
        return
    experiment, _, name = owner.name.rpartition("/")
    if experiment == trainer.experiment_name:
        with open_dict(config):
            run.name = name


def check_owner(config: DictConfig, run_folder: Path) -> Owner:
    """This run, as its folder names it, or as its checkpoints do where the folder is gone.

    Raises:
        InputError: ``trainer.default_local_dir`` holds a checkpoint of another run.
    """
    trainer, folder = config.trainer, Path(config.trainer.default_local_dir)
    name = f"{trainer.experiment_name}/{config.fail2fix.run.name}"
    owner = read_owner(run_folder)
    theirs = read_owner(folder)
    if owner is None:
        goes_on = theirs is not None and theirs.name == name and _resumes_in(config, folder)
        owner = theirs if goes_on and theirs is not None else Owner(secrets.token_hex(8), name)
    if not trainer.get("val_only", False):
        _refuse_copies(owner, name, folder, run_folder)
        _refuse_foreign_steps(folder, owner, run_folder)
    return owner


def claim(folder: Path, owner: Owner, run_folder: Path) -> IO[str]:
    """Lock a folder of checkpoints for the run in ``run_folder`` until the file is closed, and let it say so.

    On a file system without locks the name in the folder is what keeps another run out.

    Raises:
        InputError: another run has the folder, or has saved a checkpoint in it before this one had the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() == run_folder.resolve():  # its lock is the run's own
        return open(os.devnull)
    held, locked = lock(folder, "trainer.default_local_dir")
    try:
        _refuse_foreign_steps(folder, owner, run_folder)
    except InputError:
        held.close()
        raise
    there = read_owner(folder)
    if there == owner:
        return held
    if (folder / FILE).exists() and not locked:
        held.close()
        raise InputError(
            f"trainer.default_local_dir={folder}: {_of(there)} has this folder, and its file system has no locks that "
            f"would show whether it still trains; choose another folder, or delete {folder / FILE} if it has ended"
        )
    if locked:  # whoever had it has ended, and left no checkpoint
        write_owner(folder, owner)
        return held
    with contextlib.suppress(FileExistsError), (folder / FILE).open("x") as file:
        file.write(json.dumps(asdict(owner)))
    if read_owner(folder) != owner:
        held.close()
        raise InputError(f"trainer.default_local_dir={folder}: another run trains in this folder; choose another one")
    return held


def lock(folder: Path, key: str) -> tuple[IO[str], bool]:
    """A folder's lock file, and whether it is locked: some file systems have no locks.

    Raises:
        InputError: another process trains in the folder.
    """
    held = (folder / LOCK).open("a")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise InputError(
            f"{folder}: another process trains in this folder; choose another {key}, or wait until it ends"
        ) from None
    except OSError:  # a file system without locks
        return held, False
    return held, True


def _refuse_foreign_steps(folder: Path, owner: Owner, run_folder: Path) -> None:
    for step in reversed(steps_in(folder)):
        checkpoint = folder / f"global_step_{step}"
        if not owns(run_folder, owner, checkpoint):
            raise InputError(_refusal(folder, step, read_owner(checkpoint)))


def _refuse_copies(owner: Owner, name: str, folder: Path, run_folder: Path) -> None:
    """A copy of a run's folder has the run's id; outside it, both would have the same checkpoints."""
    original = run_folder.parent.parent / owner.name
    if owner.name != name and not is_inside(folder, run_folder) and read_owner(original) == owner:
        raise InputError(
            f"{run_folder} is a copy of {original}, and trainer.default_local_dir={folder} belongs to the latter; "
            f"delete {run_folder / FILE} and choose another trainer.default_local_dir"
        )


def _resumes_in(config: DictConfig, folder: Path) -> bool:
    """Whether the config asks to resume from this folder of checkpoints."""
    trainer = config.trainer
    if trainer.resume_mode == "resume_path":
        return Path(trainer.resume_from_path).resolve().parent == folder.resolve()
    return bool(trainer.resume_mode == "auto")


def _of(owner: Owner | None) -> str:
    return "another run" if owner is None else f"run {owner.name}"


def _refusal(folder: Path, step: int, other: Owner | None) -> str:
    place = f"trainer.default_local_dir={folder}: global_step_{step} in it was written by "
    elsewhere = (
        "choose another folder; to start from this checkpoint, also set a new fail2fix.run.name, "
        f"trainer.resume_mode=resume_path and trainer.resume_from_path={folder}/global_step_{step}"
    )
    if other is None:
        return f"{place}another run, or by stock verl; {elsewhere}"
    experiment, _, name = other.name.rpartition("/")
    return (
        f"{place}run {other.name}; to resume that run, set trainer.experiment_name={experiment} and "
        f"fail2fix.run.name={name} with its fail2fix.run.root and trainer.resume_mode=auto; otherwise {elsewhere}"
    )
