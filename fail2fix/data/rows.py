"""Data sets in the form that verl's `RLHFDataset` reads: one parquet file per split, one prompt per row.

A row, as `verl_row` makes it::

    {"data_source": "openai/gsm8k", "prompt": [{"role": "user", "content": "..."}], "ability": "math",
     "reward_model": {"style": "rule", "ground_truth": "72"}, "extra_info": {"split": "train", "index": 0}}

Rows of public sets add to `extra_info`: `id`, `source`, `answer_in_problem`, in some `tags` (category or date), and in
correction sets `attempt` and `attempt_correct`.

Knows nothing of training; importing it loads neither pyarrow nor datasets.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fail2fix.method.errors import InputError, reading

Row = dict[str, Any]

STATED = "answer_in_problem"
"""Field of `extra_info`: whether the problem states its answer. Rows without it were not searched (`echoes`)."""


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
    from pyarrow import Table, parquet

    partial = path.with_name(f".{path.name}.{os.getpid()}")
    parquet.write_table(Table.from_pylist(list(rows), schema=schema), partial)
    partial.replace(path)


def read_parquet(path: Path, place: str, hint: str) -> list[dict[str, Any]]:
    """The rows of a parquet file. Raises `InputError`: it cannot be read; names `place`, and `hint` says what to do."""
    from pyarrow import ArrowInvalid, parquet

    if not os.path.exists(path):  # Path.exists raises some errors of the system
        raise InputError(f"{place}: no such file" + (f": {hint}" if hint else ""))
    with reading(f"{place}: not a parquet file", OSError, ArrowInvalid, hint=hint):
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows
