"""The committed sample rows of each set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fail2fix.data.sets import find_set
from fail2fix.data.sets.spec import Problem, SourceRow

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "data" / "sets"


def samples(name: str) -> list[dict[str, Any]]:
    """The committed sample rows of a set, in the hub's columns."""
    return [json.loads(line) for line in (SAMPLES / f"{name}.jsonl").read_text().splitlines()]


def sample_problems(name: str) -> list[Problem]:
    chosen = find_set(name)
    return [chosen.read(SourceRow(f"{name}: sample {index}", row)) for index, row in enumerate(samples(name))]
