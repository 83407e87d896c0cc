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
    figures = {f"{value:.2f}" for row in PUBLISHED.values() for value in row.values()}
    assert figures <= set(re.findall(r"\d+\.\d+", said))
    assert "not given" in said
    assert "aime24" not in PUBLISHED["grpo_bs256"]


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


@pytest.mark.parametrize("word", ["outputs/eval", "=outputs/eval", "mine="])
def test_a_name_without_a_folder_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(InputError, match="want NAME=DIR"):
        main([word, "--out", str(tmp_path)])


def test_an_unfinished_evaluation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished evaluation"):
        main([f"mine={tmp_path}", "--out", str(tmp_path / "table")])
