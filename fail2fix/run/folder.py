"""Create or resume a run's folder: ``<root>/<experiment>/<run>/`` with config, versions, metrics, dumps, checkpoints.

A run never writes into another run's folder. A folder that holds a checkpoint is resumed, under the same name, if
``trainer.resume_mode`` allows it.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from omegaconf import DictConfig, OmegaConf, open_dict

from fail2fix.data.atomic import write_whole
from fail2fix.method.errors import InputError
from fail2fix.run.owner import adopt_name, check_owner, claim, is_inside, lock, read_owner, write_owner
from fail2fix.run.provenance import versions

CONFIG = "config.yaml"
NAME_OF_STARTS = "FAIL2FIX_RUN_NAME"  # variable with the name that all starts of an unnamed run share
FINISHED = "finished"  # an empty file: the run has completed
TRACKER = "latest_checkpointed_iteration.txt"  # verl's: names the newest complete checkpoint


def name_run(config: DictConfig) -> Path:
    """Set the run's name and absolute paths; return its folder, not yet created.

    Raises:
        InputError: the folder, or ``trainer.default_local_dir``, belongs to another run.
    """
    adopt_name(config)
    with open_dict(config):
        config.fail2fix.run.root = os.path.abspath(config.fail2fix.run.root)
        for shared in (config.fail2fix.offline, config.fail2fix.held_out):
            shared.file = shared.file and os.path.abspath(shared.file)
        parent = Path(config.fail2fix.run.root) / config.trainer.experiment_name
        if config.fail2fix.run.name is None:
            config.fail2fix.run.name = os.environ.get(NAME_OF_STARTS) or new_name()
    folder = parent / config.fail2fix.run.name
    used = folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir())
    if used and not _resumes(config, folder):
        raise InputError(
            f"fail2fix.run.name={config.fail2fix.run.name}: {folder} belongs to another run; choose another name, or "
            "resume it with trainer.resume_mode=auto if it holds a checkpoint"
        )
    check_owner(config, folder)
    return folder


def new_name() -> str:
    """The name of an unnamed run: its start time, and random digits that separate two starts in one second."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def folder_of(config: DictConfig) -> Path:
    """The run's folder; without a name, the experiment's."""
    run = config.fail2fix.run
    return Path(run.root) / config.trainer.experiment_name / (run.name or "")


def echo_folder(config: DictConfig) -> Path:
    """Folder of the echoes found for the rows of any run (`fail2fix.data.echoes`)."""
    return Path(config.fail2fix.run.root) / ".echoes"


def named_step(checkpoints: Path) -> int | None:
    """The step that verl's file names as the newest; None if the file is missing or truncated."""
    with suppress(OSError, ValueError):
        return int((checkpoints / TRACKER).read_text())
    return None


def open_run(config: DictConfig, folder: Path) -> None:
    """Create the folder with the resolved config and the versions; a resumption adds its own beside the first."""
    folder.mkdir(parents=True, exist_ok=True)
    hold(folder).close()
    owner = check_owner(config, folder)
    claim(config, owner, folder).close()
    write_owner(folder, owner)
    (folder / FINISHED).unlink(missing_ok=True)
    _write_new(folder, CONFIG, OmegaConf.to_yaml(config, resolve=True))
    _write_new(folder, "versions.json", json.dumps(versions(), indent=2) + "\n")


def hold(folder: Path) -> IO[str]:
    """Lock a run's folder until the returned file is closed or the process ends.

    Raises:
        InputError: another process trains in it.
    """
    return lock(folder, "fail2fix.run.name")[0]


def hold_checkpoints(config: DictConfig, folder: Path) -> IO[str]:
    """Lock the folder of checkpoints for the run in ``folder`` until the returned file is closed.

    Raises:
        InputError: another run trains in it.
    """
    owner = read_owner(folder)
    return claim(config, owner, folder) if owner else open(os.devnull)


class MetricsFile:
    """``metrics.jsonl``: one line a step, verl's names plus ours; opened by the trainer.

    Args:
        resumed_step: later steps will be trained again; None if nothing will be trained.
    """

    def __init__(self, folder: str | Path, resumed_step: int | None) -> None:
        self.path = Path(folder) / "metrics.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if resumed_step is not None:
            self._set_aside_after(resumed_step)
        self._written = {_step_of(line) for line in self._lines()}

    @property
    def steps(self) -> set[float]:
        """The steps that have a line."""
        return set(self._written)

    def line(self, step: int) -> dict[str, Any] | None:
        """A step's line; None if there is none."""
        return next((json.loads(line) for line in self._lines() if _step_of(line) == step), None)

    def write(self, step: int, metrics: dict[str, Any]) -> None:
        """Append a step's line, unless it has one (a resumed run validates a step again)."""
        if step in self._written:
            return
        self._written.add(step)
        line = {"step": step} | as_json(metrics)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _set_aside_after(self, step: int) -> None:
        """Move the lines of steps that a resumed run trains again to another file, so that each step has one line."""
        kept: list[str] = []
        superseded: list[str] = []
        for line in self._lines():
            (kept if _step_of(line) <= step and line.endswith("\n") else superseded).append(line)
        if not superseded:
            return
        aside = self.path.with_name(f"metrics.superseded-{time.strftime('%Y%m%d-%H%M%S')}.jsonl")
        aside.write_text("".join(superseded))
        write_whole(self.path, "".join(kept))

    def _lines(self) -> list[str]:
        return self.path.read_text().splitlines(keepends=True) if self.path.exists() else []


def _step_of(line: str) -> float:
    with suppress(ValueError, KeyError):
        return json.loads(line)["step"]
    return math.inf


def as_json(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics as JSON values; nan and infinities, which JSON lacks, become null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in as_python(metrics).items()
    }


def as_python(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics as Python's numbers, where numpy or torch gave theirs."""
    return {name: value.item() if hasattr(value, "item") else value for name, value in metrics.items()}


def _resumes(config: DictConfig, folder: Path) -> bool:
    """Whether this start resumes the run in ``folder``."""
    trainer = config.trainer
    if config.fail2fix.run.get("restart"):  # also a run that ended before its first checkpoint
        return True
    if trainer.resume_mode == "resume_path":
        path, owner = Path(trainer.resume_from_path), read_owner(folder)
        return is_inside(path, folder) or (owner is not None and owner == read_owner(path))
    if trainer.resume_mode != "auto":
        return False
    return (Path(trainer.default_local_dir) / TRACKER).exists() or _was_interrupted(config, folder)


def _was_interrupted(config: DictConfig, folder: Path) -> bool:
    """Whether a run with this very config ended before its first checkpoint; it then starts again."""
    with suppress(OSError):
        same = (folder / CONFIG).read_text() == OmegaConf.to_yaml(config, resolve=True)
        return same and not (folder / FINISHED).exists()
    return False


def _write_new(folder: Path, name: str, text: str) -> None:
    path = folder / name
    count = 1
    while path.exists():
        count += 1
        path = folder / f"{Path(name).stem}.resume-{count}{Path(name).suffix}"
    write_whole(path, text)
