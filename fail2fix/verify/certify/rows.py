"""Truth sets: files of labeled answers, one JSON object per line, plain or gzipped.

A row has `gold` (a ground truth as in training data, or a list of texts that are all required), `response` (a full
solution) or `pred` (an answer, or null), and `equal`: whether the answer is right.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fail2fix.method.errors import InputError, reading
from fail2fix.verify.errors import GroundTruthError
from fail2fix.verify.gold import parse_gold


@dataclass(frozen=True)
class TruthRow:
    """`id`: the row's own, or `line N`; `text`: the text to judge; `equal`: the label."""

    id: str
    gold: str
    text: str
    equal: bool


def truth_files(folder: Path) -> list[Path]:
    """The truth sets of a folder. Raises `InputError` if there is none."""
    found = sorted(path for path in folder.glob("*") if path.name.endswith((".jsonl", ".jsonl.gz")))
    if not found:
        raise InputError(f"{folder}: no .jsonl or .jsonl.gz file in it")
    return found


def read_truth(path: Path) -> list[TruthRow]:
    """All rows of a truth set. Raises `InputError` with file and row."""
    rows = [_truth_row(row, path, line) for line, row in read_jsonl(path)]
    if not rows:
        raise InputError(f"{path}: holds no row")
    return rows


def read_jsonl(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Line numbers from 1 and objects. Raises `InputError` with file and line."""
    with reading(f"{path}: cannot be read", OSError, EOFError, zlib.error):
        content = path.read_bytes()
        lines = (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()
    return [(number, _object(line, path, number)) for number, line in enumerate(lines, 1) if line.strip()]


def text_of(row: Mapping[str, Any], key: str, path: Path, line: int) -> str:
    """The text at `key`. Raises `InputError` if it is missing or not a text."""
    if not isinstance(row.get(key), str):
        raise InputError(f"{path}, line {line}: `{key}` must be a text, got {row.get(key)!r:.60}")
    return str(row[key])


def gold_of(row: Mapping[str, Any], path: Path, line: int) -> str:
    """The ground truth of a row. Raises `InputError` if `gold` is not one."""
    gold = text_of(row, "gold", path, line)
    try:
        parse_gold(gold)
    except GroundTruthError as error:
        raise InputError(f"{path}, line {line}: `gold` {error}") from None
    return gold


def _object(line: bytes, path: Path, number: int) -> dict[str, Any]:
    with reading(f"{path}, line {number}: not JSON", ValueError):
        row = json.loads(line)
    if not isinstance(row, dict):
        raise InputError(f"{path}, line {number}: not a JSON object")
    return row


def _truth_row(row: dict[str, Any], path: Path, line: int) -> TruthRow:
    if not isinstance(row.get("equal"), bool):
        raise InputError(f"{path}, line {line}: `equal` must be true or false, got {row.get('equal')!r:.60}")
    if isinstance(row.get("gold"), list):
        row["gold"] = ", ".join(map(str, row["gold"]))
    key = "response" if "response" in row else "pred"
    if row.get(key, "") is None:
        row[key] = ""
    text = text_of(row, key, path, line)
    return TruthRow(str(row.get("id", f"line {line}")), gold_of(row, path, line), text, row["equal"])
