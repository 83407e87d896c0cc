"""Problems of one set in another, by the shipped hashes and by shared runs of words; DATA.md's findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from fail2fix.prepare.cleaning import Dropped, Placed, read_all
from fail2fix.prepare.overlap import exact_overlaps, near_overlaps, shipped_hashes
from fail2fix.prepare.ship_hashes import TEST_SPLITS, hashes_of
from fail2fix.prepare.sources import rows_of
from fail2fix.sets import all_sets, find_set
from fail2fix.sets.spec import Problem
from tests.prepare.sets import NEEDS_SHARED, SHARED

FOUND = {
    "deepscaler": {"aime24": 0, "aime25": 0, "amc23": 0, "gsm8k-test": 0, "math-test": 62, "math500": 7, "minerva": 0,
                   "olympiadbench": 1},
    "dapo": {"aime24": 0, "aime25": 0, "amc23": 8, "gsm8k-test": 0, "math-test": 976, "math500": 7, "minerva": 0,
             "olympiadbench": 10},
    "math": {"math-test": 10},
}  # fmt: skip
"""DATA.md, "Traps, measured"."""


def problems(name: str, split: str, folder: Path = SHARED) -> list[Placed]:
    chosen = find_set(name)
    return read_all(rows_of(chosen, split, folder), chosen.read, chosen.ability, Dropped())


@NEEDS_SHARED
@pytest.mark.parametrize("name", FOUND)
def test_the_overlaps_that_are_known(name: str) -> None:
    found = exact_overlaps(problems(name, "train"), shipped_hashes())
    assert FOUND[name].items() <= found.items()


@NEEDS_SHARED
def test_the_shipped_hashes_are_of_the_evaluation_sets() -> None:
    shipped = shipped_hashes()
    evaluated = {name: list(chosen.splits) for name, chosen in all_sets().items() if chosen.use == "evaluation"}
    assert shipped.keys() == {*evaluated, *TEST_SPLITS.values()}
    for name, splits in evaluated.items():
        assert shipped[name] == frozenset(hashes_of(find_set(name), splits, SHARED))
    for name, shown in TEST_SPLITS.items():
        assert shipped[shown] == frozenset(hashes_of(find_set(name), ["test"], SHARED))


def test_a_reworded_problem_is_near_and_the_same_one_is_not() -> None:
    exam = [
        Placed(Problem("A train leaves the station at noon and travels north at sixty miles an hour.", "1"), "exam 0")
    ]
    same = Placed(Problem("a train leaves the station at noon, and travels north at sixty miles an hour", "1"), "row 0")
    near = Placed(Problem("A train leaves the station at noon and travels north at sixty miles a day.", "1"), "row 1")
    far = Placed(Problem("A train leaves the station at one and goes south at forty miles an hour.", "1"), "row 2")
    found = near_overlaps([same, near, far], exam)
    assert [(pair.place, pair.evaluated) for pair in found] == [("row 1", "exam 0")]
    assert found[0].share == 6 / 8
