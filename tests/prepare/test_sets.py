"""Every set: its sample rows against values worked out by hand, and all its rows where they are at hand."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from pathlib import Path

import pytest

from fail2fix.prepare.__main__ import prepare
from fail2fix.prepare.list_sets import listed
from fail2fix.sets import all_sets, find_set
from fail2fix.sets.livecodebench import unpacked
from fail2fix.sets.spec import CODE, MATH
from fail2fix.verify.code.ground_truth import CallTests, StdioTests, parse_ground_truth
from tests.prepare.sets import NEEDS_SHARED, SAMPLES, SHARED, sample_problems, samples

parquet = pytest.importorskip("pyarrow.parquet")

ANSWERS = {
    "gsm8k": ["18", "2125"],
    "deepscaler": [r"\frac{1}{2}", "(-2,3)"],
    "math": [r"\frac{5}{4}", "4"],
    "dapo": ["25"],
    "aime24": ["25"],
    "aime25": ["360"],
    "amc23": ["27"],
    "math500": [r"\sqrt{2}"],
    "minerva": ['{"answer": "6e8", "relative_tolerance": 0.0001}', "t^2"],
    "olympiadbench": ["$2$,$-2$", '{"answer": "4.2", "tolerance": 0.1}'],
}
WRITTEN = {
    "deepscaler": (40_308, 38_131, 500),
    "gsm8k": (8_792, 7_473, 1_319),
    "math": (12_500, 7_480, 5_000),
    "dapo": (14_116, 12_877, 500),
    "leetcode": (1_890 + 228, 1_890, 228),
    "mbpp": (874, 374, 500),
    "aime24": (30, 0, 30),
    "aime25": (30, 0, 30),
    "amc23": (40, 0, 40),
    "math500": (500, 0, 500),
    "minerva": (272, 0, 272),
    "olympiadbench": (675, 0, 675),
    "humaneval": (164, 0, 164),
    "humanevalfix": (164, 0, 164),
    "livecodebench": (1_055, 0, 1_054),
    "debugbench": (1_414, 0, 1_119),
}
"""Rows of the local copies, and of them those for training and those held out."""


def test_every_set_has_samples_and_stands_in_the_list() -> None:
    assert (SAMPLES / "README.md").read_text() == listed(), "python -m fail2fix.prepare.list_sets > data/sets/README.md"
    assert {path.stem for path in SAMPLES.glob("*.jsonl")} == set(all_sets()) == set(WRITTEN)
    for name, chosen in all_sets().items():
        assert len(chosen.revision) == 40
        assert samples(name)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_gold_answers_of_the_samples(name: str) -> None:
    assert [problem.answer for problem in sample_problems(name)] == ANSWERS[name]
    assert find_set(name).instruction == MATH


@pytest.mark.parametrize("name", ["leetcode", "mbpp", "humaneval", "humanevalfix", "livecodebench"])
def test_the_tests_of_the_samples_can_be_read(name: str) -> None:
    for problem in sample_problems(name):
        parse_ground_truth(problem.answer)
    assert find_set(name).instruction == CODE


def test_a_mbpp_problem_shows_the_assertions_that_name_its_function() -> None:
    problem = sample_problems("mbpp")[0]
    assert "assert remove_Occ" in problem.text
    assert json.loads(problem.answer)["functions"] == ["remove_Occ"]


def test_context_stands_before_an_olympiad_question() -> None:
    assert sample_problems("olympiadbench")[1].text == "A quantity is measured.\n\nWhat percentage is it, about?"


def test_a_broken_function_is_an_attempt() -> None:
    attempt = sample_problems("humanevalfix")[0].attempt
    assert attempt is not None
    assert not attempt.correct
    assert attempt.text.startswith("```python\nfrom typing import List")


def test_a_planted_bug_is_an_attempt_with_its_category() -> None:
    (problem,) = sample_problems("debugbench")
    assert problem.attempt is not None
    assert "return 2 + n" in problem.attempt.text
    assert problem.tags == {"category": "operation error", "level": "easy"}
    assert problem.answer == "twice-a-number"


def test_a_join_gives_each_problem_the_tests_of_its_name(tmp_path: Path) -> None:
    for name, path in (("leetcode", "leetcode/train.jsonl"), ("debugbench", "debugbench/python3_x.json")):
        rows = samples(name)
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(
            json.dumps(rows[0]) if name == "leetcode" else json.dumps(rows + [rows[0] | {"slug": "no"}])
        )
    prepare(find_set("debugbench"), tmp_path / "out", tmp_path)
    (row,) = parquet.read_table(tmp_path / "out/test.parquet").to_pylist()
    assert json.loads(row["reward_model"]["ground_truth"])["by_position"] is True
    assert row["extra_info"]["attempt_correct"] is False
    dropped = json.loads((tmp_path / "out" / "card.json").read_text())["dropped"]
    assert dropped["leetcode has no tests for its problem"]["rows"] == 1


def test_private_tests_follow_the_public_ones() -> None:
    stdin, functional = map(parse_ground_truth, (problem.answer for problem in sample_problems("livecodebench")))
    assert isinstance(stdin, StdioTests)
    assert [(test.stdin, test.stdout) for test in stdin.tests] == [("1 2\n", "3\n"), ("5 5\n", "10\n")]
    assert isinstance(functional, CallTests)
    call = functional.calls[0]
    assert (functional.entry_point, call.args, call.expected) == ("Solution().total", [[1, 2], 3], 6)


def test_a_pickle_that_is_more_than_a_text_is_not_run() -> None:
    for content in (print, [1]):
        text = base64.b64encode(zlib.compress(pickle.dumps(content))).decode()
        with pytest.raises((pickle.UnpicklingError, ValueError)):
            unpacked(text)


@NEEDS_SHARED
@pytest.mark.parametrize("name", WRITTEN)
def test_every_local_row_is_written_or_counted(name: str, tmp_path: Path) -> None:
    read, train, test = WRITTEN[name]
    prepare(find_set(name), tmp_path, SHARED)
    card = json.loads((tmp_path / "card.json").read_text())
    assert sum(card["rows_read"].values()) == read
    assert card["rows_written"] == {"train": train, "test": test}
    assert train + test + sum(each["rows"] for each in card["dropped"].values()) == read
    for split, rows in (("train", train), ("test", test)):
        path = tmp_path / f"{split}.parquet"
        assert path.is_file() == bool(rows)
        if rows:
            table = parquet.read_table(path).to_pylist()
            assert len(table) == rows
            assert len({row["extra_info"]["id"] for row in table}) == rows
            assert {row["data_source"] for row in table} == {find_set(name).hub_id}
