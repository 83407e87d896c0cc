"""Ground truths with a tolerance, and those that state none."""

from __future__ import annotations

import asyncio
import json

import pytest

from fail2fix.verify.config import Channel, VerifierConfig
from fail2fix.verify.errors import GroundTruthError
from fail2fix.verify.gold import Gold, parse_gold
from fail2fix.verify.math_verifier import ground_truth_problem, open_verifier

ABSOLUTE = json.dumps({"answer": "4.2", "tolerance": 0.1})
RELATIVE = json.dumps({"answer": "3.3e12", "relative_tolerance": 0.01})


def correct(response: str, gold: str) -> bool:
    verifier = open_verifier(VerifierConfig(channel=Channel.boxed))
    try:
        return asyncio.run(verifier.verify(response, gold)).correct
    finally:
        verifier.close()


@pytest.mark.parametrize("said", ["4.2", "4.3", "4.1", "x = 4.15", r"4.25\%", r"4.2 \text{ J}", r"\frac{42}{10}"])
def test_what_is_near_enough_is_right(said: str) -> None:
    assert correct(rf"So \boxed{{{said}}}.", ABSOLUTE)


@pytest.mark.parametrize("said", ["4.31", "4.09", "42", "-4.2", "4.2 or 5", "x", "4.2, 4.2", r"\sqrt{17.64}", "4.2=5"])
def test_what_is_not_is_wrong(said: str) -> None:
    assert not correct(rf"So \boxed{{{said}}}.", ABSOLUTE)


def test_two_near_answers_in_two_channels_are_right_and_a_far_one_is_not() -> None:
    assert correct(r"\boxed{4.2}" + "\nAnswer: 4.25", ABSOLUTE)
    assert not correct(r"\boxed{4.2}" + "\nAnswer: 5", ABSOLUTE)
    assert not correct("no box: 4.2", ABSOLUTE)


@pytest.mark.parametrize(
    ("said", "right"), [(r"3.31 \times 10^{12}", True), ("3.267e12", True), ("3.26e12", False), ("3.3e11", False)]
)
def test_a_relative_tolerance_is_of_the_gold_answer(said: str, right: bool) -> None:
    assert correct(rf"\boxed{{{said}}}", RELATIVE) is right


def test_units_of_length_mass_and_time_still_count() -> None:
    gold = json.dumps({"answer": r"10 \text{ cm}", "tolerance": 1})
    assert correct(r"\boxed{10.5 \text{ cm}}", gold)
    assert correct(r"\boxed{10.5}", gold)
    assert not correct(r"\boxed{10.5 \text{ m}}", gold)


def test_without_a_tolerance_values_are_exact() -> None:
    assert parse_gold(r"\{1,2\}") == Gold(r"\{1,2\}")
    assert parse_gold('{"answer": "7"}') == Gold("7")
    assert not correct(r"\boxed{7.004}", '{"answer": "7"}')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (" ", "is empty"),
        ('{"answer": "7"', "begins like JSON and is not"),
        ('{"answer": 7}', "answer=7 must be a text"),
        ('{"answer": "7", "error": 1}', "unknown field 'error': use answer, tolerance, relative_tolerance"),
        ('{"answer": "7", "tolerance": -1}', "tolerance=-1 must be a number of at least 0"),
        ('{"answer": "7", "tolerance": true}', "tolerance=True must be a number of at least 0"),
        ('{"answer": "7", "relative_tolerance": NaN}', "relative_tolerance=nan must be a number of at least 0"),
        ('{"answer": "x+1", "tolerance": 1}', "a tolerance, and answer='x+1' is not a number"),
    ],
)
def test_a_malformed_ground_truth_is_told_before_training(text: str, said: str) -> None:
    assert ground_truth_problem(text).startswith(said)
    with pytest.raises(GroundTruthError):
        parse_gold(text)
