"""Origin of a run: its settings, data and model, as digests that a record can hold.

Runs of one config must have the same settings, all runs the same data, and runs of one seed the same model, whatever
was edited between two calls. Two seeds may start from different weights, for a warm-up gives other last bits on another
kind of CPU; the comparison then says so (`different_models`). Reads the ``config.yaml`` files of a run folder, one for
each start.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from fail2fix.data.files import model_files, sha256
from fail2fix.method.errors import InputError

DIGITS = 16
MODEL = "model"
INPUTS = {
    "training data": ("data", "train_files"),
    "held-out data": ("data", "val_files"),
    MODEL: ("actor_rollout_ref", "model", "path"),
}
# Keys that change nothing of a run but its seed, its name, when it stops, and which files it leaves where.
SEEDS = ("seed", "data_loader_seed")
NAMES = (
    ("fail2fix", "run"),
    ("fail2fix", "checkpoint"),
    ("fail2fix", "faults"),
    ("fail2fix", "watchdog"),
    ("fail2fix", "held_out", "file"),
    ("fail2fix", "offline", "file"),
    ("trainer", "logger"),
    ("trainer", "project_name"),
    ("trainer", "max_actor_ckpt_to_keep"),
    ("trainer", "resume_mode"),
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
    starts = [_read(path) for path in sorted(folder.glob("config*.yaml"))]
    if not starts:
        raise InputError(f"{folder}: no config.yaml in it")
    settings = [_settings(config, folder) for config in starts]
    for resumed in settings[1:]:
        if sections := differing(settings[0], resumed):
            raise InputError(
                f"{folder}: was resumed with other settings ({', '.join(sections)}): delete it and train again"
            )
    inputs = {name: _contents(_at(starts[0], keys)) for name, keys in INPUTS.items()}
    return Origin(settings[0], inputs)


@dataclass(frozen=True)
class Member:
    """A run of a comparison: its config, seed and origin."""

    config: str
    seed: int
    origin: Origin


def require_same(members: Mapping[str, Member]) -> None:
    """Refuse runs that a comparison cannot take together, by their names.

    Raises ``InputError``: two seeds of a config with different settings, two runs with different data, or two runs of
    one seed with different models.
    """
    way_out = "compare under another --out, or delete the older runs' records"
    for (other, first), (name, member) in combinations(members.items(), 2):
        settings = differing(first.origin.settings, member.origin.settings)
        if member.config == first.config and settings:
            raise InputError(
                f"{name} and {other}: the settings of {member.config} were changed between them "
                f"({', '.join(settings)}): {way_out}"
            )
        inputs = differing(member.origin.inputs, first.origin.inputs)
        if inputs := [what for what in inputs if what != MODEL or member.seed == first.seed]:
            raise InputError(f"{name} and {other}: not the same {', '.join(inputs)}: {way_out}")


def different_models(members: Iterable[Member]) -> str:
    """Which seeds started from which model, where they are not all the same; else empty."""
    seeds: dict[str, set[int]] = {}
    for member in members:
        seeds.setdefault(member.origin.inputs[MODEL], set()).add(member.seed)
    if len(seeds) < 2:
        return ""
    return "; ".join(f"{model}: seed {', '.join(map(str, sorted(of)))}" for model, of in seeds.items())


def differing(mine: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """The keys under which two tables differ."""
    return sorted(key for key in mine.keys() | others.keys() if mine.get(key) != others.get(key))


def _read(path: Path) -> dict[str, Any]:
    config = yaml.safe_load(path.read_text())
    if not isinstance(config, dict):
        raise InputError(f"{path}: not a config")
    return config


def _settings(config: Mapping[str, Any], folder: Path) -> dict[str, str]:
    return {
        section: hashlib.sha256(json.dumps(_without_names(part, (section,), folder)).encode()).hexdigest()[:DIGITS]
        for section, part in sorted(config.items())
    }


def _without_names(part: Any, keys: tuple[str, ...], folder: Path) -> Any:
    """A part of a config, in one order of keys, without seeds, names and places."""
    if isinstance(part, dict):
        kept = sorted(key for key in part if key not in SEEDS and (*keys, key) not in NAMES)
        return {key: _without_names(part[key], (*keys, key), folder) for key in kept}
    if isinstance(part, list):
        return [_without_names(item, keys, folder) for item in part]
    if isinstance(part, str):
        return part.replace(str(folder), "").replace(f"{Path.cwd()}/", "")
    return part


def _at(config: Any, keys: Iterable[str]) -> Any:
    for key in keys:
        config = config.get(key) if isinstance(config, dict) else None
    return config


def _contents(where: Any) -> str:
    """A digest of files or of a model's folder; of the names themselves where they are not local (a hub's)."""
    return _contents_of((where,) if isinstance(where, str) else tuple(map(str, where or [])))


@cache
def _contents_of(names: tuple[str, ...]) -> str:
    paths = [Path(name).expanduser() for name in names]
    files = [file for path in paths for file in (model_files(path) if path.is_dir() else [path])]
    if not files or not all(file.is_file() for file in files):
        return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:DIGITS]
    return sha256(files)[:DIGITS]
