"""Numbers with intervals: pass@k, bootstrap over problems, Student's t over seeds, both together, paired differences.

Knows arrays only. Every measure is a ratio of sums over problems, ``sum num / sum den`` (accuracy: share of right
answers / 1; fix rate: fixed samples / samples whose attempt was wrong), held as a ``Measure``. All runs measured
together share their problems, so a resample draws *one* set of problems for all seeds and configs: problems that were
hard to draw for one seed are so for all. Seeds are not resampled: three seeds give
too few different resamples for a 95 % interval. Shapes: _S seeds, _P problems, _R resamples, _X points of a curve.

Example::

    draws = draw(problems=500)
    estimate(accuracy_of_cipo, draws)                  # mean over seeds, its interval, and each seed's
    difference(accuracy_of_cipo, accuracy_of_grpo, draws)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, hypot, sqrt

import numpy as np

from fail2fix.report.figures import RESAMPLES, SEED

Curve = tuple[Sequence[float], Sequence[float]]  # x ascending, y

# Student's t, 97.5 % quantile, for 1 to 30 degrees of freedom.
T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
Z_975 = 1.959964


@dataclass(frozen=True)
class Measure:
    """A ratio of sums over problems, for each seed: ``num_SP`` and ``den_SP``, both (seeds, problems)."""

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

    ``over_problems``: percentile bootstrap over problems, these seeds given. ``over_seeds``: Student's t over the
    seeds' values, these problems given; wide with few seeds and honest about it. ``over_problems_and_seeds``: both
    together, the distances to their bounds added in quadrature (with one seed, over problems alone). ``seeds``:
    percentile bootstrap over problems within each seed, in the order of the measure's rows.
    """

    over_problems_and_seeds: Interval
    over_problems: Interval
    over_seeds: Interval
    seeds: tuple[Interval, ...]


@dataclass(frozen=True)
class Draws:
    """Which problems each resample takes, as counts: ``problems_RP``."""

    problems_RP: np.ndarray


@dataclass(frozen=True)
class Band:
    """The mean over seeds of curves on common x, and its 95 % bounds (None with one seed). Each (X,)."""

    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...] | None
    high: tuple[float, ...] | None


def pass_at_k(correct: int, n: int, k: int) -> float:
    """Probability that at least one of ``k`` out of ``n`` samples is right, ``correct`` of them being so, unbiased.

    Raises:
        ValueError: k outside 1 to n, or correct outside 0 to n.
    """
    if not (1 <= k <= n and 0 <= correct <= n):
        raise ValueError(f"pass@{k} of {correct} right out of {n}: needs 1 <= k <= n and 0 <= correct <= n")
    return 1 - comb(n - correct, k) / comb(n, k)


def draw(problems: int, resamples: int = RESAMPLES, random_seed: int = SEED) -> Draws:
    """Draw the resamples once; estimates and differences that share them are paired by problem."""
    random = np.random.default_rng(random_seed)
    return Draws(random.multinomial(problems, np.full(problems, 1 / problems), size=resamples))


def estimate(measure: Measure, draws: Draws) -> Estimate | None:
    """Mean over seeds of a measure with its intervals; None if some seed has no problem that counts."""
    values_S = _ratio(measure.num_SP.sum(1), measure.den_SP.sum(1))
    return _estimate(values_S, _resampled(measure, draws))


def difference(measure: Measure, reference: Measure, draws: Draws) -> Estimate | None:
    """``measure - reference`` paired by seed and problem: both are resampled by the same draws. None as above."""
    values_S = _ratio(measure.num_SP.sum(1), measure.den_SP.sum(1))
    reference_S = _ratio(reference.num_SP.sum(1), reference.den_SP.sum(1))
    return _estimate(values_S - reference_S, _resampled(measure, draws) - _resampled(reference, draws))


def _ratio(num: np.ndarray, den: np.ndarray) -> np.ndarray:
    return np.divide(num, den, out=np.full(num.shape, np.nan), where=den > 0)


def _resampled(measure: Measure, draws: Draws) -> np.ndarray:
    """The seeds' values in each resample of problems, (R, S); nan where no problem drawn counts."""
    return _ratio(draws.problems_RP @ measure.num_SP.T, draws.problems_RP @ measure.den_SP.T)


def _estimate(values_S: np.ndarray, resampled_RS: np.ndarray) -> Estimate | None:
    if np.isnan(values_S).any():
        return None
    over_problems, over_seeds = _percentiles(float(values_S.mean()), resampled_RS.mean(1)), seed_interval(values_S)
    return Estimate(
        over_problems_and_seeds=_in_quadrature(over_problems, over_seeds),
        over_problems=over_problems,
        over_seeds=over_seeds,
        seeds=tuple(_percentiles(float(value), column) for value, column in zip(values_S, resampled_RS.T, strict=True)),
    )


def _percentiles(value: float, resampled_R: np.ndarray) -> Interval:
    measured = resampled_R[~np.isnan(resampled_R)]
    if not measured.size:
        return Interval(value, None, None)
    low, high = np.percentile(measured, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def _in_quadrature(a: Interval, b: Interval) -> Interval:
    """Two independent uncertainties of one value together, each side apart; one without bounds adds nothing."""
    low = hypot(*(i.value - i.low for i in (a, b) if i.low is not None))
    high = hypot(*(i.high - i.value for i in (a, b) if i.high is not None))
    return Interval(a.value, a.value - low, a.value + high) if a.low is not None or b.low is not None else a


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
    values_SX = np.array([np.interp(grid, x, y) for x, y in curves])
    points = [seed_interval(column) for column in values_SX.T]
    lows = [point.low for point in points if point.low is not None]
    highs = [point.high for point in points if point.high is not None]
    return Band(
        x=tuple(grid),
        mean=tuple(point.value for point in points),
        low=tuple(lows) if lows else None,
        high=tuple(highs) if highs else None,
    )
