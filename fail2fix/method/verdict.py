"""What counts as correct (METHOD.md, "Verdict"): one rule for single values and for arrays."""

from __future__ import annotations

from typing import Any

TOLERANCE = 1e-6  # .7 + .2 + .1 is less than 1 in floating point


def reaches(value: Any, threshold: float = 1.0) -> Any:
    """Whether a score, or each score of an array, is at least ``threshold``, up to `TOLERANCE`."""
    return value >= threshold - TOLERANCE
