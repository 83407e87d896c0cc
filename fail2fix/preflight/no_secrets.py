"""Refuse secrets in a config: it is written to the run's folder, printed, and sent to trackers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fail2fix.console.secret_text import refuse_secret


def refuse_secrets(config: DictConfig) -> None:
    """Refuse the first value that holds a secret, written out or interpolated from the environment.

    Raises:
        InputError: names the key, and does not repeat the secret.
    """
    for key, text in _texts(OmegaConf.to_container(config, resolve=False)):
        refuse_secret(key, text, os.environ)
        if "${" in text:
            with suppress(OmegaConfBaseException):  # an interpolation that fails is refused by other checks
                refuse_secret(key, str(OmegaConf.select(config, key)), os.environ)


def _texts(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string of a config with its key."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _texts(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from _texts(value, f"{key}[{place}]")
    elif isinstance(node, str):
        yield key, node
