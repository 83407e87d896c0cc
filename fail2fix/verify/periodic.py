r"""Compare solutions that repeat: lists of `a + kp`, k any whole number and p a rational multiple of pi.

Knows: expressions that `identity` reads. Must not know: verdicts. What could be accepted wrongly: a list of formulas in
a given number k, shifted by whole periods.

>>> same_families([r"\frac{\pi}{4}+k\pi", r"-\frac{\pi}{4}+k\pi"], [r"\frac{\pi}{4}+\frac{k\pi}{2}"])
True
>>> same_families([r"\frac{\pi}{4}+k\pi", r"-\frac{\pi}{4}+k\pi"], [r"\frac{\pi}{4}+k\pi"])
False
"""

import re
from fractions import Fraction
from itertools import pairwise
from math import gcd, lcm

from fail2fix.verify.identity import ratio, residue
from fail2fix.verify.plain_expression import ERRORS

MAX_STARTS = 64
"""Of one list, in the common period."""

_INDEX = re.compile(r"(?:(?<![a-zA-Z\\])|(?<=\\pi))[k-n](?![a-zA-Z])")

Family = tuple[int, Fraction]
"""The residue of a start, and the period as a multiple of pi."""


def same_families(golds: list[str], preds: list[str]) -> bool:
    """Whether two lists of `a + kp` name the same numbers; False too if a member is none or their letters differ."""
    members = [*golds, *preds]
    if len({letter for member in members for letter in _INDEX.findall(member)}) != 1:
        return False
    try:
        families = [_family(member) for member in members]
    except ERRORS:
        return False
    periods = [period for _, period in families]
    common = Fraction(lcm(*(p.numerator for p in periods)), gcd(*(p.denominator for p in periods)))
    ours, theirs = (_starts(each, common) for each in (families[: len(golds)], families[len(golds) :]))
    if max(len(ours), len(theirs)) > MAX_STARTS:
        return False
    return _all_among(ours, theirs, common) and _all_among(theirs, ours, common)


def _family(member: str) -> Family:
    terms = [residue(_INDEX.sub(f"({value})", member)) for value in range(3)]
    one, two = (ratio(after - before, residue(r"\pi")) for before, after in pairwise(terms))
    if not one or one != two:
        raise ValueError("its terms are not one multiple of pi apart")
    return terms[0], abs(one)


def _starts(families: list[Family], common: Fraction) -> list[int]:
    """Residues of all members of some families within one common period."""
    return [
        start + residue(rf"\frac{{{times * period.numerator}\pi}}{{{period.denominator}}}")
        for start, period in families
        for times in range(min(int(common / period), MAX_STARTS + 1))
    ]


def _all_among(starts: list[int], others: list[int], period: Fraction) -> bool:
    """Whether each start is another one plus whole periods."""
    pi = residue(r"\pi")
    gaps = ([ratio(start - other, pi) for other in others] for start in starts)
    return all(any(gap is not None and (gap / period).denominator == 1 for gap in each) for each in gaps)
