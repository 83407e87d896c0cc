"""Record and check which run a folder of checkpoints belongs to.

``fail2fix_run.json`` identifies a run by a random id, which moves with the run's folder. The file is in the run's
folder, in ``trainer.default_local_dir`` and in each checkpoint. A folder of checkpoints holds one run's steps only. A
checkpoint without the file belongs to the run whose folder it is in (the default), and elsewhere to another run.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from omegaconf import DictConfig, open_dict

from fail2fix.cluster.lock import lock as lock_file
from fail2fix.data.atomic import write_whole
from fail2fix.method.errors import InputError

FILE = "fail2fix_run.json"
LOCK = ".lock"


@dataclass(frozen=True)
class Owner:
    """A run: its id, which alone is compared, and its first name, ``<experiment>/<run>``."""

    id: str
    name: str = field(compare=False)

    @classmethod
    def new(cls, name: str) -> Owner:
        return cls(secrets.token_hex(8), name)


def read_owner(folder: Path) -> Owner | None:
    """The run that a folder belongs to; None if the folder does not say."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Owner(**json.loads((folder / FILE).read_text()))
    return None


def write_owner(folder: Path, owner: Owner) -> None:
    """Record the run that a folder belongs to."""
    write_whole(folder / FILE, json.dumps(asdict(owner)))


def steps_in(folder: Path) -> list[int]:
    """The steps that have a checkpoint folder, of any run, ascending."""
    found = (re.fullmatch(r"global_step_(\d+)", path.name) for path in folder.glob("global_step_*"))
    return sorted(int(match[1]) for match in found if match)


def is_inside(checkpoints: Path, run_folder: Path) -> bool:
    """Whether the checkpoints are in the run's own folder."""
    return run_folder.resolve() in checkpoints.resolve().parents


def owns(run_folder: Path | None, owner: Owner, checkpoint: Path) -> bool:
    """Whether a run wrote a checkpoint's folder; checkpoints without owner in ``run_folder`` are its own."""
    written_by = read_owner(checkpoint)
    if written_by is None:
        return run_folder is not None and is_inside(checkpoint, run_folder)
    return written_by == owner


def adopt_name(config: DictConfig) -> None:
    """Give an unnamed run that resumes from a folder of checkpoints the name of the run that wrote them."""
    run, trainer = config.fail2fix.run, config.trainer
    folder = Path(trainer.default_local_dir)
    if run.name is not None or trainer.get("val_only", False) or not _resumes_in(config, folder):
        return
    owner = read_owner(folder)
    if owner is None or not steps_in(folder):
        return
    experiment, _, name = owner.name.rpartition("/")
    if experiment == trainer.experiment_name:
        with open_dict(config):
            run.name = name


def check_owner(config: DictConfig, run_folder: Path) -> Owner:
    """This run's owner record: its folder's, its checkpoints' if the folder is gone, or a new one.

    Raises:
        InputError: ``trainer.default_local_dir`` holds a checkpoint of another run.
    """
    trainer, folder = config.trainer, Path(config.trainer.default_local_dir)
    name = f"{trainer.experiment_name}/{config.fail2fix.run.name}"
    owner = read_owner(run_folder)
    if owner is None:
        theirs = read_owner(folder)
        continues = theirs is not None and theirs.name == name and _resumes_in(config, folder)
        owner = theirs if theirs is not None and continues else Owner.new(name)
    if not trainer.get("val_only", False):
        _refuse_copies(owner, name, folder, run_folder)
        _refuse_foreign_steps(folder, owner, run_folder)
    return owner


def claim(config: DictConfig, owner: Owner, run_folder: Path) -> IO[str]:
    """Lock the folder of checkpoints for a run until the returned file is closed, and write the owner record.

    On a file system without locks, the record keeps other runs out. A run that only validates locks nothing.

    Raises:
        InputError: another run has the folder, or has saved a checkpoint in it before the lock was taken.
    """
    folder = Path(config.trainer.default_local_dir)
    if config.trainer.get("val_only", False) or folder.resolve() == run_folder.resolve():  # whose lock is the run's own
        return open(os.devnull)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as on_error:
        held, locked = lock(folder, "trainer.default_local_dir")
        on_error.enter_context(held)
        _refuse_foreign_steps(folder, owner, run_folder)
        if locked:  # an earlier holder has ended, and left no checkpoint
            write_owner(folder, owner)
        else:
            _claim_without_lock(folder, owner)
        on_error.pop_all()
    return held


def _claim_without_lock(folder: Path, owner: Owner) -> None:
    given, other = f"trainer.default_local_dir={folder}", read_owner(folder)
    if (folder / FILE).exists() and other != owner:
        raise InputError(
            f"{given}: {f'run {other.name}' if other else 'another run'} has this folder, and its file system has no "
            f"locks that would show whether that run still trains; choose another folder, or delete {folder / FILE} if "
            "it has ended"
        )
    with contextlib.suppress(FileExistsError), (folder / FILE).open("x") as file:
        file.write(json.dumps(asdict(owner)))
    if read_owner(folder) != owner:
        raise InputError(f"{given}: another run trains in this folder; choose another one")


def lock(folder: Path, key: str) -> tuple[IO[str], bool]:
    """A folder's lock file, and whether it is locked: some file systems have no locks.

    Raises:
        InputError: another process trains in the folder.
    """
    held = (folder / LOCK).open("a")
    refusal = f"{folder}: another process trains in this folder; choose another {key}, or wait until it ends"
    return held, lock_file(held, lambda: refusal)


def _refuse_foreign_steps(folder: Path, owner: Owner, run_folder: Path) -> None:
    for step in reversed(steps_in(folder)):
        checkpoint = folder / f"global_step_{step}"
        if not owns(run_folder, owner, checkpoint):
            raise InputError(_refusal(folder, step, read_owner(checkpoint)))


def _refuse_copies(owner: Owner, name: str, folder: Path, run_folder: Path) -> None:
    """Refuse a copy of a run's folder, which has the run's id, if both would use the same checkpoints."""
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
