"""Reward extras: what a reward function returns beside its reward, as columns of a batch.

verl asks every row for the first row's extras, and joins batches by name. A reward function may return a field for some
rows only, so here each row brings its own extras in one column, ``ROW_EXTRAS``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from verl import DataProto

from fail2fix.verl_ext.requests import objects

ROW_EXTRAS = "reward_extra_info"  # verl's column of each row's own reward extras, a dict
Extras = dict[str, list[Any]]


def extra_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Reward extras as columns (N,), sorted by name; rows without one get NaN beside numbers, else an empty string.

    Numbers and strings become numpy arrays of their type; lists and dicts, which may differ in size, stay objects.
    """
    columns = {}
    for name in sorted({name for row in rows for name in row}):
        values = [row.get(name) for row in rows]
        missing = absent(next((value for value in values if value is not None), None))
        filled = [missing if value is None else value for value in values]
        plain = all(isinstance(value, bool | int | float | str) for value in filled)
        columns[name] = np.array(filled) if plain else objects(filled)
    return columns


def plain_values(extras: Mapping[str, Any]) -> dict[str, Any]:
    """Reward extras without numpy and torch types."""
    return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in extras.items()}


def absent(example: Any) -> Any:
    """The value of a reward extra that a row does not have, next to rows that have one like ``example``."""
    return math.nan if isinstance(example, bool | int | float | np.number) else ""


def same_reward_extras(outputs: Sequence[DataProto]) -> None:
    """Give every part every reward extra, in place.

    A reward function may return a field for some rows only, and one that failed returns none of its own.
    """
    keys = sorted({key for part in outputs for key in part.meta_info.get("reward_extra_keys", [])})
    for key in keys:
        example = next(part.non_tensor_batch[key] for part in outputs if key in part.non_tensor_batch)
        for part in outputs:
            if key not in part.non_tensor_batch:
                part.non_tensor_batch[key] = np.array([absent(example[0])] * len(part))
    for part in outputs:
        if "reward_extra_keys" in part.meta_info:
            part.meta_info["reward_extra_keys"] = keys


def extras_by_name(extras: Mapping[str, list[Any]]) -> Extras:
    """verl's rewards and reward extras as one list a name, None where a row has no such extra.

    An extra named ``reward`` gives way to verl's own.
    """
    rows: list[dict[str, Any]] | None = extras.get(ROW_EXTRAS)
    if rows is None:
        return dict(extras)
    names = sorted({name for row in rows for name in row} - {"reward"})
    return {"reward": extras["reward"]} | {name: [row.get(name) for row in rows] for name in names}
