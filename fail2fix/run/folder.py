"""What a run leaves behind: ``<root>/<experiment>/<run>/`` with config, versions, metrics, dumps, checkpoints.

A run never writes into another run's folder. A folder that holds a checkpoint is resumed, under the same name,
when ``trainer.resume_mode`` allows it.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf, open_dict

from fail2fix.data.atomic import write_whole
from fail2fix.method.errors import InputError
from fail2fix.run.owner import adopt_name, check_owner, claim, is_inside, lock, read_owner, write_owner
from fail2fix.run.versions import versions

CONFIG = "config.yaml"
NAME_OF_STARTS = "FAIL2FIX_RUN_NAME"  # the environment's: of a run without a name, whose starts share one
FINISHED = "finished"  # an empty file: the run has ended by itself
TRACKER = "latest_checkpointed_iteration.txt"  # verl's: names the newest complete checkpoint


def name_run(config: DictConfig) -> Path:
    """Give the run its name and absolute paths; return its folder, not yet created.

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
    left = [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.exists() else []
    if left and not _resumes(config, folder):
        raise InputError(
            f"fail2fix.run.name={config.fail2fix.run.name}: {folder} belongs to another run; choose another name, or "
            "resume it with trainer.resume_mode=auto if it holds a checkpoint"
        )
    check_owner(config, folder)
    return folder


def new_name() -> str:
    """A run's name where the user gives none: when it starts, and what keeps two starts in one second apart."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def folder_of(config: DictConfig) -> Path:
    """The run's own folder; without a name, the experiment's."""
    run = config.fail2fix.run
    return Path(run.root) / config.trainer.experiment_name / (run.name or "")


def open_run(config: DictConfig, folder: Path) -> None:
    """Create the folder with the resolved config and the versions; a resumed run keeps the earlier ones."""
    folder.mkdir(parents=True, exist_ok=True)
    hold(folder).close()
    owner = check_owner(config, folder)
    if not config.trainer.get("val_only", False):
        claim(Path(config.trainer.default_local_dir), owner, folder).close()
    write_owner(folder, owner)
    (folder / FINISHED).unlink(missing_ok=True)
    _write_new(folder, CONFIG, OmegaConf.to_yaml(config, resolve=True))
    _write_new(folder, "versions.json", json.dumps(versions(), indent=2) + "\n")


def hold(folder: Path) -> IO[str]:
    """A run's folder belongs to one process until it ends, or closes this file.

    Raises:
        InputError: another process trains in it.
    """
    return lock(folder, "fail2fix.run.name")[0]


def hold_checkpoints(config: DictConfig, folder: Path) -> IO[str]:
    """The folder of checkpoints belongs to the run in ``folder`` until this file is closed.

    Raises:
        InputError: another run trains in it.
    """
    checkpoints, owner = Path(config.trainer.default_local_dir), read_owner(folder)
    if owner is None or config.trainer.get("val_only", False):
        return open(os.devnull)
    return claim(checkpoints, owner, folder)


class MetricsFile:
    """``metrics.jsonl``: one line a step, verl's names plus ours; opened by the trainer.

    ``resumed_step``: later steps will be trained again; None if nothing will be trained.
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
        """A step's line; None where it has none."""
        return next((json.loads(line) for line in self._lines() if _step_of(line) == step), None)

    def write(self, step: int, metrics: dict[str, Any]) -> None:
        """Append a step's line; a step that has one keeps it (a resumed run validates a step again)."""
        if step in self._written:
            return
        self._written.add(step)
        line = {"step": step} | as_json(metrics)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _set_aside_after(self, step: int) -> None:
        """Steps that a resumed run will train again go to a file of their own, so that each step has one line."""
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
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):
        return math.inf


def as_json(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics as JSON holds them."""
    return {name: _number(value) for name, value in metrics.items()}


def _number(value: Any) -> Any:
    """A JSON number; nan and infinities, which JSON does not have, become null."""
    if isinstance(value, np.generic):
        value = value.item()
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _resumes(config: DictConfig, folder: Path) -> bool:
    """Whether this start goes on with the run in ``folder``, rather than with another run's checkpoint in it."""
    trainer = config.trainer
    if config.fail2fix.run.get("restart"):  # the run itself, which may have ended before its first checkpoint
        return True
    if trainer.resume_mode == "resume_path":
        path, owner = Path(trainer.resume_from_path), read_owner(folder)
        return is_inside(path, folder) or (owner is not None and owner == read_owner(path))
    if trainer.resume_mode != "auto":
        return False
    return (Path(trainer.default_local_dir) / TRACKER).exists() or _was_cut_short(config, folder)


def _was_cut_short(config: DictConfig, folder: Path) -> bool:
    """Whether the folder is what this very run left before its first checkpoint; it then begins again."""
    try:
        same = (folder / CONFIG).read_text() == OmegaConf.to_yaml(config, resolve=True)
    except OSError:
        return False
    return same and not (folder / FINISHED).exists()


def _write_new(folder: Path, name: str, text: str) -> None:
    path = folder / name
    count = 1
    while path.exists():
        count += 1
        path = folder / f"{Path(name).stem}.resume-{count}{Path(name).suffix}"
    write_whole(path, text)
