"""What leaves a set on its way to training, and that it is counted."""

from __future__ import annotations

import random

import pytest

from fail2fix.data.prepare.cleaning import (
    Dropped,
    hold_out,
    marks,
    overlap_hash,
    read_all,
    same_answer,
    without_overlap,
    without_repeats,
)
from fail2fix.data.prepare.overlap import exact_overlaps
from fail2fix.data.sets.spec import Problem, SourceRow, UnusableRowError
from fail2fix.method.errors import InputError


def placed(*pairs: tuple[str, str]) -> list[Problem]:
    return [Problem(text, answer, place=f"row {index}") for index, (text, answer) in enumerate(pairs)]


def test_repeats_go_and_contradictions_go_altogether() -> None:
    problems = placed(
        ("What is $1 + 1$?", "2"),
        ("What is 1+1 ?", "2"),
        ("What is 1-1?", "0"),
        ("Find x.", "3"),
        ("Find  $x$.", "4"),
        ("Find $x$.", "3"),
    )
    dropped = Dropped()
    assert without_repeats(problems, "math", dropped) == [problems[0], problems[2]]
    assert dropped.counts == {"a repeat of another row": 1, "its problem has different answers": 3}
    assert dropped.places["a repeat of another row"] == ["row 1"]


def test_other_tests_are_no_other_answer() -> None:
    problems = placed(("Sort a list.", "some tests"), ("Sort  a list", "other tests"))
    dropped = Dropped()
    assert without_repeats(problems, "code", dropped) == problems[:1]
    assert dropped.counts == {"a repeat of another row": 1}


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (r"\frac13", r"\frac{1}{3}", True),
        ("0.5", r"\frac{1}{2}", True),
        ("2,4", "4,2", True),
        ("64", "18", False),
        ("x+1", "x-1", False),
    ],
)
def test_two_spellings_are_one_answer(one: str, two: str, same: bool) -> None:
    assert same_answer(one, two) is same
    assert same_answer(two, one) is same


def test_what_cannot_be_judged_by_is_dropped_with_its_reason() -> None:
    rows = [SourceRow(f"row {index}", {"answer": answer}) for index, answer in enumerate(("7", "", r"\frac{1"))]

    def read(row: SourceRow) -> Problem:
        if not row.fields["answer"]:
            raise UnusableRowError("it has no answer")
        return Problem("Q", str(row.fields["answer"]))

    dropped = Dropped()
    assert [each.place for each in read_all(rows, read, "math", dropped)] == ["row 0"]
    assert dropped.counts == {"it has no answer": 1, "its answer is no answer to itself": 1}


def test_evaluation_problems_leave_a_training_set_however_they_are_spelt() -> None:
    problems = placed(("Find $x^2$ for $x = 3$!", "9"), ("Find y.", "1"))
    evaluated = {"exam": frozenset({(overlap_hash("find  x^{2} FOR x=3"),)})}
    dropped = Dropped()
    assert without_overlap(problems, evaluated, dropped) == [problems[1]]
    assert dropped.counts == {"a problem of exam": 1}


def test_leetcodes_name_tells_a_problem_in_other_words() -> None:
    asked, reworded, other = (
        Problem(text, "tests", slug=slug, place=text)
        for text, slug in (("Find two that add up.", "two-sum"), ("Which pair sums up?", "two-sum"), ("Add.", "add"))
    )
    dropped = Dropped()
    assert without_overlap([reworded, other], {"exam": frozenset({marks(asked)})}, dropped) == [other]
    assert exact_overlaps([reworded], {"exam": frozenset({marks(asked)})}) == {"exam": 1}


def test_held_out_problems_do_not_depend_on_the_order_of_the_source() -> None:
    problems = placed(*((f"What is {n} + 1?", str(n + 1)) for n in range(50)))
    train, test = hold_out(problems, 10)
    assert (len(train), len(test)) == (40, 10)
    shuffled = random.Random(0).sample(problems, 50)
    assert {each.place for each in hold_out(shuffled, 10)[1]} == {each.place for each in test}
    with pytest.raises(InputError, match="10 problems, 10 to hold out: the source is incomplete"):
        hold_out(problems[:10], 10)
