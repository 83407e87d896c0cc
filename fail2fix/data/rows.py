"""Data sets in the form that verl's `RLHFDataset` reads: one parquet file per split, one prompt per row.

A row, as `verl_row` makes it::

    {"data_source": "openai/gsm8k", "prompt": [{"role": "user", "content": "..."}], "ability": "math",
     "reward_model": {"style": "rule", "ground_truth": "72"}, "extra_info": {"split": "train", "index": 0}}

Knows nothing of training; importing it loads neither pyarrow nor datasets.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from fail2fix.method.errors import reading


class RowPlace(TypedDict):
    split: str
    index: int


class ExtraInfo(RowPlace, total=False):
    """`id`, `source`: in rows of public sets. `tags`: category or date, in some. `attempt*`: in correction sets."""

    id: str
    source: str
    tags: dict[str, str]
    attempt: str
    attempt_correct: bool


class Row(TypedDict):
    data_source: str
    prompt: list[dict[str, str]]
    ability: str
    reward_model: dict[str, str]
    extra_info: ExtraInfo


def verl_row(data_source: str, prompt: str, answer: str, split: str, index: int, ability: str = "math") -> Row:
    """One single-turn row."""
    return {
        "data_source": data_source,
        "prompt": [{"role": "user", "content": prompt}],
        "ability": ability,
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {"split": split, "index": index},
    }


def write_splits(out: Path, train: Sequence[Row], test: Sequence[Row]) -> None:
    """Write test.parquet, then train.parquet, so that a set with a training file is complete.

    A split without rows has no file; an existing file of that split is deleted.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in (("test", test), ("train", train)):
        path = out / f"{name}.parquet"
        if rows:
            write_parquet(path, rows)
        else:
            path.unlink(missing_ok=True)


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], schema: Any = None) -> None:
    """Write a parquet file. Readers see it complete or not at all."""
    import pyarrow
    import pyarrow.parquet

    partial = path.with_name(f".{path.name}.{os.getpid()}")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema), partial)
    partial.replace(path)


def read_parquet(path: Path, place: str, hint: str) -> list[dict[str, Any]]:
    """The rows of a parquet file. Raises `InputError`: it cannot be read; names `place`, and `hint` says what to do."""
    import pyarrow
    import pyarrow.parquet

    with reading(f"{place}: not a parquet file", OSError, pyarrow.ArrowInvalid, hint=hint):
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return rows
