"""Scores against hand-computed values and brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from fail2fix.evaluate.scores import pass_curve, score, score_rounds
from tests.evaluate.rows import question, records


@pytest.mark.parametrize("samples", [1, 2, 5, 7])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(samples: int) -> None:
    rows = np.array([[place < right for place in range(samples)] for right in range(samples + 1)])
    curve = pass_curve(rows)
    assert list(curve) == list(range(1, samples + 1))
    for k, values in curve.items():
        brute = [np.mean([any(chosen) for chosen in combinations(row, k)]) for row in rows.tolist()]
        assert values == pytest.approx(brute)


def test_accuracy_and_lengths() -> None:
    found = score(records([[True, False], [True, True]]), [question("q0"), question("q1")])
    assert (found["questions"], found["samples"]) == (2, 2)
    assert found["accuracy"]["value"] == 0.75
    assert found["pass_at_k"]["2"]["value"] == 1.0
    assert found["response_tokens"] == {"mean": 10.5, "median": 10.5, "p95": 11.0, "total": 42, "cut_off": 0.0}
    assert "transition" not in found


def test_the_transition_matrix() -> None:
    rows = records([[True, False], [True, True], [False, False]], before=[False, True, True])
    found = score(rows, [question(f"q{number}") for number in range(3)])
    assert found["transition"] == {"fixed": 1, "kept": 2, "broken": 2, "still_wrong": 1}
    assert found["fix_rate"]["value"] == 0.5
    assert found["break_rate"]["value"] == 0.5
    assert found["keep_policy"] == pytest.approx(2 / 3)
    assert found["gain_over_keep"] == pytest.approx(0.5 - 2 / 3)


def test_what_got_no_answer_is_wrong_and_counted() -> None:
    rows = records([[True], [False], [False], [False]])
    rows[1] |= {"finish": "skipped", "status": "no_answer", "response_tokens": 0}
    rows[2] |= {"finish": "length"}
    rows[3] |= {"status": "error"}
    found = score(rows, [question(f"q{number}") for number in range(4)])
    assert found["accuracy"]["value"] == 0.25
    assert found["not_asked"] == 1
    assert found["statuses"] == {"ok": 2, "no_answer": 1, "error": 1}
    assert found["response_tokens"]["cut_off"] == pytest.approx(1 / 3)


def test_figures_are_broken_down_by_tags_of_few_values() -> None:
    tags = [{"level": "easy", "date": "2024-01-01"}, {"level": "hard", "date": "2024-01-02"}, {"level": "easy"}]
    questions = [question(f"q{number}", tags=each) for number, each in enumerate(tags)]
    found = score(records([[True], [False], [False]]), questions)["by_tag"]["level"]
    assert {value: (part["questions"], part["accuracy"]["value"]) for value, part in found.items()} == {
        "easy": (2, 0.5),
        "hard": (1, 0.0),
    }


def test_rounds_are_scored_apart() -> None:
    first, second = records([[False], [True]]), records([[True], [True]], before=[False, True], round=1)
    found = score_rounds([*first, *second], [question("q0"), question("q1")])
    assert [each["accuracy"]["value"] for each in found] == [0.5, 1.0]
    assert found[1]["transition"] == {"fixed": 1, "kept": 1, "broken": 0, "still_wrong": 0}
