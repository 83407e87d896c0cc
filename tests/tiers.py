"""Which tier runs which cases of a test."""

from __future__ import annotations

from collections.abc import Container, Iterable

import pytest


def heavy_where(cases: Iterable[object], left_out: Container[object]) -> list[object]:
    """Parameters of a test, marked ``heavy`` where ``--fast`` leaves them out."""
    return [pytest.param(case, marks=pytest.mark.heavy) if case in left_out else case for case in cases]
