"""Open verl's trackers so that a resumed run continues its tracker runs, where verl would start new ones.

The ids of the tracker runs are in ``trackers.json`` in the run's folder. The services read them from the environment,
where the user's own setting takes precedence.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from tenacity import Retrying
from verl.utils.tracking import Tracking

from fail2fix.console.printable import one_line
from fail2fix.data.atomic import write_whole
from fail2fix.run.settings import fail2fix_settings
from fail2fix.verify.backoff import retry_policy

logger = logging.getLogger(__name__)

FILE = "trackers.json"
# logger -> the variables with the run's id and with the permission to continue it.
RESUMABLE = {
    "wandb": ("WANDB_RUN_ID", "WANDB_RESUME"),
    "swanlab": ("SWANLAB_RUN_ID", "SWANLAB_RESUME"),
}
MLFLOW_RUN = "MLFLOW_RUN_ID"
ID_BYTES = 11  # swanlab wants at most 21 characters of 0-9 and a-z


class PersistentTracking(Tracking):
    """verl's trackers; a service that fails is asked again for ``limit_s`` seconds (`fail2fix.verify.backoff`)."""

    def __init__(self, limit_s: float, **given: Any) -> None:
        self._limit_s = limit_s
        try:
            super().__init__(**given)
        except Exception:
            self._finished = True  # deleting this object must not finish the runs that the next try continues
            raise

    def log(self, data: Any, step: int, backend: Any = None) -> None:
        """Log to each backend, and repeat only those that fail.

        Raises:
            Exception: a backend's own, when the time is over.
        """
        for name in self.logger:
            if backend is None or name in backend:
                _retrying(self._limit_s)(super().log, data, step, backend=[name])


def _retrying(limit_s: float) -> Retrying:
    def warn(error: BaseException) -> None:
        logger.warning("a tracker does not answer, retrying: %s: %s", type(error).__name__, one_line(str(error)))

    return Retrying(**retry_policy(limit_s, on_failure=warn))


def loggers(config: DictConfig) -> list[str]:
    """The names in ``trainer.logger``, given as one or as a list."""
    return [config.trainer.logger] if isinstance(config.trainer.logger, str) else list(config.trainer.logger)


def open_trackers(config: DictConfig, folder: Path, steps: Set[float]) -> Tracking:
    """verl's trackers for this run: new ones, or those that the run had before it was resumed.

    Args:
        folder: the run's.
        steps: the steps that have a line in ``metrics.jsonl``; they are not logged again.
    """
    ids: dict[str, str] = json.loads((folder / FILE).read_text()) if (folder / FILE).exists() else {}
    for name in RESUMABLE.keys() & set(loggers(config)):
        run, resume = RESUMABLE[name]
        ids.setdefault(run, os.environ.get(run) or secrets.token_hex(ID_BYTES)[:21])
        os.environ.setdefault(resume, "allow")
    for variable, run in ids.items():
        os.environ.setdefault(variable, run)
    logged = _file_logger_lines(config, steps) if "file" in loggers(config) else b""
    limit_s = fail2fix_settings(config).verifier.retry_s
    tracking = _retrying(limit_s)(
        PersistentTracking,
        limit_s=limit_s,
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


def _file_logger_lines(config: DictConfig, steps: Set[float]) -> bytes:
    """The lines of ``steps`` in the file of verl's file logger, which empties it at every start."""
    path = file_logger_path(config, os.environ)
    if not path.exists():
        return b""
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return b"".join(line for line in lines if json.loads(line)["step"] in steps)


def file_logger_path(config: DictConfig, environment: Mapping[str, str]) -> Path:
    """The file of verl's file logger."""
    root = Path(environment.get("VERL_FILE_LOGGER_ROOT", ".")).expanduser()
    usual = root / config.trainer.project_name / f"{config.trainer.experiment_name}.jsonl"
    return Path(environment.get("VERL_FILE_LOGGER_PATH") or usual)
