"""Curves show what was measured: gaps stay gaps, long runs keep their means, and phases add up to their step."""

from pathlib import Path
from typing import Any

import pytest

from fail2fix.report.curves import (
    MAX_POINTS,
    held_out_accuracy,
    metric,
    panels,
    ratio,
    seconds_by_phase,
    seconds_picture,
    thinned,
    transition_picture,
)
from fail2fix.report.run_data import RunData, read_run
from tests.report.made_up import metrics, write_lines


def run_of(folder: Path, *rows: dict[str, Any], letter: str = "") -> RunData:
    write_lines(folder / "metrics.jsonl", rows)
    return read_run(folder, letter)


def test_steps_without_a_value_are_no_points() -> None:
    rows = [{"step": 1, "x": 0.5}, {"step": 2}, {"step": 3, "x": None}, {"step": 4, "x": 0.0}]
    x, y = thinned(rows, metric("x"))
    assert (x.tolist(), y.tolist()) == ([1, 4], [0.5, 0.0])


@pytest.mark.parametrize("steps", [1, MAX_POINTS, MAX_POINTS + 1, 10 * MAX_POINTS])
def test_a_long_curve_is_bounded_and_keeps_its_mean(steps: int) -> None:
    x, y = thinned([{"step": n, "x": n % 7} for n in range(steps)], metric("x"))
    assert len(x) == len(y) == min(steps, MAX_POINTS)
    assert sorted(x) == x.tolist()
    if steps % MAX_POINTS == 0:
        assert sum(y) / len(y) == pytest.approx(sum(n % 7 for n in range(steps)) / steps)


def test_a_share_of_nothing_is_not_measured() -> None:
    assert ratio("part", "whole")({"part": 0.0, "whole": 0.0}) is None
    assert ratio("part", "whole")({"part": 0.0, "whole": 4.0}) == 0
    assert ratio("part", "whole")({"whole": 4.0}) is None


def test_held_out_accuracy_is_the_mean_over_validation_sets() -> None:
    row = {"val-core/a/acc/mean@4": 0.5, "val-core/b/c/verdict/mean@32": 0.25, "val-core/a/acc/best@4/mean": 1.0}
    assert held_out_accuracy(row | {"val-core/d/reward/mean@4": 9.0}) == 0.375
    assert held_out_accuracy({}) is None


SERIAL = {"gen": 7.0, "gen_base": 4.0, "gen_correction": 2.5, "update_actor": 20.0, "step": 30.0, "testing": 12.0}
AT_ONCE = {"gen": 5.0, "gen_base": 4.0, "gen_correction": 4.5, "update_actor": 20.0, "step": 30.0}


@pytest.mark.parametrize("timings", [SERIAL, AT_ONCE], ids=["one after the other", "at once"])
def test_phases_add_up_to_the_step_and_its_validation(timings: dict[str, float]) -> None:
    found = seconds_by_phase({f"timing_s/{name}": value for name, value in timings.items()})
    assert sum(found.values()) == timings["step"] + timings.get("testing", 0)
    assert found["base rollouts"] + found["corrections"] == timings["gen"]


def test_only_what_was_measured_gets_a_panel(tmp_path: Path) -> None:
    row = {"step": 1, "fail2fix/base/accuracy": 0.5, "fail2fix/base/entropy": 0.1}
    run = run_of(tmp_path, row)
    assert [picture.title for picture in panels([run])] == ["Solved", "Entropy"]
    assert transition_picture(run) is None
    assert seconds_picture(run) is None


def test_runs_are_told_apart_by_letters(tmp_path: Path) -> None:
    row = {"step": 1, "fail2fix/base/accuracy": 0.5}
    [solved] = panels([run_of(tmp_path / letter, row, letter=letter) for letter in "AB"])
    assert ">A training<" in solved.svg
    assert ">B training<" in solved.svg
    assert ">training<" in panels([run_of(tmp_path, row)])[0].svg


def test_a_picture_has_the_colors_of_the_page(tmp_path: Path) -> None:
    """Ink and grid follow the page in light and dark; the transitions keep their own colors."""
    picture = transition_picture(run_of(tmp_path, metrics(1)))
    assert picture is not None
    assert "currentColor" in picture.svg
    assert "var(--line)" in picture.svg
    assert all(color in picture.svg.upper() for color in ("#2E9E4F", "#2F6FBF", "#C8342B", "#E0A92E"))
    assert not any(color in picture.svg for color in ("#000000", "#010203", "#030201"))
