"""Advantages of correction groups (METHOD.md, "The penalty that does nothing")."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fail2fix.method.advantage import (
    ZERO_VARIANCE,
    AdvantageRule,
    CorrectionGroups,
    correction_advantages,
    risk_effect,
)
from fail2fix.method.config import Baseline, Scale

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

ALL_SCALES = pytest.mark.parametrize("scale", list(Scale))
BOTH_BASELINES = pytest.mark.parametrize("baseline", list(Baseline))
LEAVE_ONE_OUT = pytest.mark.parametrize("leave_one_out", [False, True])
RAW, SHAPED, NONE = Scale.raw_std, Scale.shaped_std, Scale.none
GROUP, WITH_ATTEMPT = Baseline.group, Baseline.with_attempt

penalties = st.floats(0, 4)
factors = st.floats(1e-3, 1e3)
shifts = st.floats(-1e3, 1e3)
CLOSE = st.sampled_from([0.0, 0.1, 1.0, 0.999, -1.0, 1.00001])


def one_group(verdicts: list[int], attempt: int) -> CorrectionGroups:
    """One group whose rewards are its verdicts."""
    return rewarded([float(v) for v in verdicts], verdicts, float(attempt), attempt)


def rewarded(rewards: list[float], verdicts: list[int], attempt_reward: float, attempt: int) -> CorrectionGroups:
    """One group whose rewards and verdicts need not agree."""
    return CorrectionGroups(
        np.array([rewards]), np.array([verdicts]) == 1, np.array([attempt_reward]), np.array([attempt]) == 1
    )


def values_of(groups: CorrectionGroups, rule: AdvantageRule) -> np.ndarray:
    return correction_advantages(groups, rule).values


def shaped_over_one_std(groups: CorrectionGroups, rule: AdvantageRule) -> np.ndarray:
    """The rule for 0/1 rewards: (R~ - mean R~) / (std(R) + epsilon), zero where std(R) is below the threshold."""
    plain, shaped = groups.plain, groups.plain - rule.penalty * groups.broken
    if rule.baseline is WITH_ATTEMPT:
        plain, shaped = (np.hstack([values, groups.attempt_plain[:, None]]) for values in (plain, shaped))
    size, std = shaped.shape[1], plain.std(axis=1, ddof=1, keepdims=True)
    centered = shaped - shaped.mean(axis=1, keepdims=True)
    if rule.leave_one_out:
        centered = centered * size / (size - 1)
    return np.where(std < 1e-4, 0.0, centered / (std + 1e-6))[:, : groups.plain.shape[1]]


@st.composite
def mixed_groups(draw: st.DrawFn) -> list[int]:
    """Verdicts of a group in which both occur."""
    verdicts = draw(st.lists(st.integers(0, 1), min_size=2, max_size=16))
    return [*verdicts, 1 - verdicts[0]]


@st.composite
def any_groups(draw: st.DrawFn, rewards: st.SearchStrategy[float] | None = None) -> CorrectionGroups:
    """Groups of any rewards and any verdicts; many values close together or equal."""
    rewards = st.one_of(CLOSE, st.floats(-10, 10)) if rewards is None else rewards
    count, size = draw(st.integers(1, 3)), draw(st.integers(2, 9))
    return CorrectionGroups(
        draw(arrays(float, (count, size), elements=rewards)),
        draw(arrays(bool, (count, size))),
        draw(arrays(float, count, elements=rewards)),
        draw(arrays(bool, count)),
    )


rules = st.builds(
    AdvantageRule, baseline=st.sampled_from(Baseline), penalty=penalties, leave_one_out=st.booleans()
)  # of the default scale, raw_std


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
        values = values_of(one_group([1, 1, 0, 1], attempt=1), AdvantageRule(scale, penalty=penalty))
        np.testing.assert_allclose(values, [expected], atol=5e-4)

    @pytest.mark.parametrize(
        ("attempt", "verdict", "expected"), [(1, 0, -0.667), (0, 1, 0.333), (1, 1, 0.0), (0, 0, 0.0)]
    )
    def test_unanimous_groups_against_their_attempt(self, attempt: int, verdict: int, expected: float) -> None:
        result = correction_advantages(one_group(8 * [verdict], attempt), AdvantageRule(baseline=WITH_ATTEMPT))
        np.testing.assert_allclose(result.values, np.full((1, 8), expected), atol=5e-4)
        assert result.zero_variance.tolist() == [expected == 0]

    @ALL_SCALES
    def test_with_attempt_judges_unanimous_groups_under_every_scale(self, scale: Scale) -> None:
        rule = AdvantageRule(scale, WITH_ATTEMPT)
        assert (values_of(one_group(8 * [0], 1), rule) < 0).all()
        assert (values_of(one_group(8 * [1], 0), rule) > 0).all()

    @ALL_SCALES
    def test_a_failed_attempt_has_no_risk_term(self, scale: Scale) -> None:
        group = one_group([1, 0, 0, 1], attempt=0)
        rule = AdvantageRule(scale)
        np.testing.assert_array_equal(values_of(group, rule), values_of(group, replace(rule, penalty=0.0)))

    def test_rewards_in_other_units_keep_the_risk_term_in_proportion(self) -> None:
        """A reward function that pays .1 for a right answer; one that pays almost the same for all four."""
        tenth = rewarded([0.1, 0.1, 0.0, 0.1], [1, 1, 0, 1], 0.1, 1)
        np.testing.assert_allclose(values_of(tenth, AdvantageRule()), [[1, 1, -3, 1]], atol=5e-4)
        close = rewarded([1, 1, 0.999, 1], [1, 1, 0, 1], 1.0, 1)
        np.testing.assert_allclose(values_of(close, AdvantageRule()), [[1, 1, -3, 1]], atol=5e-4)


class TestProperties:
    @ALL_SCALES
    @given(verdicts=mixed_groups(), attempt=st.integers(0, 1), penalty=penalties)
    def test_a_groups_advantages_sum_to_zero(
        self, scale: Scale, verdicts: list[int], attempt: int, penalty: float
    ) -> None:
        assert abs(values_of(one_group(verdicts, attempt), AdvantageRule(scale, penalty=penalty)).sum()) < 1e-9

    @given(verdicts=mixed_groups(), penalty=penalties)
    def test_the_penalty_is_inert_under_shaped_std(self, verdicts: list[int], penalty: float) -> None:
        group = one_group(verdicts, 1)
        with_risk, without = (values_of(group, AdvantageRule(SHAPED, penalty=p)) for p in (penalty, 0.0))
        np.testing.assert_allclose(with_risk, without, atol=1e-4)

    @given(verdicts=mixed_groups(), penalty=penalties)
    def test_groups_with_a_correct_attempt_pull_one_plus_the_penalty_as_hard(
        self, verdicts: list[int], penalty: float
    ) -> None:
        group = one_group(verdicts, 1)
        with_risk, without = (values_of(group, AdvantageRule(penalty=p)) for p in (penalty, 0.0))
        np.testing.assert_allclose(with_risk, (1 + penalty) * without, atol=1e-9)

    @pytest.mark.parametrize("scale", [RAW, SHAPED])
    @given(verdicts=mixed_groups())
    def test_without_a_penalty_this_is_grpo(self, scale: Scale, verdicts: list[int]) -> None:
        rewards = np.array(verdicts, dtype=float)
        grpo = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-6)
        np.testing.assert_allclose(values_of(one_group(verdicts, 1), AdvantageRule(scale, penalty=0.0))[0], grpo)

    @ALL_SCALES
    @pytest.mark.parametrize("verdict", [0, 1])
    @pytest.mark.parametrize("attempt", [0, 1])
    def test_a_group_of_equal_rewards_teaches_nothing(self, scale: Scale, verdict: int, attempt: int) -> None:
        result = correction_advantages(one_group(8 * [verdict], attempt), AdvantageRule(scale))
        assert result.zero_variance.tolist() == [True]
        assert not result.values.any()

    @pytest.mark.parametrize("scale", [RAW, SHAPED, NONE])
    @BOTH_BASELINES
    def test_groups_do_not_see_each_other(self, scale: Scale, baseline: Baseline) -> None:
        plain = np.array([[1.0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]])
        groups = CorrectionGroups(plain, plain == 1, np.array([1.0, 0, 1]), np.array([True, False, True]))
        rule = AdvantageRule(scale, baseline)
        together = correction_advantages(groups, rule)
        for i in range(3):
            alone = correction_advantages(groups.kept(np.arange(3) == i), rule)
            np.testing.assert_array_equal(together.values[i], alone.values[0])
            assert together.zero_variance[i] == alone.zero_variance[0]


class TestRawStd:
    """Each term by its own spread: rewards and verdicts may be anything."""

    @given(
        verdicts=arrays(bool, st.tuples(st.integers(1, 4), st.integers(2, 16))),
        attempts=arrays(bool, 4),
        rule=rules,
    )
    def test_for_rewards_of_0_and_1_it_is_the_shaped_reward_over_one_std(
        self, verdicts: np.ndarray, attempts: np.ndarray, rule: AdvantageRule
    ) -> None:
        attempts = attempts[: len(verdicts)]
        groups = CorrectionGroups(verdicts.astype(float), verdicts, attempts.astype(float), attempts)
        np.testing.assert_allclose(values_of(groups, rule), shaped_over_one_std(groups, rule), rtol=0, atol=1e-6)

    @given(groups=any_groups(), rule=rules, factor=factors, shift=shifts)
    def test_it_does_not_depend_on_the_units_of_the_rewards(
        self, groups: CorrectionGroups, rule: AdvantageRule, factor: float, shift: float
    ) -> None:
        """Whatever positive affine map; a spread below the threshold is no signal, before or after it."""
        attempt = groups.attempt_plain[:, None] if rule.baseline is WITH_ATTEMPT else groups.plain[:, :0]
        std = np.hstack([groups.plain, attempt]).std(axis=1, ddof=1)
        for spread in (std, factor * std):
            assume(((spread < 1e-9) | (spread > 1.01 * ZERO_VARIANCE)).all())
        plain, attempt_plain = (values * factor + shift for values in (groups.plain, groups.attempt_plain))
        moved = replace(groups, plain=plain, attempt_plain=attempt_plain)
        np.testing.assert_allclose(values_of(moved, rule), values_of(groups, rule), rtol=0, atol=1e-6)

    @pytest.mark.parametrize("factor", [1e-3, 0.1, 7.0, 1e3])
    @pytest.mark.parametrize("attempt", [0, 1])
    @BOTH_BASELINES
    def test_0_and_1_in_any_units_teach_what_0_and_1_do(self, factor: float, attempt: int, baseline: Baseline) -> None:
        rule = AdvantageRule(baseline=baseline)
        for solved in range(9):
            unit = one_group([1] * solved + [0] * (8 - solved), attempt)
            paid = replace(unit, plain=unit.plain * factor - 2, attempt_plain=unit.attempt_plain * factor - 2)
            np.testing.assert_allclose(values_of(paid, rule), values_of(unit, rule), rtol=0, atol=1e-6)

    @given(groups=any_groups(), rule=rules)
    def test_no_advantage_is_beyond_the_bound(self, groups: CorrectionGroups, rule: AdvantageRule) -> None:
        """(1 + penalty) (n - 1) / sqrt(n) of the n values compared; a mean without oneself is n / (n - 1) as far."""
        n = groups.plain.shape[1] + (rule.baseline is WITH_ATTEMPT)
        bound = (1 + rule.penalty) * (n - 1) / np.sqrt(n) * (n / (n - 1) if rule.leave_one_out else 1)
        assert np.abs(values_of(groups, rule)).max() <= bound + 1e-9

    @given(groups=any_groups(st.floats(-ZERO_VARIANCE / 4, ZERO_VARIANCE / 4)), rule=rules)
    def test_rewards_that_hardly_differ_leave_the_risk_term_alone(
        self, groups: CorrectionGroups, rule: AdvantageRule
    ) -> None:
        result = correction_advantages(groups, rule)
        only_risk = correction_advantages(
            replace(groups, plain=np.zeros_like(groups.plain), attempt_plain=np.zeros_like(groups.attempt_plain)), rule
        )
        np.testing.assert_array_equal(result.values, only_risk.values)
        np.testing.assert_array_equal(result.zero_variance, ~result.values.any(axis=1))

    @given(groups=any_groups(), rule=rules)
    def test_a_group_is_of_zero_variance_if_both_of_its_terms_are_zero(
        self, groups: CorrectionGroups, rule: AdvantageRule
    ) -> None:
        reward = values_of(groups, replace(rule, penalty=0.0)).any(axis=1)
        same = replace(groups, plain=np.zeros_like(groups.plain), attempt_plain=np.zeros_like(groups.attempt_plain))
        risk = values_of(same, rule).any(axis=1)
        np.testing.assert_array_equal(correction_advantages(groups, rule).zero_variance, ~(reward | risk))

    @given(groups=any_groups(), rule=rules, scale=st.floats(0.01, 100))
    def test_the_scale_of_the_reward_is_not_needed(
        self, groups: CorrectionGroups, rule: AdvantageRule, scale: float
    ) -> None:
        np.testing.assert_array_equal(values_of(groups, rule), values_of(groups, replace(rule, reward_scale=scale)))

    def test_what_is_in_the_reward_beside_the_verdict_is_in_its_spread(self) -> None:
        """KL in the reward, an overlong term: of the reward's term alone."""
        noisy = rewarded([1.0, 0.9, -0.1, 0.8], [1, 1, 0, 1], 1.0, 1)
        rewards, verdicts = np.array([1.0, 0.9, -0.1, 0.8]), np.array([1.0, 1, 0, 1])
        reward, risk = ((x - x.mean()) / x.std(ddof=1) for x in (rewards, verdicts))
        np.testing.assert_allclose(values_of(noisy, AdvantageRule(penalty=0.5))[0], reward + 0.5 * risk, atol=1e-5)


class TestInUnitsOfTheReward:
    """``shaped_std`` and ``none`` read R~: with s, the penalty means the same for every reward."""

    @pytest.mark.parametrize("scale", [SHAPED, NONE])
    @BOTH_BASELINES
    @given(verdicts=mixed_groups(), attempt=st.integers(0, 1), penalty=penalties, paid=st.floats(0.1, 100))
    def test_a_right_answer_may_be_worth_anything(
        self, scale: Scale, baseline: Baseline, verdicts: list[int], attempt: int, penalty: float, paid: float
    ) -> None:
        unit = one_group(verdicts, attempt)
        more = replace(unit, plain=unit.plain * paid, attempt_plain=unit.attempt_plain * paid)
        rule = AdvantageRule(scale, baseline, penalty)
        expected = values_of(unit, rule) * (paid if scale is NONE else 1)
        np.testing.assert_allclose(values_of(more, replace(rule, reward_scale=paid)), expected, rtol=1e-4, atol=1e-9)


class TestLeaveOneOut:
    """RLOO (arXiv 2402.14740): each rollout against the mean of the others."""

    RULE = AdvantageRule(NONE, leave_one_out=True)

    @given(verdicts=mixed_groups(), attempt=st.integers(0, 1))
    def test_it_is_the_reward_less_the_mean_of_the_others(self, verdicts: list[int], attempt: int) -> None:
        shaped = [float(v) - attempt * (v == 0) for v in verdicts]
        expected = [x - (sum(shaped) - x) / (len(shaped) - 1) for x in shaped]
        np.testing.assert_allclose(values_of(one_group(verdicts, attempt), self.RULE)[0], expected, atol=1e-9)

    def test_it_is_verls_rloo_on_an_attempt_that_failed(self) -> None:
        """1, 0, 0, 1: 1 - 1/3 and 0 - 2/3."""
        values = values_of(one_group([1, 0, 0, 1], 0), self.RULE)
        np.testing.assert_allclose(values, [[2 / 3, -2 / 3, -2 / 3, 2 / 3]])

    def test_with_attempt_an_all_broken_group_teaches(self) -> None:
        """Four rewards of -1 beside the attempt's 1: -1 - (3 (-1) + 1) / 4."""
        values = values_of(one_group(4 * [0], 1), replace(self.RULE, baseline=WITH_ATTEMPT))
        np.testing.assert_allclose(values, [4 * [-0.5]])


class TestErrors:
    def test_a_group_of_one_has_nothing_to_compare_with(self) -> None:
        with pytest.raises(ValueError, match="at least 2 rollouts, got 1"):
            one_group([1], 1)

    @pytest.mark.parametrize(
        "shapes",
        [
            ((2, 4), (2, 3), (2,), (2,)),
            ((2, 4), (2, 4), (3,), (2,)),
            ((2, 4), (2, 4), (2,), (3,)),
            ((4,), (4,), (4,), (4,)),
            ((2, 4), (2, 4), (2, 1), (2,)),
        ],
    )
    def test_shapes_that_differ_are_refused(self, shapes: tuple[tuple[int, ...], ...]) -> None:
        plain, correct, attempt_plain, attempt_correct = (np.zeros(shape) for shape in shapes)
        with pytest.raises(ValueError, match=r"want \(K, G\)"):
            CorrectionGroups(plain, correct == 1, attempt_plain, attempt_correct == 1)


class TestRiskEffect:
    GROUP = one_group([1, 1, 0, 1], 1)

    @pytest.mark.parametrize(("scale", "effect"), [(RAW, 0.75), (SHAPED, 0.0), (NONE, 0.375)])
    def test_mean_change_of_the_worked_group(self, scale: Scale, effect: float) -> None:
        """raw_std: (.5 + .5 + 1.5 + .5) / 4; none: (.25 + .25 + .75 + .25) / 4."""
        assert risk_effect(self.GROUP, AdvantageRule(scale)) == pytest.approx(effect, abs=1e-5)

    def test_groups_without_risk_dilute_it(self) -> None:
        plain = np.vstack([self.GROUP.plain, self.GROUP.plain])
        groups = CorrectionGroups(plain, plain == 1, np.array([1.0, 0.0]), np.array([True, False]))
        assert risk_effect(groups, AdvantageRule()) == pytest.approx(0.375, abs=1e-5)

    def test_no_groups_no_effect(self) -> None:
        assert risk_effect(self.GROUP.kept(np.array([False])), AdvantageRule()) == 0.0


class TestAnOwnPenalty:
    """``taken``: what another rule of shaping took, in units of the reward."""

    @given(groups=any_groups(), rule=rules)
    def test_the_penalty_of_the_shipped_rule_gives_the_same_bits(
        self, groups: CorrectionGroups, rule: AdvantageRule
    ) -> None:
        taken = rule.penalty * rule.reward_scale * groups.broken
        result = correction_advantages(replace(groups, taken=taken), rule)
        assert (result.values == correction_advantages(groups, rule).values).all()

    @pytest.mark.parametrize("scale", [Scale.raw_std, Scale.none])
    @given(factor=st.floats(0.1, 4))
    def test_twice_the_penalty_pulls_twice_as_hard(self, scale: Scale, factor: float) -> None:
        groups = one_group([1, 1, 0, 1], attempt=0)
        rule = AdvantageRule(scale)
        plain, once, twice = (
            correction_advantages(replace(groups, taken=factor * times * (1 - groups.plain)), rule).values
            for times in (0, 1, 2)
        )
        np.testing.assert_allclose(twice - plain, 2 * (once - plain))
        assert np.abs(once - plain).max() > 0.05

    def test_a_penalty_counts_where_all_verdicts_are_equal(self) -> None:
        groups = rewarded([0.2, 0.4, 0.2, 0.4], [0, 0, 0, 0], 0.0, 0)
        taken = np.array([[0.5, 0.0, 0.5, 0.0]])
        with_penalty = correction_advantages(replace(groups, taken=taken), AdvantageRule()).values
        without = correction_advantages(groups, AdvantageRule()).values
        np.testing.assert_allclose(with_penalty - without, [[-0.25, 0.25, -0.25, 0.25]])

    @given(
        repeated=st.lists(st.booleans(), min_size=2, max_size=9).filter(lambda row: len({*row}) == 2),
        rule=rules,
        risk=st.just(0.0) | st.floats(0.01, 4),
        penalty=st.floats(0.01, 4),
        units=st.floats(0.1, 10),
    )
    def test_repeated_answers_teach_where_no_correction_is_right(
        self, repeated: list[bool], rule: AdvantageRule, risk: float, penalty: float, units: float
    ) -> None:
        """By the penalty, in any units of the reward, whatever `risk.penalty` is."""
        rule, again = replace(rule, penalty=risk, reward_scale=units), np.array([repeated])
        n = len(repeated) + (rule.baseline is Baseline.with_attempt)
        factor = n / (n - 1) if rule.leave_one_out else 1
        groups = one_group([0] * len(repeated), attempt=0)
        result = correction_advantages(replace(groups, taken=penalty * units * again), rule)
        assert result.zero_variance.tolist() == [False]
        assert result.values[again].max() < result.values[~again].min()
        assert np.ptp(result.values) == pytest.approx(penalty * factor)
        assert not correction_advantages(groups, rule).values.any()

    def test_one_of_another_shape_is_refused(self) -> None:
        with pytest.raises(ValueError, match="taken must have the shape"):
            replace(one_group([1, 0], attempt=1), taken=np.zeros((1, 3)))
