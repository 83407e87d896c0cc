"""Names that were renamed or removed: config keys, configs, module paths and metrics, and what to use instead.

Example::

    renamed_in("Could not override 'fail2fix.streaming.patience'.")  # "fail2fix.streaming: no longer exists; ..."
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fail2fix.method.errors import InputError

RENAMED: dict[str, tuple[str, str]] = {
    # Config keys; a section stands for its keys.
    "fail2fix.schedule": (
        "fail2fix.replay.source",
        "remove schedule=serial; for schedule=lagged or streaming set fail2fix.replay.source=lagged",
    ),
    "fail2fix.streaming": (
        "",
        "remove its keys; fail2fix.replay.source=lagged generates both streams at once",
    ),
    # Configs.
    "cipo_streaming": ("cipo_lagged", "it generates both streams at once"),
    # Modules that a config or your own code may name.
    "fail2fix.core": ("fail2fix.method", "change the import"),
    "fail2fix.verl_ext.streams": ("fail2fix.verl_ext.stream", "a stream's verdicts and rewards are in its .rollouts"),
    "fail2fix.verl_ext.corrections": ("fail2fix.verl_ext.replays", "change the import"),
    "pkg://fail2fix.tasks": ("pkg://fail2fix.data.tasks", "change the path"),
    # Metrics.
    "fail2fix/conservation/": ("fail2fix/accounting/", "read the new name"),
}
METRICS = {old: new for old, (new, _) in RENAMED.items() if old.endswith("/")}


def renamed_in(message: str) -> str:
    """Describe the first old name in an error message or value, in one line; empty if it contains none."""
    for old, (new, advice) in RENAMED.items():
        if re.search(rf"(?<![\w.]){re.escape(old)}(?!\w)", message):
            return f"{old}: {f'is now {new}' if new else 'no longer exists'}; {advice}"
    return ""


def refuse_renamed_modules(config: DictConfig) -> None:
    """Refuse a module path under its old name.

    Raises:
        InputError: the key, the old path and the new one.
    """
    for key, value in texts(OmegaConf.to_container(config, resolve=False)):
        if value.startswith("pkg://") and (line := renamed_in(value)):
            raise InputError(f"{key}={value}: {line}")


def texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string below a value of plain dicts and lists, with its key, like ``data.val_files[1]``."""
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield from texts(child, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield from texts(child, f"{key}[{place}]")
    elif isinstance(value, str):
        yield key, value


def with_new_metrics(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of ``metrics.jsonl`` with today's names of its metrics."""
    return {_new_metric(name): value for name, value in row.items()}


def _new_metric(name: str) -> str:
    old = next((old for old in METRICS if name.startswith(old)), "")
    return METRICS[old] + name.removeprefix(old) if old else name
