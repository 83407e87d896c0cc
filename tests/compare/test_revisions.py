"""Revisions of own answers, and the majority vote that costs as many tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.compare.plan import Fingerprint
from fail2fix.compare.records import make_record
from fail2fix.compare.revisions import Revisions, expected_majority, majority_at, measures, read_revisions
from fail2fix.compare.summary import summarize
from fail2fix.method.errors import InputError
from tests.compare.run_folder import write_lines, write_run

ANSWERS = st.lists(st.sampled_from(["", "1", "2", "3"]), min_size=1, max_size=6)


@given(ANSWERS)
def test_a_vote_of_one_is_the_mean_and_of_all_the_most_frequent(answers: list[str]) -> None:
    right = [answer == "1" for answer in answers]
    expected = expected_majority(answers, right)
    assert expected[0] == pytest.approx(np.mean(right))
    most = max(map(answers.count, answers))
    winner = next(answer for answer in answers if answers.count(answer) == most)
    assert expected[-1] == float(winner == "1")
    assert len(expected) == len(answers)


@given(ANSWERS, st.randoms())
def test_the_order_of_samples_counts_only_where_votes_tie(answers: list[str], random: Any) -> None:
    shuffled = answers.copy()
    random.shuffle(shuffled)
    counts = [answers.count(answer) for answer in set(answers)]
    if counts.count(max(counts)) == 1:
        one, other = (expected_majority(each, [a == "1" for a in each])[-1] for each in (answers, shuffled))
        assert one == other


def test_a_right_answer_that_is_rarer_than_a_wrong_one_loses_with_more_samples() -> None:
    expected = expected_majority(["2", "1", "2", "1", "2"], [False, True, False, True, False])
    assert expected[0] == 0.4
    assert expected[4] == 0.0


def test_samples_between_two_whole_numbers_lie_on_a_line_and_are_bounded() -> None:
    expected = (0.2, 0.4, 0.8)
    assert [majority_at(expected, m) for m in (0.5, 1, 1.5, 2.25, 3, 9)] == pytest.approx(
        [0.2, 0.2, 0.3, 0.5, 0.8, 0.8]
    )


def written(folder: Path, own: list[dict[str, Any]], samples: dict[str, list[tuple[str, int]]]) -> Revisions | None:
    (folder / "own_answers").mkdir(exist_ok=True)
    (folder / "own_answers" / "4.jsonl").write_text("".join(json.dumps(line) + "\n" for line in own))
    rows = [
        {"input": problem, "pred": pred, "score": float(right), "acc": float(right)}
        for problem, answers in samples.items()
        for pred, right in answers
    ]
    return read_revisions(folder, 4, list(samples), rows)


def line(place: int, before: str, after: str, truth: str, tokens: int = 30, **more: Any) -> dict[str, Any]:
    return {
        "place": place, "attempt_correct": before == truth, "attempt_answer": before, "attempt_tokens": 20,
        "correct": after == truth, "status": "ok", "answer": after, "tokens": tokens, "output": "...",
    } | more  # fmt: skip


SAMPLES = {"a": [("1", 1), ("2", 0), ("2", 0)], "b": [("5", 1), ("5", 1), ("5", 1)], "c": [("", 0)] * 3}


def test_a_place_outside_of_the_validation_set_ends_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"4\.jsonl: names a place outside of the validation set"):
        written(tmp_path, [line(3, "2", "1", "1")], SAMPLES)


def test_measures_by_hand(tmp_path: Path) -> None:
    """a: wrong, both revisions right. b: right, one of two breaks it. c: wrong, repeated once, then a failed check."""
    own = [
        line(0, "2", "1", "1"), line(0, "2", "1", "1"), line(1, "5", "5", "5"), line(1, "5", "6", "5"),
        line(2, "7", "7", "8"), line(2, "7", "8", "8", status="error"),
    ]  # fmt: skip
    found = written(tmp_path, own, SAMPLES)
    assert found is not None
    assert found.problems == {"a": (0, 2, 2, 1, 0), "b": (1, 1, 2, 1, 0), "c": (0, 0, 1, 0, 1)}
    assert (found.count, found.tokens) == (2, (20.0, 60.0))
    values = {
        name: each.num_SP.sum() / each.den_SP.sum() for name, each in measures([found], ["a", "b", "c"]).items() if each
    }
    assert values == pytest.approx(
        {
            "revised": 3 / 5,
            "confirmed": 2 / 3,
            "own_fix_rate": 2 / 3,
            "own_keep_rate": 1 / 2,
            "own_break_rate": 1 / 2,
            "repeated": 1 / 3,
            # 2.5 samples for one revision, 4 (so all 3) for both: "a" has 1/3 with two samples, 0 with three.
            "majority": (majority_at(found.majority["a"], 2.5) + 1) / 3,
            "majority_confirmed": 1 / 3,
        }  # fmt: skip
    )


def test_revisions_of_one_seed_only_are_no_measure(tmp_path: Path) -> None:
    found = written(tmp_path, [line(0, "1", "1", "1")], SAMPLES)
    assert not any(measures([found, None], ["a", "b", "c"]).values())
    one = measures([found], ["a", "b", "c"])
    assert one["confirmed"] is one["majority_confirmed"] is None, "one revision cannot confirm another"
    assert one["revised"] is not None
    assert one["revised"].den_SP.tolist() == [[1, 0, 0]]


def test_without_dumps_or_answers_or_with_a_problem_twice_there_are_none(tmp_path: Path) -> None:
    rows = [{"input": "a", "score": 1.0, "acc": 1.0}]
    assert read_revisions(tmp_path, 4, ["a"], rows) is None
    assert written(tmp_path, [line(0, "1", "1", "1")], {"a": SAMPLES["a"], "b": SAMPLES["b"][:2]}) is None
    assert read_revisions(tmp_path, 4, ["a"], rows) is None, "no answers to vote on"


def shares(found: Revisions | None, problems: list[str]) -> dict[str, float]:
    assert found is not None
    sums = {name: (each.num_SP.sum(), each.den_SP.sum()) for name, each in measures([found], problems).items() if each}
    return {name: num / den for name, (num, den) in sums.items() if den}


TWO = {"a": [("1", 1)] * 4, "b": [("9", 0)] * 4}


def test_an_answer_that_cannot_be_revised_stands_so_that_revising_nothing_gains_nothing(tmp_path: Path) -> None:
    own = [line(0, "1", "1", "1"), line(0, "1", "1", "1"), line(1, "9", "9", "5", tokens=0, status="skipped")]
    found = written(tmp_path, own, TWO)
    values = shares(found, ["a", "b"])
    assert {values[name] for name in ("revised", "confirmed", "majority", "majority_confirmed")} == {0.5}
    assert "own_fix_rate" not in values, "no wrong answer was revised"
    assert found is not None
    assert found.tokens == (20.0, 30.0), "the answer that stands cost nothing more"


def test_revisions_and_majority_count_the_same_problems(tmp_path: Path) -> None:
    """What became of b is not known: it was not dumped, or no revision of it got a verdict."""
    revised = [line(0, "1", "1", "1")] * 2
    for own in (revised, [*revised, *[line(1, "9", "5", "5", status="error")] * 2]):
        found = written(tmp_path, own, TWO)
        assert found is not None
        every = measures([found], ["a", "b"])
        for name in ("revised", "confirmed", "majority", "majority_confirmed"):
            assert (every[name].den_SP > 0).tolist() == [[True, False]]  # type: ignore[union-attr]


def test_a_revision_without_a_verdict_confirms_nothing(tmp_path: Path) -> None:
    own = [line(0, "2", "1", "1"), line(0, "2", "1", "1", status="error")]
    for lines in (own, own[::-1]):
        found = written(tmp_path, lines, TWO)
        assert found is not None
        assert found.problems == {"a": (0, 1, 1, 0, 0)}


def test_without_any_verdict_there_are_none(tmp_path: Path) -> None:
    assert written(tmp_path, [line(0, "2", "1", "1", status="error")] * 2, TWO) is None


def test_no_answer_twice_is_not_repeated(tmp_path: Path) -> None:
    found = written(tmp_path, [line(0, "", "", "1"), line(0, "", "3", "1")], TWO)
    assert found is not None
    assert found.problems == {"a": (0, 0, 2, 0, 0)}


@pytest.mark.parametrize(("tokens", "said"), [(6, False), (60, True)])
def test_revisions_that_cost_more_samples_than_vote_are_named(tmp_path: Path, tokens: int, said: bool) -> None:
    records = []
    for config in ("grpo", "cipo"):
        write_run(tmp_path / config)
        path = tmp_path / config / "own_answers" / "4.jsonl"
        lines = [json.loads(text) | {"tokens": tokens} for text in path.read_text().splitlines()]
        write_lines(path, lines)
        records.append(make_record(tmp_path / config, Fingerprint(config, 0, 400, (), "0.1.0")))
    warnings = [text for text in summarize(records).warnings if "val_kwargs.n" in text]
    assert len(warnings) == said
    assert not said or "25.0 samples' tokens" in warnings[0]
