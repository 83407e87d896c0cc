"""Where our verdict differs from a peer's own test, it is by decision, and each decision has its reason.

`truth/peer_unit_cases` holds the labelled cases of four other verifiers. Labels follow their conventions, some of which
a trained policy would exploit. The row lists are of this test only; no rule of the product knows a row.
"""

from __future__ import annotations

import pytest

from fail2fix.verify.certify.judging import judge_one_by_one
from fail2fix.verify.certify.rows import TruthRow
from tests.verify.truth import truth

pytestmark = pytest.mark.needs_shared

ROWS = 562
MAX_DECIDED, MAX_LISTED = 0.10, 0.02

DECIDED: dict[str, frozenset[int]] = {
    "a decimal comma is not read: `1,22` groups digits or lists two numbers": frozenset({5, 6, 7, 17, 233, 234, 235}),
    "an unevaluated or unreduced number is no answer, and a chain that contradicts itself is wrong": frozenset(
        {30, 37, 98, 100, 101, 257, 264, 316, 318, 319}
    ),
    "a sum or product of matrices is unevaluated": frozenset({123, 124, 330, 331}),
    "a formula may begin and end on lines of its own": frozenset({31, 32, 258, 259}),
    "values are exact: no rounding that the data set does not state": frozenset(
        {126, 133, 139, 333, 340, 346, 509, 512, 514, 515, 518, 527, 528, 535, 554}
    ),
    "what another channel says is part of the answer": frozenset({172, 377}),
    "a letter chosen in prose is no answer without a declared channel; a gold answer is the bare letter": frozenset(
        {191, 192, 193, 197, 198, 199, 200, 201, 203, 204}
    ),
    "boxes within 40 characters of each other on a line are one answer": frozenset({420, 421, 450}),
    "an inequality equals the interval it describes": frozenset({187}),
}

LISTED: dict[str, frozenset[int]] = {
    "the gold answer is a whole solution in prose that ends without an answer": frozenset({60, 278}),
    "the gold answer is a chain of different values": frozenset({109}),
    "an amount in the middle of a French sentence, another number behind it": frozenset({216}),
    "an inequality of |z| against a union of intervals of z": frozenset({388, 454}),
    "a physical formula beyond what may be parsed: commands nobody listed": frozenset({504}),
    "names that the peer's case gives values in another argument": frozenset({542}),
    "a list in brackets against a column matrix": frozenset({550}),
    "a system of equations, one with a rounded coefficient": frozenset({551}),
    "a bound of 2^(1/2^1000) against its rounded value 1": frozenset({556}),
}


@pytest.fixture(scope="module")
def missed() -> frozenset[int]:
    rows = truth("peer_unit_cases.jsonl")
    assert len(rows) == ROWS
    return frozenset(misses(rows))


def misses(rows: list[TruthRow], statuses: frozenset[str] = frozenset({"ok", "no_answer"})) -> list[int]:
    verdicts = judge_one_by_one([(row.text, row.gold) for row in rows], workers=2, deadline_s=10.0).verdicts
    assert {verdict.status for verdict in verdicts} <= statuses
    return [place for place, row in enumerate(rows) if verdicts[place].correct != row.equal]


def test_every_miss_has_its_reason(missed: frozenset[int]) -> None:
    assert missed == frozenset().union(*DECIDED.values(), *LISTED.values())


def test_no_row_has_two_reasons() -> None:
    reasons = [*DECIDED.values(), *LISTED.values()]
    assert sum(map(len, reasons)) == len(frozenset().union(*reasons))


def test_the_shares_hold() -> None:
    assert sum(map(len, DECIDED.values())) <= MAX_DECIDED * ROWS
    assert sum(map(len, LISTED.values())) <= MAX_LISTED * ROWS


HARD_ROWS, HARD_RIGHT = 262, 131

REFUSED: dict[str, frozenset[int]] = {
    "a rounding that the gold answer does not allow": frozenset(
        {132, 142, 152, 198, 202, 208, 210, 220, 228, 232, 246}
    ),
    "words, cases or a proof": frozenset({94, 138, 154, 172, 176, 190, 206, 214, 258, 260}),
    "the gold answer is damaged": frozenset({62, 106}),
    "an identity that is not decided here": frozenset({188, 226}),
    "one of many right answers": frozenset({148}),
    "names keep their case": frozenset({162}),
    "the label takes an open interval for a closed one": frozenset({240}),
}


def test_hard_right_answers_are_accepted_or_refused_for_a_reason() -> None:
    rows = truth("hardverify_math.jsonl")
    pairs = [(rf"\boxed{{{row.text}}}", row.gold) for row in rows]
    verdicts = judge_one_by_one(pairs, workers=2, deadline_s=10.0, channel="boxed").verdicts
    assert (len(rows), sum(row.equal for row in rows)) == (HARD_ROWS, HARD_RIGHT)
    assert not [place for place, row in enumerate(rows) if verdicts[place].correct and not row.equal]
    refused = {place for place, row in enumerate(rows) if row.equal and not verdicts[place].correct}
    assert refused == frozenset().union(*REFUSED.values())


SOLUTIONS = 1533

DIFFERENT: dict[str, set[str]] = {
    "the label judges the steps: the answer is the gold answer": {
        "gsm8k-70", "gsm8k-74", "math-50", "math-248", "math-278",
    },
    "the label asks for fewer terms: the answer equals the gold answer": {"math-392"},
    "the label judges the steps: another value is in the box": {
        "gsm8k-319", "olympiadbench-534", "olympiadbench-651", "olympiadbench-658", "olympiadbench-687",
        "olympiadbench-859", "omnimath-591", "omnimath-922",
    },
    "the gold answer is the value of a given number, which the answer names": {
        "olympiadbench-571", "olympiadbench-649", "olympiadbench-709", "olympiadbench-769",
    },
    "the gold answer is damaged": {"olympiadbench-801"},
    "a proof, with an empty box": {"omnimath-660"},
    "said in a sentence among other formulas": {"math-791", "math-926", "math-999", "olympiadbench-908"},
    "two values in two boxes with a sentence between: a hedge looks like that": {"olympiadbench-806"},
}  # fmt: skip


@pytest.mark.heavy
def test_verdicts_on_full_solutions_differ_from_labels_for_a_reason() -> None:
    rows = truth("processbench_pairs.jsonl.gz")
    assert len(rows) == SOLUTIONS
    # One wrong answer is a sum that is too long to work out.
    differing = misses(rows, frozenset({"ok", "no_answer", "timeout"}))
    assert {rows[place].id for place in differing} == set().union(*DIFFERENT.values())
