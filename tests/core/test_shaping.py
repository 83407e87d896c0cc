"""Risk-averse shaping: the plain reward less the penalty, only for correct -> incorrect (METHOD.md, item 4)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fail2fix.core.shaping import risk, shape_reward

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

reward = st.floats(-10, 10)
penalty = st.floats(0, 10)


@pytest.mark.parametrize(
    ("attempt_correct", "correct", "shaped"),
    [(True, True, 1.0), (True, False, -1.0), (False, True, 1.0), (False, False, 0.0)],
)
def test_the_four_transitions_at_penalty_one(attempt_correct: bool, correct: bool, shaped: float) -> None:
    assert shape_reward(float(correct), attempt_correct, correct, penalty=1.0) == shaped


@given(reward=reward, correct=st.booleans(), penalty=penalty)
def test_corrections_of_failed_attempts_are_never_shaped(reward: float, correct: bool, penalty: float) -> None:
    assert shape_reward(reward, False, correct, penalty) == reward


@given(reward=reward, penalty=penalty)
def test_a_kept_answer_is_never_shaped(reward: float, penalty: float) -> None:
    assert shape_reward(reward, True, True, penalty) == reward


@given(reward=reward, penalty=penalty)
def test_a_broken_answer_loses_the_penalty_whatever_its_reward(reward: float, penalty: float) -> None:
    assert shape_reward(reward, True, False, penalty) == reward - penalty


@given(reward=reward, attempt_correct=st.booleans(), correct=st.booleans())
def test_no_penalty_is_no_shaping(reward: float, attempt_correct: bool, correct: bool) -> None:
    assert risk(attempt_correct, correct, 0.0) == 0.0
    assert shape_reward(reward, attempt_correct, correct, 0.0) == reward
