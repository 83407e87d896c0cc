"""Hand-computed values, and properties of the intervals."""

from itertools import combinations
from math import sqrt

import numpy as np
import pytest

from fail2fix.report.statistics import (
    T_975,
    Band,
    Measure,
    band,
    difference,
    estimate,
    pass_at_k,
    seed_interval,
)


def shares(values_SP: list[list[float]]) -> Measure:
    num_SP = np.array(values_SP, dtype=float)
    return Measure(num_SP, np.ones_like(num_SP))


def test_pass_at_k_by_hand() -> None:
    assert pass_at_k(1, 4, 1) == 0.25
    assert pass_at_k(1, 4, 2) == 0.5  # 3 of the 6 pairs hold the right one
    assert pass_at_k(2, 4, 2) == pytest.approx(5 / 6)
    assert pass_at_k(0, 4, 4) == 0
    assert pass_at_k(3, 4, 2) == 1  # no pair without a right one


@pytest.mark.parametrize("n", [1, 5, 8])
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(n: int) -> None:
    for correct in range(n + 1):
        for k in range(1, n + 1):
            subsets = list(combinations(range(n), k))
            share = sum(any(sample < correct for sample in subset) for subset in subsets) / len(subsets)
            assert pass_at_k(correct, n, k) == pytest.approx(share)


@pytest.mark.parametrize(("correct", "n", "k"), [(1, 4, 5), (1, 4, 0), (5, 4, 1), (-1, 4, 1)])
def test_pass_at_k_refuses_what_is_no_count(correct: int, n: int, k: int) -> None:
    with pytest.raises(ValueError, match="needs 1 <= k <= n"):
        pass_at_k(correct, n, k)


def test_an_estimate_is_the_mean_over_seeds_of_ratios_of_sums() -> None:
    """Seed 0: (1 + 0) / (4 + 1); seed 1: (2 + 1) / (4 + 1). Problems weigh by their denominators."""
    measure = Measure(np.array([[1, 0], [2, 1]]), np.array([[4, 1], [4, 1]]))
    found = estimate(measure)
    assert found is not None
    assert [seed.value for seed in found.seeds] == [0.2, 0.6]
    assert found.over_problems_and_seeds.value == found.over_seeds.value == pytest.approx(0.4)


def test_an_interval_over_problems_is_near_the_normal_one() -> None:
    found = estimate(shares([[1.0] * 100 + [0.0] * 300]))
    half = 1.96 * sqrt(0.25 * 0.75 / 400)
    assert found is not None
    for interval in (found.over_problems_and_seeds, found.over_problems, found.seeds[0]):
        assert interval.low == pytest.approx(0.25 - half, abs=0.008)
        assert interval.high == pytest.approx(0.25 + half, abs=0.008)
    assert found.over_seeds.low is None  # one seed


def test_seeds_widen_the_interval_and_repeated_seeds_do_not_narrow_it() -> None:
    """The seeds share their problems, so the same run twice knows no more about other problems."""
    one = [1.0] * 50 + [0.0] * 50
    other = [1.0] * 90 + [0.0] * 10
    alone = estimate(shares([one]))
    repeated = estimate(shares([one, one, one]))
    mixed = estimate(shares([one, other, one]))
    assert alone
    assert repeated
    assert mixed
    widths = [e.over_problems_and_seeds.high - e.over_problems_and_seeds.low for e in (alone, repeated, mixed)]
    assert widths[1] == pytest.approx(widths[0], abs=0.02)
    assert widths[2] > 1.3 * widths[0]
    assert mixed.over_problems_and_seeds.low <= min(mixed.over_problems.low, mixed.over_seeds.low)
    assert mixed.over_problems_and_seeds.high >= max(mixed.over_problems.high, mixed.over_seeds.high)


@pytest.mark.parametrize("seed_effect", [0.0, 0.05, 0.2])
def test_intervals_cover_the_truth_about_as_often_as_they_say(seed_effect: float) -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        difficulty = random.random(60)  # mean 0.5 over all problems there could be
        luck = random.normal(0, seed_effect, (3, 1))  # mean 0 over all seeds there could be
        chance = np.clip(difficulty + luck, 0, 1)
        answers = (random.random((4, 3, 60)) < chance).mean(0)
        found = estimate(Measure(answers, np.ones_like(answers)))
        assert found is not None
        interval = found.over_problems_and_seeds
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 0.5 <= interval.high
    assert 0.92 <= covered / 200 <= 1


def test_a_difference_is_paired_by_problem_and_seed() -> None:
    """Each problem is 0.1 better in every seed: the pairing knows the difference exactly, the means do not."""
    random = np.random.default_rng(0)
    reference = random.random((3, 50)) * 0.9
    found = difference(shares((reference + 0.1).tolist()), shares(reference.tolist()))
    alone = estimate(shares(reference.tolist()))
    assert found
    assert alone
    for interval in (found.over_problems_and_seeds, found.over_seeds, *found.seeds):
        assert interval.value == pytest.approx(0.1)
        assert interval.low == pytest.approx(0.1)
        assert interval.high == pytest.approx(0.1)
    assert alone.over_problems_and_seeds.high - alone.over_problems_and_seeds.low > 0.1


def test_a_difference_changes_its_sign_with_its_sides() -> None:
    random = np.random.default_rng(1)
    a, b = shares(random.random((2, 20)).tolist()), shares(random.random((2, 20)).tolist())
    there, back = difference(a, b), difference(b, a)
    assert there
    assert back
    assert there.over_problems_and_seeds.value == pytest.approx(-back.over_problems_and_seeds.value)
    assert there.over_problems_and_seeds.low == pytest.approx(-back.over_problems_and_seeds.high)


def test_bounds_end_where_shares_and_their_differences_do() -> None:
    """Student's t of two seeds that differ is 12.7 standard errors wide."""
    low, high = shares([[0.0] * 9 + [1.0], [1.0] * 9 + [0.0]]), shares([[1.0] * 10, [0.0] * 10])
    for found, least in ((estimate(low), 0), (difference(low, high), -1)):
        assert found is not None
        for interval in (found.over_problems_and_seeds, found.over_seeds):
            assert (interval.low, interval.high) == (least, 1)


def test_what_no_problem_measures_is_no_number() -> None:
    nothing = Measure(np.zeros((2, 3)), np.zeros((2, 3)))
    assert estimate(nothing) is None
    assert difference(nothing, shares([[1, 1, 1]] * 2)) is None


def test_resamples_without_a_counting_problem_are_left_out() -> None:
    """Only one of three problems has a wrong attempt: its rate is known whenever it is drawn, and never else."""
    found = estimate(Measure(np.array([[1, 0, 0]]), np.array([[2, 0, 0]])))
    assert found is not None
    assert (found.seeds[0].low, found.seeds[0].value, found.seeds[0].high) == (0.5, 0.5, 0.5)


def test_the_seed_interval_is_students() -> None:
    """Values .4, .5, .6: sd .1, so .5 +- 4.303 x .1 / sqrt 3."""
    found = seed_interval(np.array([0.4, 0.5, 0.6]))
    assert found.low == pytest.approx(0.5 - 4.303 * 0.1 / sqrt(3))
    assert found.high == pytest.approx(0.5 + 4.303 * 0.1 / sqrt(3))


def test_students_quantiles_fall_towards_the_normal_one() -> None:
    assert list(T_975) == sorted(T_975, reverse=True)
    assert (T_975[0], T_975[-1]) == (12.706, 2.042)
    assert seed_interval(np.arange(100.0)).low is not None


def test_a_band_interpolates_seeds_to_common_x() -> None:
    found = band([([0, 10, 20], [0.0, 0.2, 0.4]), ([0, 20], [0.2, 0.6])])
    assert isinstance(found, Band)
    assert found.x == (0, 10, 20)
    assert found.mean == pytest.approx((0.1, 0.3, 0.5))
    half = 12.706 * sqrt(0.02) / sqrt(2)
    assert found.low is not None
    assert found.low[0] == pytest.approx(0.1 - half)


def test_a_band_ends_where_the_first_seed_does() -> None:
    found = band([([0, 10], [0.0, 0.2]), ([5, 20], [0.2, 0.6])])
    assert found is not None
    assert found.x == (5, 10)
    assert band([([0, 1], [0, 0]), ([2, 3], [0, 0])]) is None


def test_one_seed_has_a_line_and_no_band() -> None:
    found = band([([0, 10], [0.1, 0.2])])
    assert found == Band((0, 10), (0.1, 0.2), None, None)
