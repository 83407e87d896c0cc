"""Short answers in words, by the rule of SQuAD's scorer, or to the letter."""

from __future__ import annotations

import asyncio
import json

import pytest

from fail2fix.verify.config import Channel, VerifierConfig
from fail2fix.verify.text_verifier import ground_truth_problem, open_verifier

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
        (r"\boxed{hello, Hello}", LETTERS, True),
        (r"\boxed{hello, hello}", LETTERS, False),
    ],
)
def test_which_answers_are_the_same(response: str, gold: dict[str, object], right: bool) -> None:
    verifier = open_verifier(VerifierConfig(channel=Channel.boxed))
    assert asyncio.run(verifier.verify(response, json.dumps(gold))).correct is right


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
