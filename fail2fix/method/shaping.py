"""Risk-averse shaping: breaking a correct attempt costs extra (CIPO; METHOD.md, item 4).

Example::

    shape_reward(0.0, attempt_correct=True, correct=False, risk=RiskConfig(penalty=1.0))  # -1.0
"""

from __future__ import annotations

from typing import Protocol

from fail2fix.method.config import RiskConfig
from fail2fix.method.doors import Door


class PenaltyRule(Protocol):
    """Shaped reward of one correction: a pure function (``fail2fix.risk.rule``)."""

    def __call__(self, reward: float, attempt_correct: bool, correct: bool, risk: RiskConfig, /) -> float:
        """R~: ``reward`` less the penalty, in the reward's units.

        Args:
            reward: R, with overlong and format terms in it, without a KL term.
            attempt_correct: v(y), the verdict of the attempt.
            correct: v(y-hat), the verdict of the correction.
            risk: the section ``fail2fix.risk``.

        Raises:
            Exception: any; it ends the run. So does a reward that is not a finite number.
        """


penalty_rule: Door[PenaltyRule] = Door("fail2fix.risk.rule", PenaltyRule, broken="fail2fix.method.shaping.shape_reward")


def shape_reward(reward: float, attempt_correct: bool, correct: bool, risk: RiskConfig) -> float:
    """The rule ``broken``: R~ = R - lambda_risk * s * 1[v(y) = 1, v(y-hat) = 0] (CIPO; METHOD.md, item 4)."""
    return reward - (risk.penalty * risk.reward_scale if attempt_correct and not correct else 0.0)


def same_answer(before: str, after: str) -> bool:
    """Whether an extracted answer is given again; no answer is none."""
    return before == after != ""


def overlong_penalty(length: int, maximum: int, buffer: int, factor: float) -> float:
    """DAPO's soft overlong punishment (arXiv 2503.14476, eq. 13): 0 up to ``maximum - buffer`` tokens, then linear.

    Returns:
        a number in [-factor, 0] for ``length`` <= ``maximum``, to be added to the reward.
    """
    return min(0.0, (maximum - buffer - length) / buffer * factor)
