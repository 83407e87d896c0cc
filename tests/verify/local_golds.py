"""Gold answers of the local copies of public sets, and of the truth sets and cases beside the repository."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.shared import DATA, SHARED, TRUTH

SETS = ("math_hendrycks", "dapo_math_17k", "deepscaler_preview", "math_eval", "gsm8k")


def golds_of(name: str) -> list[str]:
    """Different gold answers of a set's folder, or of `truth` and `cases`; the test is marked ``needs_shared``."""
    folder = {"truth": TRUTH, "cases": SHARED / "cases"}.get(name, DATA / name)
    texts = [_gold(row) for path in sorted(folder.iterdir()) for row in _rows(path)]
    return sorted({text for text in texts if text})


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".parquet":
        from pyarrow import parquet

        yield from parquet.read_table(path).to_pylist()
    elif {".json", ".jsonl"} & set(path.suffixes):
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        yield from json.loads(text) if text.lstrip().startswith("[") else map(json.loads, text.splitlines())


def _gold(row: dict[str, Any]) -> str:
    """The gold answer of a row; "" if the row is labelled wrong or has none."""
    if row.get("equal") is False:
        return ""
    case = row.get("input")
    if isinstance(case, dict):
        return case.get("gold", "") if case.get("verifier") == "math" else ""
    if model := row.get("reward_model"):
        truth = model["ground_truth"]
        return str(truth["target"] if isinstance(truth, dict) else truth)
    found = row.get("gold", row.get("answer", row.get("final_answer")))
    found = found[0] if isinstance(found, list) and len(found) == 1 else found
    return found.split("####")[-1].strip() if isinstance(found, str) else str(found or "")
