"""The threshold for a correct answer (METHOD.md, "Verdict"), for single values and arrays."""

from __future__ import annotations

from typing import Any

TOLERANCE = 1e-6  # .7 + .2 + .1 is less than 1 in floating point


def reaches(value: Any, threshold: float = 1.0) -> Any:
    """Test whether a score, or each score of an array, is at least ``threshold``, up to `TOLERANCE`."""
    return value >= threshold - TOLERANCE
