"""Add "did you mean" suggestions to Hydra's errors of unknown keys and configs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf

UNKNOWN_KEY = re.compile(r"Could not override '([^']+)'\.")
UNKNOWN_CONFIG = re.compile(r"Cannot find primary config '([^']+)'")
SEARCH_PATH = re.compile(r"\s*(?:Check that it's in your config search path\.\s*)?Config search path:.*", re.DOTALL)
CONFIG_OPTIONS = ("--config-name", "-cn")


def explained(message: str, words: Sequence[str], folder: Path, default: str) -> str:
    """Replace the search path in Hydra's message by the nearest existing key, or by all configs.

    Args:
        words: of the command line.
        folder: of the configs.
        default: the config of a command line without one.
    """
    message = SEARCH_PATH.sub("", message)
    if match := UNKNOWN_CONFIG.search(message):
        return f"{message.rstrip('.')}; there are {', '.join(sorted(path.stem for path in folder.glob('*.yaml')))}"
    if match := UNKNOWN_KEY.search(message):
        key = match[1]
        near = _nearest(key, _keys(folder, config_name(words, default)))
        meant = f"; did you mean {near}?" if near else ""
        # Our section accepts no other keys.
        new = "" if key.startswith("fail2fix.") else f"; a key that no config lists needs a plus: +{key}=..."
        return f"{message}{meant}{new}"
    return message


def config_name(words: Sequence[str], default: str) -> str:
    """The config that a command line names, or the default."""
    for word, value in pairwise([*words, ""]):
        option, equals, attached = word.partition("=")
        if option in CONFIG_OPTIONS:
            return attached if equals else value
    return default


def _keys(folder: Path, config: str) -> list[str]:
    GlobalHydra.instance().clear()
    with suppress(HydraException), initialize_config_dir(str(folder), version_base="1.3"):
        return list(_paths(dict(OmegaConf.to_container(compose(config)))))
    return []  # a config from a folder of the user's: nothing to suggest


def _paths(section: dict[Any, Any], prefix: str = "") -> Iterator[str]:
    """Every key, with its parents."""
    for key, child in section.items():
        yield f"{prefix}{key}"
        if isinstance(child, dict):
            yield from _paths(child, f"{prefix}{key}.")


def _nearest(key: str, keys: Sequence[str]) -> str:
    """The most similar key: by its whole path, else by its last name alone."""
    if near := difflib.get_close_matches(key, keys, n=1, cutoff=0.8):
        return near[0]
    last = key.rpartition(".")[2]
    same = [other for other in keys if other.rpartition(".")[2] == last]
    return min(same, key=len) if same else ""
