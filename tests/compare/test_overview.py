"""One picture of several comparisons: what it reads, how it is drawn, and what it refuses."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes

from fail2fix.compare import overview
from fail2fix.compare.overview import differences, main

SHIPPED = Path(__file__).resolve().parents[2] / "data" / "results" / "organism_latin"


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    return json.loads((SHIPPED / "comparison.json").read_text())


def comparison(folder: Path, contents: object) -> Path:
    folder.mkdir()
    (folder / "comparison.json").write_text(json.dumps(contents))
    return folder


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(word) for word in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_each_line_is_a_difference_to_the_comparisons_own_reference(shipped: dict[str, Any]) -> None:
    (line,) = differences(SHIPPED, ["another", "cipo"])
    (expected,) = (
        each["last"] for each in shipped["differences"] if (each["config"], each["reference"]) == ("cipo", "grpo_bs256")
    )
    seeds = len(shipped["configs"][0]["seeds"])
    assert (line.comparison, line.reference, line.config) == (f"organism_latin, {seeds} seeds", "grpo_bs256", "cipo")
    assert {name: asdict(estimate) for name, estimate in line.measures.items()} == {
        name: expected[name] | {"seeds": tuple(expected[name]["seeds"])} for name in overview.MEASURES
    }


def test_right_is_better_in_every_panel_and_what_was_not_measured_is_blank(
    shipped: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config made better by a point in every measure is drawn at one point to the right in each of the panels."""
    better = copy.deepcopy(shipped)
    interval = {"value": 0.01, "low": 0.0, "high": 0.02}
    for each in better["differences"]:
        for measure, estimate in each["last"].items():
            sign = -1 if measure == "break_rate" else 1
            bounds = sorted((sign * interval["low"], sign * interval["high"]))
            estimate["over_problems"] = estimate["over_problems_and_seeds"] = {
                "value": sign * interval["value"],
                "low": bounds[0],
                "high": bounds[1],
            }
        del each["last"]["revised"]
    drawn: list[tuple[Axes, list[float]]] = []
    plot = Axes.plot

    def noted(panel: Axes, x: list[float], *rest: object, **options: object) -> object:
        drawn.append((panel, sorted(x)))
        return plot(panel, x, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Axes, "plot", noted)
    folder = comparison(tmp_path / "better", better)
    assert main([str(folder), "--configs", "cipo", "--out", str(tmp_path / "picture.png")]) == 0
    assert len({id(panel) for panel, _ in drawn}) == len(overview.MEASURES) - 1
    assert {tuple(x) for _, x in drawn} == {(0.01,), (0.0, 0.02)}
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def damaged(*keys: object, value: object) -> Any:
    """The shipped comparison with another value in the place that ``keys`` name."""

    def damage(shipped: dict[str, Any]) -> dict[str, Any]:
        place: Any = (found := copy.deepcopy(shipped))
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        return found

    return damage


LAST = ("differences", 0, "last")


@pytest.mark.parametrize(
    "damage",
    [
        damaged(*LAST, value=None),
        damaged(*LAST, "revised", value="text"),
        damaged(*LAST, "revised", "over_problems", value=None),
        damaged(*LAST, "revised", "over_problems", "high", value=None),
        damaged(*LAST, "revised", "over_problems", "value", value="many"),
        damaged(*LAST, "revised", "seeds", 0, value={}),
        damaged("reference", value=[]),
        damaged("configs", value=[]),
    ],
)
def test_damaged_comparisons_are_refused_by_name(
    damage: Any, shipped: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = comparison(tmp_path / "damaged", damage(shipped))
    line = refused(capsys, folder, "--configs", "cipo", "--out", tmp_path / "picture.png")
    assert str(folder / "comparison.json") in line


@pytest.mark.parametrize("name", ["missing/picture.png", "picture.jpg", "picture", "x" * 300 + ".png", "a\0.png", "."])
def test_places_that_cannot_take_the_picture_are_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--out" in refused(capsys, SHIPPED, "--configs", "cipo", "--out", tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_names_are_drawn_as_they_are_and_once(tmp_path: Path, shipped: dict[str, Any]) -> None:
    named = json.loads(json.dumps(shipped).replace('"cipo"', '"a$_{$"'))
    folder = comparison(tmp_path / "b$\\frac{$", named)
    given = [str(folder), str(folder), "--configs", "a$_{$", "a$_{$", "--out", str(tmp_path / "picture.png")]
    assert main(given) == 0


@pytest.mark.parametrize("contents", [None, [], {}, {"differences": [{}], "reference": "grpo", "configs": []}])
def test_other_files_are_refused_by_name(contents: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = comparison(tmp_path / "other", contents) if contents is not None else tmp_path / "nothing"
    line = refused(capsys, folder, "--configs", "cipo", "--out", tmp_path / "picture.png")
    assert str(folder / "comparison.json") in line
    assert "make it with fail2fix.compare" in line


def test_a_comparison_of_other_configs_and_two_references_are_refused(
    shipped: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = "--out", tmp_path / "picture.png"
    assert "none of dapo with grpo_bs256" in refused(capsys, SHIPPED, "--configs", "dapo", *out)
    assert "--configs dapo: in none" in refused(capsys, SHIPPED, "--configs", "cipo", "dapo", *out)
    other = json.loads(json.dumps(shipped).replace("grpo_bs256", "rloo"))
    line = refused(capsys, SHIPPED, comparison(tmp_path / "other", other), "--configs", "cipo", *out)
    assert "references differ: grpo_bs256, rloo" in line
