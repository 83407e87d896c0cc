"""Truth sets: files of labeled answers, one JSON object per line, plain or gzipped.

A row has `gold` (a ground truth as in training data, or a list of texts that are all required), `response` (a full
solution) or `pred` (an answer, or null), and `equal`: whether the answer is right.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

from fail2fix.data.rows import read_parquet
from fail2fix.method.errors import InputError, reading
from fail2fix.verify.errors import GroundTruthError
from fail2fix.verify.gold import parse_gold

PREPARED = ".parquet"
"""Ending of a prepared set."""


@dataclass(frozen=True)
class TruthRow:
    """`id`: the row's own, or `line N`; `text`: the text to judge; `equal`: the label."""

    id: str
    gold: str
    text: str
    equal: bool


def read_truth(path: Path, boxed: bool = False) -> list[TruthRow]:
    """All rows of a truth set; `boxed`: an answer in `pred` is put in a box. Raises `InputError` with file and line."""
    with reading(f"{path}: cannot be read", OSError, EOFError, zlib.error):
        content = path.read_bytes()
        lines = (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()
    rows = [_truth_row(line, path, number, boxed) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise InputError(f"{path}: holds no row")
    return rows


def read_golds(path: Path) -> list[str]:
    """The ground truths of a prepared set. Raises `InputError` with the file."""
    rows = read_parquet(path, str(path), "give a file that `python -m fail2fix.prepare` wrote")
    found = [model.get("ground_truth") for row in rows if isinstance(model := row.get("reward_model"), dict)]
    if golds := [gold for gold in found if isinstance(gold, str)]:
        return golds
    raise InputError(f"{path}: holds no `reward_model.ground_truth`")


def _truth_row(line: bytes, path: Path, number: int, boxed: bool) -> TruthRow:
    where = f"{path}, line {number}"
    with reading(f"{where}: not JSON", ValueError):
        row = json.loads(line)
    if not isinstance(row, dict):
        raise InputError(f"{where}: not a JSON object")
    if not isinstance(row.get("equal"), bool):
        raise InputError(f"{where}: `equal` must be true or false, got {row.get('equal')!r:.60}")
    key = "response" if "response" in row else "pred"
    if isinstance(row.get("gold"), list):
        row["gold"] = ", ".join(map(str, row["gold"]))
    if key in row and row[key] is None:
        row[key] = ""
    for name in ("gold", key):
        if not isinstance(row.get(name), str):
            raise InputError(f"{where}: `{name}` must be a text, got {row.get(name)!r:.60}")
    try:
        parse_gold(row["gold"])
    except GroundTruthError as error:
        raise InputError(f"{where}: `gold` {error}") from None
    text = rf"\boxed{{{row[key]}}}" if boxed and key == "pred" else row[key]
    return TruthRow(str(row.get("id", f"line {number}")), row["gold"], text, row["equal"])
