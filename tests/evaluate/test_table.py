"""The table of an evaluation: only columns that say something, none of them cut off."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from fail2fix.evaluate.table import print_table

RATE = {"value": 0.612, "low": 0.55, "high": 0.671}
SOLVED: dict[str, Any] = {
    "samples": 32, "questions": 1319, "accuracy": RATE, "pass_at_k": {"32": RATE}, "statuses": {}, "not_asked": 0,
    "refused": 0, "response_tokens": {"mean": 1234.0, "cut_off": 0.1},
}  # fmt: skip
TRANSITION = {"fixed": 1, "kept": 2, "broken": 3, "still_wrong": 4}
CORRECTED = SOLVED | {"fix_rate": RATE, "break_rate": RATE, "transition": TRANSITION}


def printed(*rounds: dict[str, Any], terminal: bool, width: int = 80) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)
    print_table({"benchmarks": {"olympiadbench": {"rounds": list(rounds)}}}, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_cut_off(terminal: bool) -> None:
    text = printed(SOLVED, CORRECTED, terminal=terminal)
    assert "…" not in text
    assert "correction 1" in text
    assert "fixed 1 kept 2 broken 3 still_wrong 4" in text


def test_a_file_gets_whole_lines() -> None:
    text = printed(SOLVED, CORRECTED, terminal=False)
    assert sum("61.2 % [55.0, 67.1]" in line for line in text.splitlines()) == 2


def test_columns_without_a_value_are_left_out() -> None:
    solved, corrected = (printed(each, terminal=False) for each in (SOLVED, CORRECTED))
    assert "pass@k" in solved
    assert "fixed" not in solved
    assert "broken" in corrected
