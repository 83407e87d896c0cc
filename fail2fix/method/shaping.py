"""Risk-averse shaping: breaking a correct attempt costs extra (CIPO; METHOD.md, item 4).

Example::

    shape_reward(0.0, attempt_correct=True, correct=False, risk=RiskConfig(penalty=1.0))  # -1.0
"""

from __future__ import annotations

from fail2fix.method.config import RiskConfig


def shape_reward(reward: float, attempt_correct: bool, correct: bool, risk: RiskConfig) -> float:
    """R~ = R - lambda_risk * s * 1[v(y) = 1 and v(y-hat) = 0], R with everything else already in it."""
    return reward - (risk.penalty * risk.reward_scale if attempt_correct and not correct else 0.0)


def overlong_penalty(length: int, maximum: int, buffer: int, factor: float) -> float:
    """DAPO's soft overlong punishment (arXiv 2503.14476, eq. 13): 0 up to ``maximum - buffer`` tokens, then linear.

    Returns:
        a number in [-factor, 0] for ``length`` <= ``maximum``, to be added to the reward.
    """
    return min(0.0, (maximum - buffer - length) / buffer * factor)
