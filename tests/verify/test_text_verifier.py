"""Short answers in words, by the rule of SQuAD's scorer, or to the letter."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.verify.config import Channel, VerifierConfig
from fail2fix.verify.text_verifier import ground_truth_problem, open_verifier, same

NAMES = {"answers": ["Mount Fuji", "Fujisan"]}
LETTERS = {"answers": ["hello, Hello"], "exact": True}


@pytest.mark.parametrize(
    ("response", "gold", "right"),
    [
        (r"It is \boxed{the mount  fuji.}", NAMES, True),
        (r"It is \boxed{\text{Fujisan}}", NAMES, True),
        (r"It is \boxed{Mount Kita}", NAMES, False),
        (r"It is \boxed{Mount Fuji} or \boxed{Mount Kita}", NAMES, False),
        (r"\boxed{(A)}", {"answers": ["A"]}, True),
        (r"\boxed{B}", {"answers": ["(A)"]}, False),
        (r"\boxed{Yes}", {"answers": ["yes"]}, True),
        (r"\boxed{B} or maybe $C$", {"answers": ["B"]}, False),
        (r"\boxed{B}, or also $b$", {"answers": ["B"]}, True),
        (r"\boxed{hello, Hello}", LETTERS, True),
        (r"\boxed{hello, hello}", LETTERS, False),
    ],
)
def test_which_answers_are_the_same(response: str, gold: dict[str, object], right: bool) -> None:
    verifier = open_verifier(VerifierConfig(channel=Channel.boxed))
    assert asyncio.run(verifier.verify(response, json.dumps(gold))).correct is right


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("5", "-5", False),
        ("-5", "5", False),
        ("-5", "\u22125", True),
        ("- 5", "-5", True),
        ("(-5)", "-5", True),
        ("$-5$.", "-5", True),
        ("x = -.5", "x -.5", True),
        ("±5", "5", False),
        ("+5", "5", True),
        ("35", "3.5", False),
        ("3.5", "35", False),
        (".5", "5", False),
        ("-3.5 degrees.", "-3.5 degrees", True),
        ("5.", "5", True),
        ("5...", "5", True),
        ("1.2.3", "123", False),
        ("12", "1/2", False),
        ("1020", "10-20", False),
        ("10\u201320", "10-20", True),
        ("1,000", "1000", True),
        ("50%", "50", True),
        ("no. 5", "no 5", True),
        ("COVID 19", "covid19", False),
        ("COVID-19", "covid19", True),
        ("well-known", "wellknown", True),
        ("U.S.", "us", True),
        ("-five", "five", True),
        ("a-b", "ab", True),
    ],
)
def test_signs_and_points_of_numbers_count(answer: str, gold: str, right: bool) -> None:
    assert same(answer, gold, exact=False) is right
    assert same(gold, answer, exact=False) is right


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2), st.decimals(-9, 9, places=2))
def test_other_numbers_are_other_answers(one: Decimal, two: Decimal) -> None:
    assert same(f"It is {one:f}.", f"it is {two:f}", exact=False) is (f"{one:f}" == f"{two:f}")


def test_no_box_is_no_answer() -> None:
    verifier = open_verifier(VerifierConfig(channel=Channel.boxed))
    assert asyncio.run(verifier.verify("It is Mount Fuji.", json.dumps(NAMES))).status == "no_answer"


@pytest.mark.parametrize(
    ("ground_truth", "problem"),
    [
        (json.dumps(NAMES), ""),
        ("Fuji", "ground truth is not JSON"),
        ("[]", "ground truth must be an object"),
        ('{"answers": []}', "answers is empty"),
        ('{"answers": ["?"]}', "answers[0]='?' is empty after normalization"),
        ('{"answers": ["a"], "exct": true}', "unknown field exct"),
    ],
)
def test_a_ground_truth_that_is_none_is_told_by_its_field(ground_truth: str, problem: str) -> None:
    found = ground_truth_problem(ground_truth)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)
