"""Advantages of correction groups (METHOD.md, "The penalty that does nothing")."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fail2fix.core.advantage import ZERO_VARIANCE, Advantages, correction_advantages, risk_effect
from fail2fix.core.config import Baseline, Scale

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

ALL_SCALES = pytest.mark.parametrize("scale", list(Scale))
RAW, SHAPED, NONE = Scale.raw_std, Scale.shaped_std, Scale.none
GROUP, WITH_ATTEMPT = Baseline.group, Baseline.with_attempt

penalties = st.floats(0, 4)


def one_group(
    verdicts: list[int], attempt: int, scale: Scale = RAW, baseline: Baseline = GROUP, penalty: float = 1.0
) -> Advantages:
    """The advantages of one group whose rewards are its verdicts."""
    plain = np.array([verdicts], dtype=float)
    return correction_advantages(shaped(plain, attempt, penalty), plain, np.array([float(attempt)]), scale, baseline)


def shaped(plain: np.ndarray, attempt: int, penalty: float, verdicts: np.ndarray | None = None) -> np.ndarray:
    return plain - penalty * attempt * ((plain if verdicts is None else verdicts) == 0)


@st.composite
def mixed_groups(draw: st.DrawFn) -> list[int]:
    """Verdicts of a group in which both occur."""
    verdicts = draw(st.lists(st.integers(0, 1), min_size=2, max_size=16))
    return [*verdicts, 1 - verdicts[0]]


class TestWorkedExamples:
    @pytest.mark.parametrize(
        ("scale", "penalty", "expected"),
        [
            (RAW, 1.0, [1, 1, -3, 1]),
            (SHAPED, 1.0, [0.5, 0.5, -1.5, 0.5]),
            (RAW, 0.0, [0.5, 0.5, -1.5, 0.5]),
            (NONE, 1.0, [0.5, 0.5, -1.5, 0.5]),
            (NONE, 0.0, [0.25, 0.25, -0.75, 0.25]),
        ],
    )
    def test_one_of_four_broke_a_correct_attempt(self, scale: Scale, penalty: float, expected: list[float]) -> None:
        values = one_group([1, 1, 0, 1], attempt=1, scale=scale, penalty=penalty).values
        np.testing.assert_allclose(values, [expected], atol=5e-4)

    @pytest.mark.parametrize(
        ("attempt", "verdict", "expected"), [(1, 0, -0.667), (0, 1, 0.333), (1, 1, 0.0), (0, 0, 0.0)]
    )
    def test_unanimous_groups_against_their_attempt(self, attempt: int, verdict: int, expected: float) -> None:
        result = one_group(8 * [verdict], attempt, baseline=WITH_ATTEMPT)
        np.testing.assert_allclose(result.values, np.full((1, 8), expected), atol=5e-4)
        assert result.zero_variance.tolist() == [expected == 0]

    @ALL_SCALES
    def test_with_attempt_judges_unanimous_groups_under_every_scale(self, scale: Scale) -> None:
        broken = one_group(8 * [0], 1, scale, WITH_ATTEMPT).values
        fixed = one_group(8 * [1], 0, scale, WITH_ATTEMPT).values
        assert (broken < 0).all()
        assert (fixed > 0).all()

    def test_a_failed_attempt_has_no_risk_term(self) -> None:
        np.testing.assert_array_equal(
            one_group([1, 0, 0, 1], attempt=0, penalty=1.0).values, one_group([1, 0, 0, 1], 0, penalty=0.0).values
        )


class TestProperties:
    @ALL_SCALES
    @given(verdicts=mixed_groups(), attempt=st.integers(0, 1), penalty=penalties)
    def test_a_groups_advantages_sum_to_zero(
        self, scale: Scale, verdicts: list[int], attempt: int, penalty: float
    ) -> None:
        assert abs(one_group(verdicts, attempt, scale, penalty=penalty).values.sum()) < 1e-9

    @given(verdicts=mixed_groups(), penalty=penalties)
    def test_the_penalty_is_inert_under_shaped_std(self, verdicts: list[int], penalty: float) -> None:
        with_risk = one_group(verdicts, 1, SHAPED, penalty=penalty).values
        np.testing.assert_allclose(with_risk, one_group(verdicts, 1, SHAPED, penalty=0).values, atol=1e-4)

    @given(verdicts=mixed_groups(), penalty=penalties)
    def test_groups_with_a_correct_attempt_pull_one_plus_the_penalty_as_hard(
        self, verdicts: list[int], penalty: float
    ) -> None:
        with_risk = one_group(verdicts, 1, RAW, penalty=penalty).values
        np.testing.assert_allclose(with_risk, (1 + penalty) * one_group(verdicts, 1, penalty=0).values, atol=1e-9)

    @pytest.mark.parametrize("scale", [RAW, SHAPED])
    @given(verdicts=mixed_groups())
    def test_without_a_penalty_this_is_grpo(self, scale: Scale, verdicts: list[int]) -> None:
        rewards = np.array(verdicts, dtype=float)
        grpo = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-6)
        np.testing.assert_allclose(one_group(verdicts, 1, scale, penalty=0).values[0], grpo)

    @ALL_SCALES
    @pytest.mark.parametrize("verdict", [0, 1])
    @pytest.mark.parametrize("attempt", [0, 1])
    def test_a_group_of_equal_rewards_teaches_nothing(self, scale: Scale, verdict: int, attempt: int) -> None:
        result = one_group(8 * [verdict], attempt, scale)
        assert result.zero_variance.tolist() == [True]
        assert not result.values.any()

    @ALL_SCALES
    @pytest.mark.parametrize("baseline", list(Baseline))
    def test_groups_do_not_see_each_other(self, scale: Scale, baseline: Baseline) -> None:
        plain = np.array([[1.0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]])
        attempt = np.array([1.0, 0, 1])
        risky = plain - attempt[:, None] * (plain == 0)
        together = correction_advantages(risky, plain, attempt, scale, baseline)
        for i in range(3):
            alone = correction_advantages(risky[i : i + 1], plain[i : i + 1], attempt[i : i + 1], scale, baseline)
            np.testing.assert_array_equal(together.values[i], alone.values[0])
            assert together.zero_variance[i] == alone.zero_variance[0]


class TestLeaveOneOut:
    """RLOO (arXiv 2402.14740): each rollout against the mean of the others."""

    def advantages(self, verdicts: list[int], attempt: int, baseline: Baseline = Baseline.group) -> np.ndarray:
        plain = np.array([verdicts], dtype=float)
        shaped = plain - attempt * (plain == 0)
        rewards = np.array([float(attempt)])
        return correction_advantages(shaped, plain, rewards, Scale.none, baseline, leave_one_out=True).values[0]

    @given(verdicts=mixed_groups(), attempt=st.integers(0, 1))
    def test_it_is_the_reward_less_the_mean_of_the_others(self, verdicts: list[int], attempt: int) -> None:
        shaped = [float(v) - attempt * (v == 0) for v in verdicts]
        expected = [x - (sum(shaped) - x) / (len(shaped) - 1) for x in shaped]
        np.testing.assert_allclose(self.advantages(verdicts, attempt), expected, atol=1e-9)

    def test_it_is_verls_rloo_on_an_attempt_that_failed(self) -> None:
        """1, 0, 0, 1: 1 - 1/3 and 0 - 2/3."""
        np.testing.assert_allclose(self.advantages([1, 0, 0, 1], 0), [2 / 3, -2 / 3, -2 / 3, 2 / 3])

    def test_with_attempt_an_all_broken_group_teaches(self) -> None:
        """Four rewards of -1 beside the attempt's 1: -1 - (3 (-1) + 1) / 4."""
        np.testing.assert_allclose(self.advantages(4 * [0], 1, WITH_ATTEMPT), 4 * [-0.5])


class TestContinuousRewards:
    """Rewards are verdicts plus a small term that differs a rollout, such as KL in the reward."""

    noise = arrays(float, 8, elements=st.floats(-0.05, 0.05))

    @pytest.mark.parametrize("baseline", list(Baseline))
    @given(noise=noise, verdict=st.integers(0, 1), attempt=st.integers(0, 1), penalty=penalties)
    def test_equal_verdicts_keep_advantages_bounded(
        self, baseline: Baseline, noise: np.ndarray, verdict: int, attempt: int, penalty: float
    ) -> None:
        """No advantage beyond what any n rewards can have, (n - 1) / sqrt(n), times 1 + the penalty."""
        plain = (verdict + noise)[None]
        risky = shaped(plain, attempt, penalty, verdicts=np.full((1, 8), verdict))
        result = correction_advantages(risky, plain, np.array([float(attempt)]), RAW, baseline)
        n = 8 + (baseline is WITH_ATTEMPT)
        assert np.abs(result.values).max() <= (1 + penalty) * (n - 1) / np.sqrt(n) + 1e-9

    @given(noise=noise, penalty=penalties)
    def test_a_shift_of_the_whole_group_by_the_penalty_changes_nothing(self, noise: np.ndarray, penalty: float) -> None:
        """All broken: the risk term is one constant, which the mean takes out and the scale never saw."""
        plain = noise[None]
        values = correction_advantages(plain - penalty, plain, np.ones(1), RAW, GROUP).values
        np.testing.assert_allclose(
            values, correction_advantages(plain, plain, np.ones(1), RAW, GROUP).values, atol=1e-8
        )

    @given(noise=arrays(float, 8, elements=st.floats(-ZERO_VARIANCE / 4, ZERO_VARIANCE / 4)))
    def test_noise_below_the_threshold_is_no_signal(self, noise: np.ndarray) -> None:
        result = correction_advantages(noise[None], noise[None], np.zeros(1), RAW, GROUP)
        assert result.zero_variance.all()
        assert not result.values.any()


class TestErrors:
    def test_a_group_of_one_has_nothing_to_compare_with(self) -> None:
        with pytest.raises(ValueError, match="at least 2 rollouts, got 1"):
            one_group([1], 1)

    @pytest.mark.parametrize(
        ("shaped_shape", "plain_shape", "attempt_shape"),
        [((2, 4), (2, 3), (2,)), ((2, 4), (2, 4), (3,)), ((4,), (4,), (4,)), ((2, 4), (2, 4), (2, 1))],
    )
    def test_shapes_that_differ_are_refused(
        self, shaped_shape: tuple[int, ...], plain_shape: tuple[int, ...], attempt_shape: tuple[int, ...]
    ) -> None:
        with pytest.raises(ValueError, match=r"want \(K, G\)"):
            correction_advantages(np.zeros(shaped_shape), np.zeros(plain_shape), np.zeros(attempt_shape), RAW, GROUP)


class TestRiskEffect:
    PLAIN = np.array([[1.0, 1, 0, 1]])
    RISKY = np.array([[1.0, 1, -1, 1]])

    @pytest.mark.parametrize(("scale", "effect"), [(RAW, 0.75), (SHAPED, 0.0), (NONE, 0.375)])
    def test_mean_change_of_the_worked_group(self, scale: Scale, effect: float) -> None:
        """raw_std: (.5 + .5 + 1.5 + .5) / 4; none: (.25 + .25 + .75 + .25) / 4."""
        assert risk_effect(self.RISKY, self.PLAIN, np.ones(1), scale, GROUP) == pytest.approx(effect, abs=1e-5)

    def test_groups_without_risk_dilute_it(self) -> None:
        plain, risky = np.vstack([self.PLAIN, self.PLAIN]), np.vstack([self.RISKY, self.PLAIN])
        effect = risk_effect(risky, plain, np.array([1.0, 0.0]), RAW, GROUP)
        assert effect == pytest.approx(0.375, abs=1e-5)

    def test_no_groups_no_effect(self) -> None:
        empty = np.zeros((0, 8))
        assert risk_effect(empty, empty, np.zeros(0), RAW, GROUP) == 0.0
