r"""Compare solutions that repeat: lists of `a + kp`, k any whole number and p a rational multiple of pi.

Knows: expressions that `identity` reads. Must not know: verdicts. Starts are multiples of pi apart, and the gold answer
names no number twice: `2k\pi, 4k\pi` are formulas in a given k. What could be accepted wrongly: formulas in a given
number whose values are apart by chance, shifted by whole periods.

>>> same_families([r"\frac{\pi}{4}+k\pi", r"-\frac{\pi}{4}+k\pi"], [r"\frac{\pi}{4}+\frac{n\pi}{2}"])
True
>>> same_families([r"\frac{\pi}{4}+k\pi", r"-\frac{\pi}{4}+k\pi"], [r"\frac{\pi}{4}+k\pi"])
False
"""

import re
from fractions import Fraction
from math import gcd, lcm

from fail2fix.verify.identity import ratio, residue
from fail2fix.verify.plain_expression import ERRORS, NoValueError

MAX_STARTS = 64
"""Of one list, in the common period."""

_INDEX = re.compile(r"(?:(?<![a-zA-Z\\])|(?<=\\pi))[k-n](?![a-zA-Z])")
_LONG_NUMBER = re.compile(r"\d{13}")
_FAR = 982451653
"""A k at which no other sequence meets the line through its first two terms by chance."""

Family = tuple[int, Fraction]
"""The residue of a start, and the period as a multiple of pi."""


def same_families(golds: list[str], preds: list[str]) -> bool:
    """Whether two lists of `a + kp` name the same numbers; False for other forms and letters."""
    if len(golds) < 2 or max(len(golds), len(preds)) > MAX_STARTS:
        return False
    if any(len({letter for member in each for letter in _INDEX.findall(member)}) != 1 for each in (golds, preds)):
        return False
    try:
        ours, theirs = ([_family(member) for member in each] for each in (golds, preds))
        periods = [period for _, period in (*ours, *theirs)]
        common = Fraction(lcm(*(p.numerator for p in periods)), gcd(*(p.denominator for p in periods)))
        wanted, said = (_starts(each, ours[0][0], common) for each in (ours, theirs))
    except ERRORS:
        return False
    return set(wanted) == set(said) and len(set(wanted)) == len(wanted)


def _family(member: str) -> Family:
    """Raises one of `ERRORS`: no sequence whose terms are one multiple of pi apart."""
    if _LONG_NUMBER.search(member):
        raise NoValueError
    start, second, far = (residue(_INDEX.sub(f"({value})", member)) for value in (0, 1, _FAR))
    period = ratio(second - start, residue(r"\pi"))
    if not period or ratio(far - start, second - start) != _FAR:
        raise NoValueError
    return start, abs(period)


def _starts(families: list[Family], origin: int, common: Fraction) -> list[Fraction]:
    """All members of some families within one common period, in periods from `origin`."""
    if sum(common / period for _, period in families) > MAX_STARTS:
        raise NoValueError
    starts = []
    for start, period in families:
        offset = ratio(start - origin, residue(r"\pi"))
        if offset is None:
            raise NoValueError
        starts += [(offset + times * period) / common % 1 for times in range(int(common / period))]
    return starts
