"""Where the tests find rows: the real ones where they are at hand, else the committed samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fail2fix.sets import find_set
from fail2fix.sets.spec import Problem, Record

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data" / "sets"
SHARED = ROOT.parent / "shared" / "data"
NEEDS_SHARED = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"{SHARED}: the real rows are not at hand (development machines have them)"
)


def samples(name: str) -> list[dict[str, Any]]:
    """The committed sample rows of a set, in the hub's columns."""
    return [json.loads(line) for line in (SAMPLES / f"{name}.jsonl").read_text().splitlines()]


def sample_problems(name: str) -> list[Problem]:
    chosen = find_set(name)
    return [chosen.read(Record(f"{name}: sample {index}", row)) for index, row in enumerate(samples(name))]
