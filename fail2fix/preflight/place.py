"""Check where a run starts and leaves its files, and its device."""

from __future__ import annotations

import os
import re
from pathlib import Path

from omegaconf import DictConfig

from fail2fix.method.errors import InputError
from fail2fix.run.checkpoints import STATE, UNFINISHED, Checkpoints
from fail2fix.run.folder import folder_of


def check_place(config: DictConfig) -> None:
    """Refuse a run folder below a file, a missing checkpoint, and a device other than the platform's.

    Raises:
        InputError: the key, its value, and what to do.
    """
    _check_run_root(config)
    _check_resume(config)
    _check_best(config)
    _check_device(config)


def _check_run_root(config: DictConfig) -> None:
    folder = folder_of(config).absolute()
    for part in (folder, *folder.parents):
        if part.exists() and not part.is_dir():
            raise InputError(
                f"fail2fix.run.root={config.fail2fix.run.root}: {part} is a file, not a folder; choose another place"
            )


def _check_resume(config: DictConfig) -> None:
    restarts = config.fail2fix.run.restart and Checkpoints.of(config).complete()
    if config.trainer.resume_mode != "resume_path" or restarts:
        return
    path = config.trainer.resume_from_path
    given = f"trainer.resume_from_path={'null' if path is None else path}"
    if path is None or not re.search(r"(^|/)global_step_\d+$", path):
        raise InputError(f"{given}: trainer.resume_mode=resume_path needs a checkpoint folder like .../global_step_50")
    if not os.path.isdir(path):
        raise InputError(f"{given}: no such folder; name a checkpoint, or set trainer.resume_mode=auto")
    if (Path(path) / UNFINISHED).exists() and not (Path(path) / STATE).exists():
        raise InputError(f"{given}: its run was killed while writing it; name an earlier one")


def _check_best(config: DictConfig) -> None:
    """A best checkpoint needs checkpoints, and their validations."""
    name = config.fail2fix.checkpoint.best_metric
    for key in ("test_freq", "save_freq"):
        if name is not None and config.trainer[key] <= 0:
            raise InputError(
                f"fail2fix.checkpoint.best_metric={name} with trainer.{key}={config.trainer[key]}: no checkpoint is "
                "validated; set test_freq and save_freq above 0, one a multiple of the other"
            )


def _check_device(config: DictConfig) -> None:
    platform = os.environ.get("VERL_PLATFORM")
    if (config.trainer.device == "cpu") != (platform == "cpu"):
        raise InputError(
            f"trainer.device={config.trainer.device} but VERL_PLATFORM={platform}: a CPU run needs both "
            "VERL_PLATFORM=cpu in the environment and device=cpu in the config; a GPU run neither"
        )
