"""Origin of a run: its settings, data and model, as digests that a record can hold.

Runs of one config must have the same settings, all runs the same data, and runs of one seed the same model
(`records.require_same_origin`). Files may be edited between two calls. Two seeds may start from different weights,
because a warm-up gives other last bits on another kind of CPU; the comparison then warns. Reads the ``config.yaml``
files of a run folder, one for each start.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from fail2fix.data.files import model_files, sha256
from fail2fix.method.errors import InputError

DIGITS = 16
MODEL = "model"
INPUTS = {"training data": "data.train_files", "held-out data": "data.val_files", MODEL: "actor_rollout_ref.model.path"}
# Keys that change nothing of a run but its seed, its name, when it stops, and which files it leaves where.
SEEDS = ("seed", "data_loader_seed")
NAMES = (
    "fail2fix.run",
    "fail2fix.checkpoint",
    "fail2fix.faults",
    "fail2fix.watchdog",
    "fail2fix.held_out.file",
    "fail2fix.offline.file",
    "trainer.logger",
    "trainer.project_name",
    "trainer.max_actor_ckpt_to_keep",
    "trainer.resume_mode",
    *INPUTS.values(),
)


@dataclass(frozen=True)
class Origin:
    """``settings`` {section of the config: digest}; ``inputs`` {what: digest of its contents}."""

    settings: dict[str, str]
    inputs: dict[str, str]


def origin_of(folder: Path) -> Origin:
    """The origin of the run in ``folder``, on the machine that has its data and model.

    Raises ``InputError``: no config in it, or a resumption with other settings, by section.
    """
    starts = [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("config*.yaml"))]
    if not starts:
        raise InputError(f"{folder}: no config.yaml in it")
    settings = [_settings(config, folder) for config in starts]
    for resumed in settings[1:]:
        if sections := differing(settings[0], resumed):
            raise InputError(
                f"{folder}: was resumed with other settings ({', '.join(sections)}): delete it and train again"
            )
    config = OmegaConf.create(starts[0])
    given = {name: OmegaConf.select(config, key) or [] for name, key in INPUTS.items()}
    lists = {name: [where] if isinstance(where, str) else map(str, where) for name, where in given.items()}
    return Origin(settings[0], {name: _contents(*names) for name, names in lists.items()})


def differing(mine: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """The keys under which two tables differ."""
    return sorted(key for key in mine.keys() | others.keys() if mine.get(key) != others.get(key))


def _settings(config: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """{section: digest}, wherever the run's folder and the working directory are."""
    found = {}
    for section, part in sorted(config.items()):
        text = json.dumps(_without_names(part, section))
        found[section] = _digest(text.replace(str(folder), "").replace(f"{Path.cwd()}/", ""))
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _without_names(part: Any, key: str) -> Any:
    """A part of a config, in one order of keys, without seeds, names and places."""
    if isinstance(part, dict):
        kept = {f"{key}.{name}": name for name in sorted(part) if name not in SEEDS}
        return {name: _without_names(part[name], path) for path, name in kept.items() if path not in NAMES}
    return [_without_names(item, key) for item in part] if isinstance(part, list) else part


@cache
def _contents(*names: str) -> str:
    """A digest of files or of a model's folder; of the names themselves where they are not local (a hub's)."""
    paths = [Path(name).expanduser() for name in names]
    files = [file for path in paths for file in (model_files(path) if path.is_dir() else [path])]
    if not files or not all(file.is_file() for file in files):
        return _digest(json.dumps(names))
    return sha256(files)[:DIGITS]
