"""Trackers that a resumed run continues, where verl would begin new ones.

Which run of a tracker this is stands in the run's folder, ``trackers.json``; the services read it from the environment,
where a user's own setting comes first.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Set
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from verl.utils.tracking import Tracking

from fail2fix.atomic import write_whole

FILE = "trackers.json"
# logger -> the variables with the run's id and with the permission to go on with it.
RESUMABLE = {
    "wandb": ("WANDB_RUN_ID", "WANDB_RESUME"),
    "swanlab": ("SWANLAB_RUN_ID", "SWANLAB_RESUME"),
}
MLFLOW_RUN = "MLFLOW_RUN_ID"
ID_BYTES = 11  # swanlab wants 21 characters of 0-9 and a-z, or fewer


def open_trackers(config: DictConfig, folder: Path, steps: Set[float]) -> Tracking:
    """verl's trackers for this run: new ones, or those that the run had before it was resumed.

    ``steps``: those that have a line in ``metrics.jsonl``; they are not logged again.
    """
    loggers = [config.trainer.logger] if isinstance(config.trainer.logger, str) else list(config.trainer.logger)
    ids = _read(folder)
    for logger in RESUMABLE.keys() & set(loggers):
        run, resume = RESUMABLE[logger]
        ids.setdefault(run, os.environ.get(run) or secrets.token_hex(ID_BYTES)[:21])
        os.environ.setdefault(run, ids[run])
        os.environ.setdefault(resume, "allow")
    if MLFLOW_RUN in ids:
        os.environ.setdefault(MLFLOW_RUN, ids[MLFLOW_RUN])
    logged = _file_logger_lines(config, steps) if "file" in loggers else b""
    tracking = Tracking(
        project_name=config.trainer.project_name,
        experiment_name=config.trainer.experiment_name,
        default_backend=config.trainer.logger,
        config=OmegaConf.to_container(config, resolve=True),
    )
    if logged:
        tracking.logger["file"].fp.write(logged)
    if "mlflow" in tracking.logger:
        import mlflow

        ids[MLFLOW_RUN] = mlflow.active_run().info.run_id
    if ids:
        write_whole(folder / FILE, json.dumps(ids, indent=1) + "\n")
    return tracking


def _read(folder: Path) -> dict[str, str]:
    path = folder / FILE
    return json.loads(path.read_text()) if path.exists() else {}


def _file_logger_lines(config: DictConfig, steps: Set[float]) -> bytes:
    """What verl's file logger, which empties its file at every start, has of ``steps``."""
    path = file_logger_path(config, os.environ)
    if not path.exists():
        return b""
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return b"".join(line for line in lines if json.loads(line)["step"] in steps)


def file_logger_path(config: DictConfig, environment: Mapping[str, str]) -> Path:
    """Where verl's file logger writes."""
    root = Path(environment.get("VERL_FILE_LOGGER_ROOT", ".")).expanduser()
    usual = root / config.trainer.project_name / f"{config.trainer.experiment_name}.jsonl"
    return Path(environment.get("VERL_FILE_LOGGER_PATH") or usual)
