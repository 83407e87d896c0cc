"""Check the trackers named in ``trainer.logger``: each must be installed, and able to log in without asking.

verl opens trackers after the engines hold their GPUs: one without a key then ends the run, and MLflow is left out
silently. What a tracker's own login wrote (netrc, a config file) counts as a key. Keys are never printed, and nothing
but their length is read.
"""

from __future__ import annotations

import importlib.util
import netrc
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import get_token
from omegaconf import DictConfig

from fail2fix.method.errors import InputError, reading
from fail2fix.verl_ext.names import LOGGERS
from fail2fix.verl_ext.trackers import file_logger_path, loggers

Get = Callable[[str], str]
"""The value of an environment's variable; "" if it is not set."""
MIN_WANDB_KEY = 40

# verl's name of a tracker -> its module, where that has another name. `console` needs nothing.
MODULES = {name: name for name in LOGGERS if name != "console"}
MODULES |= {"tracking": "wandb", "vemlp_wandb": "volcengine_ml_platform", "file": "orjson"}


def _exists(folder: str, name: str = "") -> bool:
    return (Path(folder).expanduser() / name).exists()


def _wandb_is_off(get: Get) -> bool:
    return get("WANDB_MODE") in ("offline", "disabled", "dryrun")


def _in_netrc(get: Get) -> bool:
    """Whether ``wandb login`` has left a key, for the server of WANDB_BASE_URL or, without one, wandb's own."""
    known: Mapping[str, object] = {}
    with suppress(OSError, netrc.NetrcParseError):
        known = netrc.netrc(get("NETRC") or Path.home() / ".netrc").hosts
    server = urlsplit(get("WANDB_BASE_URL")).netloc
    return server in known if server else any("wandb" in host for host in known)


# A module, when its login is complete, and what to do otherwise.
LOGINS: tuple[tuple[str, Callable[[Get], object], str], ...] = (
    (
        "wandb",
        lambda get: _wandb_is_off(get) or get("WANDB_API_KEY") or get("WANDB_IDENTITY_TOKEN_FILE") or _in_netrc(get),
        "has no key: set WANDB_API_KEY, run wandb login, or set WANDB_MODE=offline",
    ),
    (
        "wandb",
        lambda get: _wandb_is_off(get) or not 0 < len(get("WANDB_API_KEY")) < MIN_WANDB_KEY,
        f"takes keys of {MIN_WANDB_KEY} characters or more, and WANDB_API_KEY has {{length}}; copy it again",
    ),
    (
        "mlflow",
        lambda get: bool(get("MLFLOW_TRACKING_USERNAME")) == bool(get("MLFLOW_TRACKING_PASSWORD")),
        "has one of MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; set both or none",
    ),
    (
        "mlflow",
        lambda get: (
            not get("MLFLOW_TRACKING_URI").startswith("databricks")
            or (get("DATABRICKS_HOST") and get("DATABRICKS_TOKEN"))
            or _exists("~/.databrickscfg")
        ),
        "has no login for MLFLOW_TRACKING_URI=databricks: set DATABRICKS_HOST and DATABRICKS_TOKEN",
    ),
    (
        "swanlab",
        lambda get: (
            get("SWANLAB_MODE") in ("local", "offline", "disabled")
            or get("SWANLAB_API_KEY")
            or _exists(get("SWANLAB_SAVE_DIR") or "~/.swanlab", ".netrc")
        ),
        "has no key: set SWANLAB_API_KEY, run swanlab login, or set SWANLAB_MODE=offline",
    ),
    (
        "clearml",
        lambda get: (
            (get("CLEARML_API_ACCESS_KEY") and get("CLEARML_API_SECRET_KEY"))
            or get("CLEARML_OFFLINE_MODE") == "1"
            or _exists(get("CLEARML_CONFIG_FILE") or "~/clearml.conf")
        ),
        "has no login: run clearml-init, or set CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY",
    ),
    (
        "volcengine_ml_platform",
        lambda get: get("VOLC_ACCESS_KEY_ID") and get("VOLC_SECRET_ACCESS_KEY") and get("MLP_TRACKING_REGION"),
        "has no login: set VOLC_ACCESS_KEY_ID, VOLC_SECRET_ACCESS_KEY and MLP_TRACKING_REGION",
    ),
    (
        "trackio",
        lambda get: not get("TRACKIO_SPACE_ID") or get("HF_TOKEN") or get_token(),
        "has no token for TRACKIO_SPACE_ID: set HF_TOKEN or run hf auth login",
    ),
    (
        "rl_insight",
        lambda get: get("VERL_RL_INSIGHT_ENABLE") == "1",
        "records nothing without VERL_RL_INSIGHT_ENABLE=1: set it",
    ),
    (
        "orjson",
        lambda get: not (path := get("VERL_FILE_LOGGER_PATH")) or Path(path).expanduser().absolute().parent.is_dir(),
        "cannot write VERL_FILE_LOGGER_PATH={path}: no such folder; make it",
    ),
)


def missing_login(module: str, environment: Mapping[str, str]) -> str:
    """What the login of a tracker's module lacks in an environment, and what to do; "" if nothing."""

    def get(name: str) -> str:
        return environment.get(name, "")

    remedy = next((remedy for other, complete, remedy in LOGINS if other == module and not complete(get)), "")
    return remedy.format(length=len(get("WANDB_API_KEY")), path=get("VERL_FILE_LOGGER_PATH"))


def check_trackers(config: DictConfig) -> list[str]:
    """Refuse a tracker that is not installed or cannot log in; warn of one whose file would be overwritten.

    Raises:
        InputError: the tracker, what it lacks, and what to do.
    """
    for name in (name for name in loggers(config) if name in MODULES):
        module = MODULES[name]
        if importlib.util.find_spec(module) is None:
            package = module.replace("_", "-")
            raise InputError(f"trainer.logger: {name} is not installed; pip install {package}, or leave it out")
        if missing := missing_login(module, os.environ):
            raise InputError(f"trainer.logger: {name} {missing}, or leave it out")
        if module == "wandb":
            _check_project(config.trainer.project_name)
    file = file_logger_path(config, os.environ)
    if "file" not in loggers(config) or not file.exists():
        return []
    return [f"trainer.logger: verl's file tracker empties {file} first; set VERL_FILE_LOGGER_PATH to a new name"]


def _check_project(name: str) -> None:
    """Ask wandb whether it takes the project's name: it refuses some characters and long names."""
    from wandb import Settings

    with reading(f"trainer.project_name={name}: wandb refuses it", Exception, hint="choose another"):
        Settings(project=name)
