"""Several evaluations in one table, beside the published figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fail2fix.evaluate.results_table import AVERAGE, PAPER_SETS, PUBLISHED, main, markdown
from fail2fix.method.errors import InputError
from tests.evaluate.rows import records
from tests.evaluate.test_compare import evaluation

METHOD = Path(__file__).parents[2] / "fail2fix" / "METHOD.md"


def interval(value: float) -> dict[str, float | None]:
    return {"value": value, "low": None, "high": None}


def cells(text: str, name: str) -> list[str]:
    row = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


def test_published_figures_are_the_specifications() -> None:
    said = METHOD.read_text().partition("Figures published in the paper")[2].partition("\n\n")[0]
    averages, aime = " ".join(said.split()).split("AIME24: ", 1)
    names = {"start": "start", "GRPO": "grpo", "GRPO with 256 problems": "grpo_bs256", "CIPO": "cipo"}
    found = {names[name]: {AVERAGE: float(value)} for name, value in re.findall(r"[:,] ([^:,]+) (\d+\.\d+)", averages)}
    for name, value in zip(found, aime.split(". ")[0].split(", "), strict=True):
        if value != "not given":
            found[name]["aime24"] = float(value)
    assert found == PUBLISHED


def test_what_an_evaluation_lacks_is_a_dash_and_counted() -> None:
    whole = {name: interval(0.5) for name in PAPER_SETS}
    for lacking in range(1, len(PAPER_SETS)):
        text = markdown({"start": whole, "mine": dict(list(whole.items())[lacking:])})
        assert cells(text, "mine").count("-") == lacking + 1  # the average too
        assert f"lack {lacking} of 12 figures" in text
    assert "lack" not in markdown({"start": whole, "mine": whole})


def test_a_table_says_whose_figures_are_published_and_which_evaluations_are_limited() -> None:
    whole = {name: interval(0.5) for name in PAPER_SETS}
    assert "for Qwen3-4B" in markdown({"start": whole})
    assert "Qwen3-4B" not in markdown({"mine": whole})
    text = markdown({"start": whole, "mine": whole}, {"start": None, "mine": 7})
    assert "most problems of each: mine 7." in text
    assert "whole sets" not in markdown({"start": whole}, {"start": None})


def test_the_average_is_over_the_six_sets_and_needs_them_all() -> None:
    whole = {name: interval(place / 10) for place, name in enumerate(PAPER_SETS)}
    part = dict(list(whole.items())[:5])
    text = markdown({"start": whole, "mine": part})
    assert cells(text, "start")[-1] == "25.00"
    assert cells(text, "start, published") == ["23.54", *["-"] * 5, f"{PUBLISHED['start'][AVERAGE]:.2f}"]
    assert cells(text, "mine")[-2:] == ["-", "-"]
    assert "mine, published" not in text


def test_other_sets_have_neither_an_average_nor_published_figures() -> None:
    text = markdown({"grpo": {"file": interval(0.5)}, "cipo": {"file": interval(0.625)}})
    assert text.splitlines() == ["| accuracy, % | file |", "| --- | ---: |", "| grpo | 50.00 |", "| cipo | 62.50 |"]


def test_the_command_reads_finished_evaluations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = {"a": [[True], [False]], "b": [[True], [True]]}
    folders = {name: evaluation(tmp_path / name, "math500", records(right)) for name, right in verdicts.items()}
    main([*(f"{name}={folder}" for name, folder in folders.items()), "--out", str(tmp_path / "table")])
    text = capsys.readouterr().out
    assert text == (tmp_path / "table" / "table.md").read_text()
    assert cells(text, "a")[0] == "50.00"
    found = json.loads((tmp_path / "table" / "table.json").read_text())
    assert found["evaluations"]["b"]["math500"]["value"] == 1.0
    assert found["evaluations"]["b"]["math500"].keys() == {"value", "low", "high"}
    assert found["averages"] == {"a": None, "b": None}


@pytest.mark.parametrize("word", ["outputs/eval", "=outputs/eval", "mine="])
def test_a_name_without_a_folder_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(InputError, match="want NAME=DIR"):
        main([word, "--out", str(tmp_path)])


def test_an_unfinished_evaluation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished evaluation"):
        main([f"mine={tmp_path}", "--out", str(tmp_path / "table")])
