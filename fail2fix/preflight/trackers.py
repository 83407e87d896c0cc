"""Trackers named in ``trainer.logger``: is each installed, and can it log in without asking?

verl opens them after the engines hold their GPUs; one without a key then ends the run, and MLflow is left out without
a word. What a tracker's own login wrote (netrc, a config file) counts as a key. Keys are never read beyond their
length, and never printed.
"""

from __future__ import annotations

import importlib.util
import netrc
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from omegaconf import DictConfig

from fail2fix.method.errors import InputError
from fail2fix.preflight.wording import first_line
from fail2fix.verl_ext.trackers import file_logger_path

Environment = Mapping[str, str]
MIN_WANDB_KEY = 40


@dataclass(frozen=True)
class Tracker:
    """A tracker's package, and what its login lacks in an environment ("" if nothing)."""

    package: str
    lacks: Callable[[Environment], str] = lambda environment: ""


def check_trackers(config: DictConfig, environment: Environment = os.environ) -> list[str]:
    """Refuse a tracker that is not installed or cannot log in; warn of one whose file would be overwritten.

    Raises:
        InputError: the tracker, what it lacks, and what to do.
    """
    given = config.trainer.logger
    names = [given] if isinstance(given, str) else list(given)
    for name in names:
        tracker = TRACKERS.get(name)
        if tracker is None:
            continue
        if importlib.util.find_spec(tracker.package) is None:
            raise InputError(
                f"trainer.logger: {name} is not installed; pip install {PIP.get(name, name)}, or leave it out"
            )
        if missing := tracker.lacks(environment):
            raise InputError(f"trainer.logger: {name} {missing}, or leave it out")
        if tracker.package == "wandb":
            _check_project(config.trainer.project_name)
    return _file_doubts(config, environment) if "file" in names else []


def _wandb(environment: Environment) -> str:
    if environment.get("WANDB_MODE", "online") in ("offline", "disabled", "dryrun"):
        return ""
    key = environment.get("WANDB_API_KEY", "")
    if key and len(key) < MIN_WANDB_KEY:
        return f"takes keys of {MIN_WANDB_KEY} characters or more, and WANDB_API_KEY has {len(key)}; copy it again"
    if key or environment.get("WANDB_IDENTITY_TOKEN_FILE") or _in_netrc(environment):
        return ""
    return "has no key: set WANDB_API_KEY, run wandb login, or set WANDB_MODE=offline"


def _check_project(name: str) -> None:
    """Ask wandb whether it takes the project's name: it refuses some characters and long names."""
    from wandb import Settings

    try:
        Settings(project=name)
    except Exception as error:  # UsageError, or what pydantic raises
        raise InputError(
            f"trainer.project_name={name}: wandb refuses it ({first_line(error)}); choose another"
        ) from error


def _in_netrc(environment: Environment) -> bool:
    """Whether ``wandb login`` has left a key, for the server of WANDB_BASE_URL or, without one, wandb's own."""
    file = Path(environment.get("NETRC") or Path.home() / ".netrc")
    try:
        known = netrc.netrc(file).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    server = urlsplit(environment.get("WANDB_BASE_URL", "")).netloc
    return server in known if server else any("wandb" in host for host in known)


def _mlflow(environment: Environment) -> str:
    user, password = (name in environment for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"))
    if user != password:
        return "has one of MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; set both or none"
    at_databricks = environment.get("MLFLOW_TRACKING_URI", "").startswith("databricks")
    known = {"DATABRICKS_HOST", "DATABRICKS_TOKEN"} <= set(environment) or (Path.home() / ".databrickscfg").exists()
    if at_databricks and not known:
        return "has no login for MLFLOW_TRACKING_URI=databricks: set DATABRICKS_HOST and DATABRICKS_TOKEN"
    return ""


def _swanlab(environment: Environment) -> str:
    logged_in = Path(environment.get("SWANLAB_SAVE_DIR") or Path.home() / ".swanlab") / ".netrc"
    local = environment.get("SWANLAB_MODE", "cloud") in ("local", "offline", "disabled")
    if local or environment.get("SWANLAB_API_KEY") or logged_in.exists():
        return ""
    return "has no key: set SWANLAB_API_KEY, run swanlab login, or set SWANLAB_MODE=offline"


def _clearml(environment: Environment) -> str:
    keys = {"CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY"} <= set(environment)
    file = Path(environment.get("CLEARML_CONFIG_FILE") or Path.home() / "clearml.conf")
    if keys or file.exists() or environment.get("CLEARML_OFFLINE_MODE") == "1":
        return ""
    return "has no login: run clearml-init, or set CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY"


def _volcano(environment: Environment) -> str:
    wanted = ("VOLC_ACCESS_KEY_ID", "VOLC_SECRET_ACCESS_KEY", "MLP_TRACKING_REGION")
    missing = [name for name in wanted if not environment.get(name)]
    return f"has no login: set {', '.join(missing)}" if missing else ""


def _trackio(environment: Environment) -> str:
    from huggingface_hub import get_token

    if environment.get("TRACKIO_SPACE_ID") and not (environment.get("HF_TOKEN") or get_token()):
        return "has no token for TRACKIO_SPACE_ID: set HF_TOKEN or run hf auth login"
    return ""


def _insight(environment: Environment) -> str:
    on = environment.get("VERL_RL_INSIGHT_ENABLE") == "1"
    return "" if on else "records nothing without VERL_RL_INSIGHT_ENABLE=1: set it"


def _file(environment: Environment) -> str:
    path = environment.get("VERL_FILE_LOGGER_PATH")
    if path and not Path(path).expanduser().absolute().parent.is_dir():
        return f"cannot write VERL_FILE_LOGGER_PATH={path}: no such folder; make it"
    return ""


TRACKERS = {
    "wandb": Tracker("wandb", _wandb),
    "tracking": Tracker("wandb", _wandb),
    "mlflow": Tracker("mlflow", _mlflow),
    "swanlab": Tracker("swanlab", _swanlab),
    "vemlp_wandb": Tracker("volcengine_ml_platform", _volcano),
    "tensorboard": Tracker("tensorboard"),
    "clearml": Tracker("clearml", _clearml),
    "trackio": Tracker("trackio", _trackio),
    "rl_insight": Tracker("rl_insight", _insight),
    "file": Tracker("orjson", _file),
}
"""By verl's names; `console` needs nothing."""
PIP = {"tracking": "wandb", "vemlp_wandb": "volcengine-ml-platform", "rl_insight": "rl-insight", "file": "orjson"}
"""Packages whose names differ from the tracker's."""


def _file_doubts(config: DictConfig, environment: Environment) -> list[str]:
    file = file_logger_path(config, environment)
    if not file.exists():
        return []
    return [f"trainer.logger: verl's file tracker empties {file} first; set VERL_FILE_LOGGER_PATH to a new name"]
