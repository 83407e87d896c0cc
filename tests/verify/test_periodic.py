"""Solutions that repeat: the same numbers in any cut of the period, and nothing else."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.verify.answer_text import find_answer
from fail2fix.verify.math_answer import judge
from fail2fix.verify.periodic import same_families

PERIODS = st.sampled_from([Fraction(1, 2), Fraction(2, 3), Fraction(1), Fraction(2)])
# Twelfths of a period, some of them periods away: as starts, solutions that never meet.
PLACES = st.lists(
    st.tuples(st.integers(0, 11), st.integers(-6, 6)), min_size=3, max_size=5, unique_by=lambda each: each[0]
)


def starts_of(places: list[tuple[int, int]], period: Fraction) -> list[Fraction]:
    return [(Fraction(twelfths, 12) + periods) * period for twelfths, periods in places]


def member(start: Fraction, period: Fraction) -> str:
    written = [rf"\frac{{{part.numerator}\pi}}{{{part.denominator}}}" for part in (start, period)]
    return f"{written[0]}+{written[1]}k"


@given(places=PLACES, period=PERIODS, cuts=st.integers(1, 3), turns=st.integers(-3, 3))
def test_a_family_is_its_cuts_into_longer_periods_and_its_shifts(
    places: list[tuple[int, int]], period: Fraction, cuts: int, turns: int
) -> None:
    starts = starts_of(places[1:], period)
    ours = [member(start, period) for start in starts]
    theirs = [
        member(start + (turns + cut) * period, cuts * period).replace("k", "n")
        for start in starts
        for cut in range(cuts)
    ]
    assert same_families(ours, theirs)
    assert same_families(theirs, ours)


@given(places=PLACES, period=PERIODS)
def test_another_start_or_period_is_another_family(places: list[tuple[int, int]], period: Fraction) -> None:
    *starts, other = starts_of(places, period)
    ours = [member(start, period) for start in starts]
    assert same_families(ours, ours)
    assert not same_families(ours, [*ours, member(other, period)])
    assert not same_families(ours, [member(start, 2 * period) for start in starts])


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        (r"x=\frac{\pi}{6}+k\pi, x=-\frac{\pi}{6}+k\pi", r"\frac{\pi}{6}+n\pi, \frac{5\pi}{6}+n\pi", True),
        (r"\pm\frac{\pi}{3}+2k\pi", r"\frac{\pi}{3}+2k\pi, \frac{5\pi}{3}+2k\pi", True),
        (r"30^\circ+180^\circ k, 150^\circ+180^\circ k", r"30^\circ+180^\circ k, -30^\circ+180^\circ k", True),
        (r"\frac{\pi}{6}+k\pi, -\frac{\pi}{6}+k\pi", r"\frac{\pi}{6}+2k\pi, \frac{5\pi}{6}+k\pi", False),
        (r"x=\frac{\pi}{4}+k\pi, y=\frac{\pi}{2}+k\pi", r"x=\frac{\pi}{2}+k\pi, y=\frac{\pi}{4}+k\pi", False),
        (r"2k\pi, (2k+1)\pi", r"k\pi", True),
        (r"2k\pi, (2k+1)\pi", r"k\pi, k \in \mathbb{N}", False),
        (r"2k\pi, (2k+1)\pi", r"(k^3-3k^2+3k)\pi", False),
        (r"2k\pi, (2k+1)\pi", r"9222271855782073699012408589327024280k\pi", False),
        (r"2k\pi, (2k+1)\pi", "64k\\pi" + 190 * ",k\\pi", False),
        (r"\frac{\pi}{2}+2k\pi, -\frac{\pi}{2}+2k\pi", r"\frac{(2n+1)\pi}{2}", True),
        # Values that name a number twice are no solutions that repeat.
        (r"2n\pi, 4n\pi", r"2n\pi", False),
        (r"(n-2)\pi, n\pi", r"n\pi", False),
        # Here k is a given number, and its multiples are no periods.
        ("k+1, 2k", "k, 2k", False),
        (r"\pi r+k, k", r"\pi r+2k, k", False),
    ],
)
def test_lists_of_solutions(gold: str, answer: str, right: bool) -> None:
    assert judge(find_answer(rf"\boxed{{{answer}}}"), gold) is right
