"""Your own penalty of the shaping: `fail2fix.risk.rule`."""

from __future__ import annotations

import numpy as np

from fail2fix.method.advantage import AdvantageRule, CorrectionGroups, correction_advantages
from fail2fix.method.config import RiskConfig
from fail2fix.method.shaping import penalty_rule
from tests.doors.settings import settings_of


def stubborn(reward: float, attempt_correct: bool, correct: bool, risk: RiskConfig) -> float:
    """The shaped reward: leaving a wrong attempt wrong costs half of what breaking a correct one costs."""
    if correct:
        return reward
    return reward - risk.penalty * risk.reward_scale * (1.0 if attempt_correct else 0.5)


def test_your_own_penalty_shapes_the_reward_and_the_advantage() -> None:
    rule = penalty_rule(settings_of(risk={"rule": f"{__name__}.stubborn"}).risk)
    assert [rule(0.0, attempt, False, RiskConfig()) for attempt in (True, False)] == [-1.0, -0.5]

    plain = np.array([[1.0, 1, 0, 1]])  # four corrections of a wrong attempt
    shaped = np.array([[rule(reward, False, reward == 1, RiskConfig()) for reward in plain[0]]])
    groups = CorrectionGroups(plain, plain == 1, np.array([0.0]), np.array([False]), taken=plain - shaped)
    advantages = correction_advantages(groups, AdvantageRule()).values
    # Without a penalty: .5, .5, -1.5, .5.
    np.testing.assert_allclose(advantages, [[0.75, 0.75, -2.25, 0.75]], atol=1e-5)
