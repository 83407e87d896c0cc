"""Data sets in the form that verl's `RLHFDataset` reads: one parquet file per split, one prompt per row.

A row, as `verl_row` makes it::

    {"data_source": "openai/gsm8k", "prompt": [{"role": "user", "content": "..."}], "ability": "math",
     "reward_model": {"style": "rule", "ground_truth": "72"}, "extra_info": {"split": "train", "index": 0}}

Knows nothing of training; importing it loads neither pyarrow nor datasets.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict


class Message(TypedDict):
    role: str
    content: str


class RewardModel(TypedDict):
    style: str
    ground_truth: str


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
    prompt: list[Message]
    ability: str
    reward_model: RewardModel
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
            _write_rows(path, rows)
        else:
            path.unlink(missing_ok=True)


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow
    import pyarrow.parquet

    # Renamed once complete, so that a run which starts meanwhile never reads half a file.
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), partial)
    partial.replace(path)
