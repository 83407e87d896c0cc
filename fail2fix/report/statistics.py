"""95 % intervals: pass@k, shares over problems, bootstrap, Student's t over seeds, paired differences.

Every measure is a ratio of sums over problems, ``sum num / sum den``: accuracy has each problem's share of right
answers over 1, a fix rate the fixed samples over the samples whose attempt was wrong. Problems are the units drawn: the
samples of one problem are not independent.

With several seeds (``Measure``) all runs share their problems, so each resample draws one set of problems for every
seed and config. Seeds are not resampled: three seeds give too few different resamples for a 95 % interval.

Shapes: _S seeds, _P problems, _R resamples, _X points of a curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, hypot, sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Curve = tuple[Sequence[float], Sequence[float]]  # x ascending, y

RESAMPLES = 2000
SEED = 0
# Student's t, 97.5 % quantile, for 1 to 30 degrees of freedom.
T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
Z_975 = 1.959964


@dataclass(frozen=True)
class Measure:
    """A ratio of sums over problems, 0 to 1, for each seed: ``num_SP`` and ``den_SP``, both (seeds, problems)."""

    num_SP: np.ndarray
    den_SP: np.ndarray


@dataclass(frozen=True)
class Interval:
    """A value and the bounds of its 95 % interval; the bounds are None where nothing could be resampled."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with three intervals, and each seed alone.

    ``over_problems``: percentile bootstrap over problems, for these seeds. ``over_seeds``: Student's t over the seeds'
    values, for these problems. ``over_problems_and_seeds``: the distances to both bounds added in quadrature (with one
    seed, over problems alone). ``seeds``: percentile bootstrap over problems within each seed, in the measure's order.
    Bounds end at 0 and 1, those of a difference at -1 and 1.
    """

    over_problems_and_seeds: Interval
    over_problems: Interval
    over_seeds: Interval
    seeds: tuple[Interval, ...]


@dataclass(frozen=True)
class Band:
    """The mean over seeds of curves on common x, and its 95 % bounds (None with one seed). Each (X,)."""

    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...] | None
    high: tuple[float, ...] | None


def pass_at_k(correct: int, n: int, k: int) -> float:
    """Unbiased probability that at least one of ``k`` out of ``n`` samples is right, of which ``correct`` are.

    Raises ``ValueError``: k outside 1 to n, or correct outside 0 to n.
    """
    if not (1 <= k <= n and 0 <= correct <= n):
        raise ValueError(f"pass@{k} of {correct} right out of {n}: needs 1 <= k <= n and 0 <= correct <= n")
    return 1 - comb(n - correct, k) / comb(n, k)


# One evaluation or two, without seeds


def bootstrap_interval(values_P: Floats) -> tuple[float, float]:
    """Percentile interval of the mean of ``values_P`` over draws with replacement."""
    random, problems = np.random.default_rng(SEED), len(values_P)
    # A thousand problems at a time: the draws of large sets do not fit into memory at once.
    blocks = np.array_split(np.arange(RESAMPLES), -(-problems // 1000))
    means = [values_P[random.integers(problems, size=(len(block), problems))].mean(1) for block in blocks]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return float(low), float(high)


def share(num_P: Floats, den_P: Floats) -> Interval | None:
    """A ratio of sums over problems with its interval; None where nothing counts. 0 <= ``num_P`` <= ``den_P``.

    Wilson's score interval with Student's quantile and the number of trials of a binomial share of the same variance.
    Where no problem differs from another (a share of 0 or 1), the number of problems.
    """
    num_P, den_P = num_P[den_P > 0], den_P[den_P > 0]
    problems = len(den_P)
    if problems == 0:
        return None
    value = float(num_P.sum() / den_P.sum())
    if problems == 1:
        return Interval(value, None, None)
    variance = float((_influence(num_P, den_P) ** 2).sum()) / (problems * (problems - 1))
    spread = value * (1 - value)
    trials = spread / variance if variance > 0 and spread > 0 else float(problems)
    return Interval(value, *_wilson(value, trials, student_975(problems - 1)))


def _wilson(value: float, trials: float, t: float) -> tuple[float, float]:
    shrunk = (value + t**2 / (2 * trials)) / (1 + t**2 / trials)
    half = t / (1 + t**2 / trials) * sqrt(value * (1 - value) / trials + t**2 / (4 * trials**2))
    # At 0 and 1 the bound is the value itself, but for rounding.
    return (0.0 if value == 0 else max(0.0, shrunk - half)), (1.0 if value == 1 else min(1.0, shrunk + half))


def share_difference(num_P: Floats, den_P: Floats, other_num_P: Floats, other_den_P: Floats) -> Interval | None:
    """One share minus another over the same problems, in their order; None where either has nothing to count.

    Student's, with Agresti and Min's half problem added on each side and one between, so that equal problems do not
    give an interval of no width.
    """
    if not den_P.sum() or not other_den_P.sum():
        return None
    value = float(num_P.sum() / den_P.sum() - other_num_P.sum() / other_den_P.sum())
    problems = len(num_P)
    if problems < 2:
        return Interval(value, None, None)
    # What each problem adds, to first order; for accuracies exactly its own difference.
    each_P = value + _influence(num_P, den_P) - _influence(other_num_P, other_den_P)
    count = problems + 2
    mean = float(each_P.sum()) / count
    variance = (float((each_P**2).sum()) + 1 - count * mean**2) / (count - 1)
    half = student_975(problems - 1) * sqrt(variance / count)
    return Interval(value, max(-1.0, mean - half), min(1.0, mean + half))


def _influence(num_P: Floats, den_P: Floats) -> Floats:
    found: Floats = (num_P - num_P.sum() / den_P.sum() * den_P) / den_P.mean()
    return found


# Several seeds


@lru_cache(maxsize=2)
def _draws(problems: int) -> np.ndarray:
    """How often each resample takes each problem, (R, P): always the same, so all measures are paired by problem."""
    random = np.random.default_rng(SEED)
    return random.multinomial(problems, np.full(problems, 1 / problems), size=RESAMPLES)


def estimate(measure: Measure) -> Estimate | None:
    """Mean over seeds of a measure with its intervals; None if some seed has no problem that counts."""
    return _estimate(_values(measure), _resampled(measure), least=0.0)


def difference(measure: Measure, reference: Measure) -> Estimate | None:
    """``measure - reference``, paired by seed and problem: both are resampled by the same draws. None as above."""
    values_S, resampled_RS = _values(measure) - _values(reference), _resampled(measure) - _resampled(reference)
    return _estimate(values_S, resampled_RS, least=-1.0)


def _values(measure: Measure) -> np.ndarray:
    """Each seed's value, (S,); nan where no problem counts."""
    return _ratio(measure.num_SP.sum(1), measure.den_SP.sum(1))


def _resampled(measure: Measure) -> np.ndarray:
    """The seeds' values in each resample of problems, (R, S); nan where no problem drawn counts."""
    draws_RP = _draws(measure.num_SP.shape[1])
    return _ratio(draws_RP @ measure.num_SP.T, draws_RP @ measure.den_SP.T)


def _ratio(num: np.ndarray, den: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = np.divide(num, den, out=np.full(num.shape, np.nan), where=den > 0)
    return ratio


def _estimate(values_S: np.ndarray, resampled_RS: np.ndarray, least: float) -> Estimate | None:
    if np.isnan(values_S).any():
        return None
    over_problems, over_seeds = _percentiles(float(values_S.mean()), resampled_RS.mean(1)), seed_interval(values_S)
    return Estimate(
        over_problems_and_seeds=_bounded(_in_quadrature(over_problems, over_seeds), least),
        over_problems=over_problems,
        over_seeds=_bounded(over_seeds, least),
        seeds=tuple(_percentiles(float(value), column) for value, column in zip(values_S, resampled_RS.T, strict=True)),
    )


def _percentiles(value: float, resampled_R: np.ndarray) -> Interval:
    measured = resampled_R[~np.isnan(resampled_R)]
    if not measured.size:
        return Interval(value, None, None)
    low, high = np.percentile(measured, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def _in_quadrature(a: Interval, b: Interval) -> Interval:
    """Combine two independent uncertainties of one value, each side apart; one without bounds adds nothing."""
    low = hypot(*(i.value - i.low for i in (a, b) if i.low is not None))
    high = hypot(*(i.high - i.value for i in (a, b) if i.high is not None))
    return Interval(a.value, a.value - low, a.value + high) if a.low is not None or b.low is not None else a


def _bounded(interval: Interval, least: float) -> Interval:
    if interval.low is None or interval.high is None:
        return interval
    return Interval(interval.value, max(least, interval.low), min(1.0, interval.high))


def student_975(degrees: int) -> float:
    """Student's t, 97.5 % quantile; beyond the table from the normal's, to within 0.001."""
    if degrees <= len(T_975):
        return T_975[degrees - 1]
    return Z_975 + (Z_975**3 + Z_975) / (4 * degrees)


def seed_interval(values_S: np.ndarray) -> Interval:
    """The mean of ``values_S`` (S,) with Student's 95 % interval; no bounds with one seed."""
    mean = float(values_S.mean())
    if len(values_S) < 2:
        return Interval(mean, None, None)
    half = student_975(len(values_S) - 1) * float(values_S.std(ddof=1)) / sqrt(len(values_S))
    return Interval(mean, mean - half, mean + half)


def band(curves: Sequence[Curve]) -> Band | None:
    """Mean and bounds over seeds of curves, interpolated to every x that all of them span; None if there is none."""
    start, end = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    grid = sorted({point for x, _ in curves for point in x if start <= point <= end})
    if not grid:
        return None
    points = [seed_interval(np.array([np.interp(point, x, y) for x, y in curves])) for point in grid]
    lows = tuple(point.low for point in points if point.low is not None)
    highs = tuple(point.high for point in points if point.high is not None)
    return Band(tuple(grid), tuple(point.value for point in points), lows or None, highs or None)
