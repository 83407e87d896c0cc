"""Which attempts are corrected and which are kept: distinct, ended, bounded, and the same whatever their order."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.data.rows import verl_row, write_parquet
from fail2fix.data.sets.spec import GivenAttempt
from fail2fix.evaluate.questions import Question
from fail2fix.guided.attempts import Choice, attempt_rows, choose, read_attempts
from fail2fix.method.errors import InputError
from tests.evaluate.rows import question

ATTEMPTS = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.sampled_from(["stop", "length"])), max_size=9)


def problems_of(drawn: list[list[tuple[str, bool, str]]]) -> dict[str, list[Question]]:
    """{problem: attempts}; the text says whether an attempt is right."""
    return {
        f"p{number}": [
            question(
                f"p{number}#{sample}",
                attempt=GivenAttempt(f"{text} {right}", right),
                tags={"problem": f"p{number}", "finish": finish},
            )
            for sample, (text, right, finish) in enumerate(attempts)
        ]
        for number, attempts in enumerate(drawn)
    }


@given(st.lists(ATTEMPTS, max_size=5), st.floats(0, 1), st.integers(1, 3), st.integers(0, 5))
def test_a_choice_holds_its_limits(
    drawn: list[list[tuple[str, bool, str]]], pass_rate: float, per_problem: int, seed: int
) -> None:
    problems = problems_of(drawn)
    wrong, right = choose(problems, Choice(pass_rate, per_problem), seed)
    for chosen, correct in ((wrong, False), (right, True)):
        assert len({(each.tags["problem"], each.attempt_text) for each in chosen}) == len(chosen)
        for each in chosen:
            assert each.attempt is not None
            assert each.attempt.correct == correct
            assert each.tags["finish"] == "stop"
        for name, attempts in problems.items():
            texts = {
                each.attempt_text
                for each in attempts
                if each.attempt and each.attempt.correct == correct and each.tags["finish"] == "stop"
            }
            share = sum(bool(each.attempt and each.attempt.correct) for each in attempts) / max(len(attempts), 1)
            expected = min(len(texts), per_problem) if correct or share <= pass_rate else 0
            assert sum(each.tags["problem"] == name for each in chosen) == expected


@given(st.lists(ATTEMPTS, max_size=5), st.randoms())
def test_the_order_of_attempts_and_problems_changes_nothing(
    drawn: list[list[tuple[str, bool, str]]], generator: random.Random
) -> None:
    problems = problems_of(drawn)
    shuffled = {name: generator.sample(problems[name], len(problems[name])) for name in sorted(problems, reverse=True)}
    texts = [
        [
            [(each.tags["problem"], each.attempt_text) for each in side]
            for side in choose(given, Choice(per_problem=9), 0)
        ]
        for given in (problems, shuffled)
    ]
    assert [set(side) for side in texts[0]] == [set(side) for side in texts[1]]


def record(sample: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": "p", "sample": sample, "response": f"{sample}", "correct": False, "finish": "stop", "status": "ok",
    } | fields  # fmt: skip


def test_attempts_without_an_answer_or_a_verdict_are_left_out(tmp_path: Path) -> None:
    row = verl_row("openai/gsm8k", "?", "4", "train", 0)
    records = [record(0), record(1, finish="skipped"), record(2, status="error"), record(3, response="  ")]
    write_parquet(tmp_path / "a.parquet", attempt_rows({"p": row}, records))
    assert [each.id for each in read_attempts([tmp_path / "a.parquet"])["p"]] == ["p#0"]
    again = read_attempts([tmp_path / "a.parquet"] * 2)["p"]
    assert len({each.id for each in again}) == 2


def test_a_file_of_no_attempts_is_refused(tmp_path: Path) -> None:
    row = verl_row("openai/gsm8k", "?", "4", "train", 0)
    row["extra_info"]["id"] = "p"
    write_parquet(tmp_path / "a.parquet", [row])
    with pytest.raises(InputError, match="id 'p' has no attempt: give files that fail2fix.collect wrote"):
        read_attempts([tmp_path / "a.parquet"])
