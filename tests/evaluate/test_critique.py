"""Critiques: what is read as a verdict, and CriticBench's F1 of the wrong label."""

from __future__ import annotations

from pathlib import Path

import pytest

from fail2fix.data.sets.spec import GivenAttempt
from fail2fix.evaluate.benchmarks import Sampling
from fail2fix.evaluate.judging import Judge, f1, said
from fail2fix.evaluate.scores import score
from fail2fix.evaluate.settings import Settings, check
from fail2fix.method.errors import InputError
from fail2fix.verify.config import VerifierConfig
from tests.evaluate.rows import question, records


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (r"Fine. \boxed{right}", True),
        (r"No: \boxed{\text{wrong}}", False),
        (r"\boxed{Wrong}.", False),
        (r"\boxed{right} or \boxed{wrong}", None),
        (r"\boxed{wrong}, or rather \boxed{right}", None),
        ("It is wrong.", None),
        (r"\boxed{42}", None),
        (r"\boxed{not wrong}", None),
    ],
)
def test_one_box_says_it(text: str, verdict: bool | None) -> None:
    assert said(text) is verdict


def test_f1_of_the_wrong_label() -> None:
    labels = [False, False, False, True, True]
    # Two of three wrong ones found, one right one called wrong, one that says nothing.
    assert f1(labels, [False, False, None, False, True]) == pytest.approx(2 * 2 / (3 + 3))
    assert f1(labels, [True] * 5) == 0
    assert f1([True, True], [False, True]) == 0
    assert f1(labels, labels) == 1


def test_a_critique_is_judged_by_the_label() -> None:
    asked = [
        question(f"q{n}", attempt=GivenAttempt("...", correct), task="critique")
        for n, correct in enumerate((True, False))
    ]
    texts = [r"\boxed{wrong}", r"\boxed{wrong}"]
    with Judge(VerifierConfig()) as judge:
        judge.require(asked)
        verdicts = judge.submit(list(zip(asked, texts, strict=True))).result(timeout=60)
    assert [verdict["correct"] for verdict in verdicts] == [False, True]
    rows = records([[False], [True]], before=[True, False])
    for row, verdict in zip(rows, verdicts, strict=True):
        row |= verdict
    found = score(rows, asked)
    assert found["accuracy"]["value"] == 0.5
    assert found["critique_f1"] == pytest.approx(2 / 3)
    assert "transition" not in found


def test_a_critique_is_not_corrected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--self-correction 1: must be 0 with criticbench_critique"):
        check(Settings("m", {"criticbench_critique": Sampling()}, rounds=1))
