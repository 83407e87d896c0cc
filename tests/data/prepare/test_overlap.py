"""Problems of one set in another, by the shipped hashes and by shared runs of words; DATA.md's findings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sets.ship_hashes import SAME_PROBLEMS, TEST_SPLITS, marks_of

from fail2fix.data.prepare.card import Made, write_card
from fail2fix.data.prepare.cleaning import Dropped, read_all
from fail2fix.data.prepare.command import prepare
from fail2fix.data.prepare.overlap import (
    Near,
    exact_overlaps,
    near_overlaps,
    shipped_hashes,
)
from fail2fix.data.prepare.sources import is_at_hand, rows_of
from fail2fix.data.sets import all_sets, find_set
from fail2fix.data.sets.spec import Problem
from tests.data.prepare.test_sets import LARGE
from tests.shared import DATA
from tests.tiers import heavy_where

FOUND = {
    "deepscaler": {"aime24": 0, "aime25": 0, "amc23": 0, "gsm8k-test": 0, "math-test": 62, "math500": 7, "minerva": 0,
                   "olympiadbench": 1},
    "dapo": {"aime24": 0, "aime25": 0, "amc23": 8, "gsm8k-test": 0, "math-test": 976, "math500": 7, "minerva": 0,
             "olympiadbench": 10},
    "math": {"math-test": 10},
}  # fmt: skip
"""DATA.md, "Traps, measured"."""


def problems(name: str, split: str, folder: Path = DATA) -> list[Problem]:
    chosen = find_set(name)
    return read_all(rows_of(chosen, split, folder), chosen.read, chosen.ability, Dropped())


@pytest.mark.needs_shared
@pytest.mark.parametrize("name", heavy_where(FOUND, [name for name in LARGE if name != "math"]))
def test_the_overlaps_that_are_known(name: str) -> None:
    found = exact_overlaps(problems(name, "train"), shipped_hashes())
    assert FOUND[name].items() <= found.items()


@pytest.mark.needs_shared
@pytest.mark.heavy
def test_the_shipped_hashes_are_of_the_evaluation_sets() -> None:
    shipped = shipped_hashes()
    evaluated = {name: each for name, each in all_sets().items() if each.use == "evaluation"}
    at_hand = {name: each for name, each in evaluated.items() if is_at_hand(each, DATA)}
    assert evaluated.keys() - at_hand.keys() == {"criticbench", "deepcoder_codeforces"}
    assert shipped.keys() == {*at_hand.keys() - SAME_PROBLEMS.keys(), *TEST_SPLITS.values()}
    for name, chosen in at_hand.items():
        assert shipped[SAME_PROBLEMS.get(name, name)] == marks_of(chosen, list(chosen.splits), DATA)
    for name, shown in TEST_SPLITS.items():
        assert shipped[shown] == marks_of(find_set(name), ["test"], DATA)


def test_of_livecodebench_the_window_is_kept_from_training() -> None:
    assert len(shipped_hashes()["livecodebench"]) == 454


@pytest.mark.needs_shared
def test_deepcoders_livecodebench_loses_the_window_and_nothing_else(tmp_path: Path) -> None:
    """Real problems in DeepCoder's columns: its problem is LiveCodeBench's question_content."""
    chosen = find_set("livecodebench")
    rows = [row for row in rows_of(chosen, "test", DATA) if row.fields["question_id"] != "abc350_c"]
    (tmp_path / "deepcoder_lcbv5.jsonl").write_text(
        "".join(
            json.dumps(
                {
                    "problem": row.fields["question_content"],
                    "starter_code": row.fields["starter_code"],
                    "tests": row.fields["public_test_cases"],
                    "metadata": {"func_name": "f"},
                }
            )
            + "\n"
            for row in rows
        )
    )
    made = prepare(find_set("deepcoder_lcbv5"), tmp_path / "out", tmp_path)
    before = sum(not chosen.evaluated(chosen.read(row).tags) for row in rows)
    assert before == 600
    assert made.dropped.counts == {"a problem of livecodebench": 454}
    assert sum(made.written.values()) == before


def test_a_reworded_problem_is_near_and_the_same_one_is_not() -> None:
    exam = [
        Problem("A train leaves the station at noon and travels north at sixty miles an hour.", "1", place="exam 0")
    ]
    same = Problem("a train leaves the station at noon, and travels north at sixty miles an hour", "1", place="row 0")
    near = Problem("A train leaves the station at noon and travels north at sixty miles a day.", "1", place="row 1")
    far = Problem("A train leaves the station at one and goes south at forty miles an hour.", "1", place="row 2")
    found = near_overlaps([same, near, far], exam)
    assert [(pair.place, pair.evaluated) for pair in found] == [("row 1", "exam 0")]
    assert found[0].share == 6 / 8


def test_the_card_counts_problems_of_an_evaluation_set_however_many_rows_are_near_one(tmp_path: Path) -> None:
    near = [Near("row 1", "exam 0", 0.9), Near("row 2", "exam 0", 0.8), Near("row 3", "exam 1", 0.7)]
    counts = {"train": 3}
    made = Made({}, counts, counts, Dropped(), exact={"aime24": 4, "gsm8k-test": 0}, near={"aime24": near})
    (tmp_path / "train.parquet").touch()
    write_card(tmp_path, find_set("deepscaler"), made)
    card = (tmp_path / "README.md").read_text()
    assert "| aime24 | 4 | 2 |" in card
    assert "| gsm8k-test | 0 | not looked for |" in card
