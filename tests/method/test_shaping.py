"""Risk-averse shaping: the plain reward less the penalty, only for correct -> incorrect (METHOD.md, item 4)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fail2fix.method.config import RiskConfig
from fail2fix.method.shaping import shape_reward

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

reward = st.floats(-10, 10)
penalty = st.floats(0, 10)
scale = st.floats(0.01, 100)


@pytest.mark.parametrize(
    ("attempt_correct", "correct", "shaped"),
    [(True, True, 1.0), (True, False, -1.0), (False, True, 1.0), (False, False, 0.0)],
)
def test_the_four_transitions_at_penalty_one(attempt_correct: bool, correct: bool, shaped: float) -> None:
    assert shape_reward(float(correct), attempt_correct, correct, RiskConfig(penalty=1.0)) == shaped


@given(reward=reward, correct=st.booleans(), penalty=penalty)
def test_corrections_of_failed_attempts_are_never_shaped(reward: float, correct: bool, penalty: float) -> None:
    assert shape_reward(reward, False, correct, RiskConfig(penalty)) == reward


@given(reward=reward, penalty=penalty)
def test_a_kept_answer_is_never_shaped(reward: float, penalty: float) -> None:
    assert shape_reward(reward, True, True, RiskConfig(penalty)) == reward


@given(reward=reward, penalty=penalty, scale=scale)
def test_a_broken_answer_loses_the_penalty_whatever_its_reward(reward: float, penalty: float, scale: float) -> None:
    """The penalty is in units of what right is worth above wrong."""
    assert shape_reward(reward, True, False, RiskConfig(penalty, scale)) == reward - penalty * scale


@given(penalty=penalty, scale=scale)
def test_the_penalty_means_the_same_for_every_reward(penalty: float, scale: float) -> None:
    """A reward function that pays ``scale`` instead of 1, and says so, has every shaped reward times ``scale``."""
    for attempt_correct in (True, False):
        for correct in (True, False):
            paid = shape_reward(scale * correct, attempt_correct, correct, RiskConfig(penalty, scale))
            unit = shape_reward(float(correct), attempt_correct, correct, RiskConfig(penalty))
            assert paid == pytest.approx(scale * unit, rel=1e-9, abs=1e-9)


@given(reward=reward, attempt_correct=st.booleans(), correct=st.booleans())
def test_no_penalty_is_no_shaping(reward: float, attempt_correct: bool, correct: bool) -> None:
    assert shape_reward(reward, attempt_correct, correct, RiskConfig(penalty=0.0)) == reward
