"""Advantages of correction groups (METHOD.md, "The penalty that does nothing").

All G' rollouts of a group share one attempt, so the risk term is an affine map of a group's verdicts. Dividing the
shaped rewards by their own std removes it. ``raw_std`` therefore divides the plain reward and the risk term each by its
own spread. The baseline ``with_attempt`` gives a gradient to a group in which every rollout broke its attempt.

Shapes: K groups, G rollouts in each (G' in METHOD.md).

Example::

    import numpy as np
    groups = CorrectionGroups(
        plain=np.array([[1.0, 1, 0, 1]]),
        correct=np.array([[True, True, False, True]]),
        attempt_plain=np.array([1.0]),
        attempt_correct=np.array([True]),
    )
    correction_advantages(groups, AdvantageRule()).values  # 1, 1, -3, 1
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fail2fix.method.config import AdvantageConfig, Baseline, RiskConfig, Scale
from fail2fix.method.doors import Door

EPSILON = 1e-6  # verl's, added to every scale
ZERO_VARIANCE = 1e-4  # a term whose scale is below this is zero

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class CorrectionGroups:
    """Rewards and verdicts of K correction groups and of the attempts that they correct.

    Attributes:
        plain: (K, G) R, the rewards without the penalty; everything else (KL, length terms) is in them.
        correct: (K, G) the verdicts.
        attempt_plain: (K,) the attempts' own unshaped rewards; read by ``with_attempt`` only.
        attempt_correct: (K,) the attempts' verdicts.
        taken: (K, G) R - R~, what the penalty of the shaping took; None: what the rule ``broken`` takes.

    Raises:
        ValueError: fewer than two rollouts a group, or shapes that differ.
    """

    plain: Array
    correct: Bools
    attempt_plain: Array
    attempt_correct: Bools
    taken: Array | None = None

    def __post_init__(self) -> None:
        shapes = (self.plain.shape, self.correct.shape, self.attempt_plain.shape, self.attempt_correct.shape)
        if self.plain.ndim != 2 or shapes != (shapes[0], shapes[0], shapes[0][:1], shapes[0][:1]):
            raise ValueError(f"want (K, G), (K, G), (K,), (K,); got {', '.join(map(str, shapes))}")
        if self.taken is not None and self.taken.shape != shapes[0]:
            raise ValueError(f"taken must have the shape {shapes[0]} of plain, got {self.taken.shape}")
        if shapes[0][1] < 2:
            raise ValueError(f"a correction group needs at least 2 rollouts, got {shapes[0][1]}")

    @property
    def broken(self) -> Bools:
        """(K, G) b: rollouts that turned a correct attempt into a wrong answer."""
        return self.attempt_correct[:, None] & ~self.correct

    def kept(self, which: Bools) -> CorrectionGroups:
        """The groups that ``which`` (K,) selects."""
        taken = None if self.taken is None else self.taken[which]
        return CorrectionGroups(
            self.plain[which], self.correct[which], self.attempt_plain[which], self.attempt_correct[which], taken
        )


@dataclass(frozen=True)
class AdvantageRule:
    """How rewards become advantages.

    Attributes:
        scale: what to divide by.
        baseline: over what the mean and the std are taken.
        penalty: lambda_risk.
        reward_scale: s, what a right answer is worth above a wrong one.
        leave_one_out: compare each rollout with the mean of the others only (RLOO).
    """

    scale: Scale = Scale.raw_std
    baseline: Baseline = Baseline.group
    penalty: float = 1.0
    reward_scale: float = 1.0
    leave_one_out: bool = False

    @classmethod
    def of(cls, advantage: AdvantageConfig, risk: RiskConfig, leave_one_out: bool) -> AdvantageRule:
        """The rule of the sections ``advantage`` and ``risk``."""
        return cls(advantage.scale, advantage.baseline, risk.penalty, risk.reward_scale, leave_one_out)


@dataclass(frozen=True)
class Advantages:
    """``values`` (K, G), and ``zero_variance`` (K,): groups that teach nothing."""

    values: Array
    zero_variance: Bools


def penalties(groups: CorrectionGroups, rule: AdvantageRule) -> Array:
    """(K, G) R - R~: what the shaping took of each reward."""
    if groups.taken is not None:
        return groups.taken
    return rule.penalty * rule.reward_scale * groups.broken.astype(float)


class Estimator(Protocol):
    """Turns the rewards of correction groups into advantages: a pure function (``fail2fix.advantage.estimator``)."""

    def __call__(self, groups: CorrectionGroups, rule: AdvantageRule, /) -> Advantages:
        """One advantage per rollout; each group by itself.

        Args:
            groups: K groups of G rollouts, at least 2 each; rewards in the reward function's units.
            rule: the sections ``fail2fix.advantage`` and ``fail2fix.risk``, and the base stream's estimator.

        Returns:
            ``values`` (K, G), float, without units: they multiply the policy gradient. ``zero_variance`` (K,) bool:
            groups whose values are all zero.

        Raises:
            Exception: any; it ends the run.
        """


advantage_estimator: Door[Estimator] = Door(
    "fail2fix.advantage.estimator", Estimator, group_relative="fail2fix.method.advantage.correction_advantages"
)


def correction_advantages(groups: CorrectionGroups, rule: AdvantageRule) -> Advantages:
    """The estimator ``group_relative``: one advantage a rollout (METHOD.md, "The penalty that does nothing").

    Each group by itself.

    With ``raw_std``, multiplying all rewards by a positive number or shifting them, the attempt's included, changes
    nothing. That holds while their std stays at or above ``ZERO_VARIANCE``. Under the penalty rule ``broken`` the
    absolute value is at most (1 + penalty) (n - 1) / sqrt(n). With ``leave_one_out``, n / (n - 1) times that. Here n is
    G, or G + 1 ``with_attempt``.
    """
    plain = _with_attempt(groups.plain, groups.attempt_plain, rule)
    taken = _with_attempt(penalties(groups, rule), np.zeros(len(plain)), rule)
    size = groups.plain.shape[1]
    if rule.scale is Scale.raw_std:
        wrong = _with_attempt((~groups.correct).astype(float), (~groups.attempt_correct).astype(float), rule)
        penalty = rule.penalty or 1.0  # a rule of one's own may take something without it
        reward = _scaled(plain, plain, rule)
        risk = -penalty * _scaled(taken / (penalty * rule.reward_scale), wrong, rule)
        values, zero = (reward + risk)[:, :size], np.asarray(((reward == 0) & (risk == 0)).all(axis=1))
    else:
        shaped = plain - taken
        values = _centered(shaped, rule)[:, :size]
        zero = np.abs(values).max(axis=1) < ZERO_VARIANCE
        if rule.scale is Scale.shaped_std:
            std_K = shaped.std(axis=1, ddof=1)
            values, zero = values / (std_K[:, None] + EPSILON), std_K < ZERO_VARIANCE
    return Advantages(np.where(zero[:, None], 0.0, values), zero)


def risk_effect(groups: CorrectionGroups, rule: AdvantageRule, estimator: Estimator = correction_advantages) -> float:
    """mean |A - A without a penalty|: how much the penalty changes what is learned (ours)."""
    if groups.plain.size == 0:
        return 0.0
    without = estimator(replace(groups, taken=np.zeros_like(groups.plain)), replace(rule, penalty=0.0))
    return float(np.abs(estimator(groups, rule).values - without.values).mean())


def _with_attempt(values_KG: Array, attempt_K: Array, rule: AdvantageRule) -> Array:
    """What the mean and the std are taken over (K, n): the rollouts, and last the attempt if so configured."""
    if rule.baseline is Baseline.group:
        return values_KG
    return np.concatenate([values_KG, attempt_K[:, None]], axis=1)


def _centered(values_Kn: Array, rule: AdvantageRule) -> Array:
    """Each value less the mean of all n values in its group.

    ``leave_one_out``: less the mean of the n - 1 others, which is n / (n - 1) times as far away.
    """
    size = values_Kn.shape[1]
    less_mean_Kn: Array = values_Kn - values_Kn.mean(axis=1, keepdims=True)
    return less_mean_Kn * (size / (size - 1) if rule.leave_one_out else 1.0)


def _scaled(values_Kn: Array, by_Kn: Array, rule: AdvantageRule) -> Array:
    """``values_Kn`` less their mean over the std of ``by_Kn``; zero where their own std is below ``ZERO_VARIANCE``.

    The epsilon is in units of the group's range, so it does not depend on the scale of the rewards. The range of 0/1
    rewards is 1. A std of ``by_Kn`` below ``ZERO_VARIANCE`` counts as 1.
    """
    std_K1 = by_Kn.std(axis=1, ddof=1, keepdims=True)
    scale_K1 = np.where(std_K1 < ZERO_VARIANCE, 1.0, std_K1 + EPSILON * np.ptp(by_Kn, axis=1, keepdims=True))
    flat_K1 = values_Kn.std(axis=1, ddof=1, keepdims=True) < ZERO_VARIANCE
    return np.where(flat_K1, 0.0, _centered(values_Kn, rule) / scale_K1)
