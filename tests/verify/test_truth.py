"""Our verdicts against labels, and against math-verify on the same rows in the same run."""

from __future__ import annotations

import pytest

from fail2fix.verify.certify.figures import confusion
from fail2fix.verify.certify.judging import judge_one_by_one
from fail2fix.verify.certify.peers import ask
from fail2fix.verify.certify.rows import TruthRow
from fail2fix.verify.cost import is_oversized
from fail2fix.verify.latex_text import clean
from fail2fix.verify.verifier import Verdict
from tests.verify.truth import truth

pytestmark = pytest.mark.needs_shared


def ours(rows: list[TruthRow]) -> list[Verdict]:
    judging = judge_one_by_one([(row.text, row.gold) for row in rows], workers=2, deadline_s=10.0)
    for verdict in judging.verdicts:
        too_large = verdict.status == "timeout" and is_oversized(clean(verdict.pred))
        assert verdict.status in ("ok", "no_answer") or too_large, verdict
    return judging.verdicts


def test_no_verdict_on_gsm8k_generations_is_wrong() -> None:
    rows = truth("gsm8k_labelled_generations.jsonl.gz")
    assert len(rows) == 5276
    found = confusion(rows, ours(rows))
    assert (found["false_accepts"], found["false_rejects"]) == (0, 0)


@pytest.mark.slow
def test_fewer_wrong_verdicts_than_math_verify_on_full_solutions() -> None:
    rows = truth("processbench_pairs.jsonl.gz")
    assert len(rows) == 1533
    mine = confusion(rows, ours(rows))
    theirs = confusion(rows, ask("math-verify", [(row.text, row.gold) for row in rows], deadline_s=30.0).verdicts)
    assert mine["false_accepts"] < theirs["false_accepts"]
    assert mine["false_rejects"] < theirs["false_rejects"]
