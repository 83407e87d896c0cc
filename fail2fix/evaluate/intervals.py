"""95 % intervals of shares and of their paired differences, over problems (ours).

Shapes: N problems. A share is a ratio of sums over problems, `sum num / sum den`: accuracy has each problem's share of
right samples over 1, a fix rate its fixed samples over those whose attempt was wrong. Problems are the units drawn: the
samples of one are not independent.

One share: Wilson's score interval with Student's quantile and an effective number of trials, which is what a binomial
share of the same variance would have; near 0 and 1, where every problem may be alike, it keeps the problems' number
instead of becoming a point. A difference: Student's, with Agresti and Min's half problem added on each side and one
between, for the same reason. `tests/evaluate/test_intervals.py` simulates how often they cover.

>>> share(np.array([1.0, 0.0, 1.0, 1.0]), np.ones(4)).value
0.75
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from fail2fix.report.statistics import Interval, student_975

Floats = NDArray[np.float64]


def share(num_N: Floats, den_N: Floats) -> Interval | None:
    """A ratio of sums over problems with its interval; None where nothing counts. `num_N` <= `den_N`, both >= 0."""
    counts = den_N > 0
    num_N, den_N = num_N[counts], den_N[counts]
    problems = len(den_N)
    if problems == 0:
        return None
    value = float(num_N.sum() / den_N.sum())
    if problems == 1:
        return Interval(value, None, None)
    return Interval(value, *_wilson(value, _effective(value, num_N, den_N), student_975(problems - 1)))


def _effective(value: float, num_N: Floats, den_N: Floats) -> float:
    """Trials of a binomial share as uncertain as this one; where no problem differs from another, the problems."""
    problems = len(den_N)
    residual = (num_N - value * den_N) / den_N.mean()
    variance = float((residual**2).sum()) / (problems * (problems - 1))
    spread = value * (1 - value)
    return spread / variance if variance > 0 and spread > 0 else float(problems)


def _wilson(value: float, trials: float, t: float) -> tuple[float, float]:
    shrunk = (value + t**2 / (2 * trials)) / (1 + t**2 / trials)
    half = t / (1 + t**2 / trials) * sqrt(value * (1 - value) / trials + t**2 / (4 * trials**2))
    # At 0 and 1 the bound is the value itself, but for rounding.
    return (0.0 if value == 0 else max(0.0, shrunk - half)), (1.0 if value == 1 else min(1.0, shrunk + half))


def difference(num_N: Floats, den_N: Floats, other_num_N: Floats, other_den_N: Floats) -> Interval | None:
    """One share minus another over the same problems, in their order; None where either has nothing to count."""
    if not den_N.sum() or not other_den_N.sum():
        return None
    value = float(num_N.sum() / den_N.sum() - other_num_N.sum() / other_den_N.sum())
    problems = len(num_N)
    if problems < 2:
        return Interval(value, None, None)
    # What each problem adds, to first order; for accuracies exactly its own difference.
    each_N = value + _influence(num_N, den_N) - _influence(other_num_N, other_den_N)
    total = problems + 2
    mean = float(each_N.sum()) / total
    variance = (float((each_N**2).sum()) + 1 - total * mean**2) / (total - 1)
    half = student_975(problems - 1) * sqrt(variance / total)
    return Interval(value, max(-1.0, mean - half), min(1.0, mean + half))


def _influence(num_N: Floats, den_N: Floats) -> Floats:
    value = num_N.sum() / den_N.sum()
    found: Floats = (num_N - value * den_N) / den_N.mean()
    return found
