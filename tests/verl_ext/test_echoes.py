"""Rows that others prepared get their echoes at the start of a run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pytest

from fail2fix.data import echoes
from fail2fix.preflight.ground_truths import GroundTruths
from fail2fix.run.folder import echo_folder
from fail2fix.run.settings import fail2fix_settings
from fail2fix.verl_ext.echoes import add_echoes
from tests.data.test_echoes import EXPAND, row
from tests.verl_ext.test_contract import config

ROWS = [row(extra_info=None), row(reward_model={"ground_truth": "7"}), row(extra_info={"answer_in_problem": False})]


def truths(dataset: Any) -> list[str]:
    return [each["ground_truth"] for each in dataset.dataframe["reward_model"]]


def test_the_start_finds_them_and_the_loaded_rows_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = config(f"fail2fix.run.root={tmp_path}")
    checked = GroundTruths(fail2fix_settings(given).verifier, "prompt")
    assert [checked.problem(each) for each in ROWS] == [""] * 3
    line = checked.echoes(echo_folder(given))
    assert line.startswith("echoes in 2 rows: 1 problems hold their answer as another expression")
    monkeypatch.delattr(echoes, "find_echoes")  # the trainer only reads what was found
    dataset = SimpleNamespace(dataframe=datasets.Dataset.from_list(ROWS))
    add_echoes(dataset, given)
    assert truths(dataset) == [json.dumps({"answer": EXPAND[1], "echoes": ["(x+2)(x-5)"]}), "7", EXPAND[1]]


def test_rows_stay_where_echoes_are_allowed_and_where_there_is_no_table(tmp_path: Path) -> None:
    given = config(f"fail2fix.run.root={tmp_path}", "fail2fix.verifier.allow_echoes=true")
    dataset = SimpleNamespace(dataframe=datasets.Dataset.from_list(ROWS))
    for each in (dataset, SimpleNamespace()):
        add_echoes(each, given)
    assert truths(dataset) == [each["reward_model"]["ground_truth"] for each in ROWS]
    assert not echo_folder(given).exists()
