"""Decisions of recorded steps: the recorded settings give what the run chose, other settings what they would choose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.method.config import AdvantageConfig, Baseline, RatioConfig, ReplayConfig, RiskConfig, Scale
from fail2fix.method.errors import InputError
from fail2fix.replay.decide import ReplayedStep, differences, replayed
from fail2fix.replay.figures import base_pull, figures_of, transitions_of
from fail2fix.run.config import Fail2FixConfig
from tests.replay import made_up

SETTINGS = {
    "default": made_up.settings(),
    "fixed": made_up.settings(ratio=RatioConfig(adaptive=False, initial=0.7)),
    "unscaled": made_up.settings(advantage=AdvantageConfig(scale=Scale.none), risk=RiskConfig(penalty=2.0)),
    "with_attempt": made_up.settings(advantage=AdvantageConfig(baseline=Baseline.with_attempt)),
    "own rule": made_up.settings(risk=RiskConfig(rule="tests.replay.made_up.stubborn")),
    "pass rate": made_up.settings(ratio=RatioConfig(pass_rate=True)),
    "no band": made_up.settings(replay=ReplayConfig(difficulty=False, max_attempts_per_prompt=1)),
}


def lines(steps: list[ReplayedStep]) -> list[str]:
    return [line for step in steps for line in differences(step)]


@pytest.mark.parametrize("name", SETTINGS)
@given(seed=st.integers(0, 2**32 - 1))
def test_recorded_settings_reproduce_every_step_exactly(name: str, seed: int) -> None:
    steps = replayed(made_up.recorded_run(SETTINGS[name], 4, seed), [])
    assert lines(steps) == []
    for step in steps:
        assert step.replay.advantage.tobytes() == step.run.advantage.tobytes()
        assert figures_of(step.replay) == figures_of(step.run)


@given(seed=st.integers(0, 2**32 - 1))
def test_other_settings_of_a_run_are_seen(seed: int) -> None:
    """A replay of what other settings decided is no reproduction."""
    steps = made_up.recorded_run(SETTINGS["default"], 3, seed)
    other = [replace(step, settings=SETTINGS["unscaled"]) for step in steps]
    assert lines(replayed(other, []))


def test_a_fixed_ratio_chooses_its_share_and_counts_what_was_never_corrected() -> None:
    words = ["fail2fix.ratio.initial=.5", "fail2fix.ratio.adaptive=false"]
    steps = replayed(made_up.recorded_run(SETTINGS["default"], 5), words)
    for step in steps:
        assert step.replay.state.rho == 0.5
        assert step.replay.selection.wanted_correct == made_up.ATTEMPTS // 2
    found = figures_of(*(step.replay for step in steps))
    pairs = [(step.run.selection.attempts, step.replay.selection.attempts) for step in steps]
    both = sum(attempt in run for run, replay in pairs for attempt in replay)
    assert found.rho_effective == 0.5
    assert found.known == both < found.attempts == sum(len(replay) for _, replay in pairs)
    assert sum(found.transitions.values()) == found.rollouts <= found.known * made_up.CORRECTIONS


def test_another_start_of_the_ratio_follows_the_known_corrections() -> None:
    steps = replayed(made_up.recorded_run(SETTINGS["default"], 3), ["fail2fix.ratio.initial=.6"])
    assert [step.replay.state.rho for step in steps][0] == 0.6
    for before, after in zip(steps, steps[1:], strict=False):
        assert after.replay.state == before.replay.next_state


def test_without_a_change_to_the_ratio_a_reset_of_the_run_is_followed() -> None:
    """A run that resumes from a stock checkpoint starts its ratio afresh."""
    first, second = (made_up.recorded_run(SETTINGS["default"], 1, seed)[0] for seed in (0, 1))
    steps = replayed([first, replace(second, step=2)], ["fail2fix.correction.weight=2"])
    assert steps[1].replay.state == second.state


@given(penalty=st.floats(0, 8), seed=st.integers(0, 999))
def test_a_penalty_changes_only_groups_of_correct_attempts(penalty: float, seed: int) -> None:
    for step in replayed(made_up.recorded_run(SETTINGS["default"], 2, seed), [f"fail2fix.risk.penalty={penalty!r}"]):
        assert step.replay.selection.attempts == step.run.selection.attempts
        failed = ~step.run.attempt_correct
        assert np.array_equal(step.replay.advantage[failed], step.run.advantage[failed])


def test_another_penalty_than_the_recorded_one_is_what_a_run_with_it_gives() -> None:
    """Both runs see the same rollouts; the rewards that selection does not read differ by the penalty alone."""
    for rule in ("broken", "tests.replay.made_up.stubborn"):
        other = replace(SETTINGS["default"], risk=RiskConfig(rule=rule, penalty=0.5))
        want = replayed(made_up.recorded_run(other, 2), [])
        words = ["fail2fix.risk.penalty=0.5", f"fail2fix.risk.rule={rule}"]
        have = replayed(made_up.recorded_run(SETTINGS["default"], 2), words)
        for one, two in zip(want, have, strict=True):
            assert one.run.advantage == pytest.approx(two.replay.advantage, abs=1e-6)
            assert one.run.taken == pytest.approx(two.replay.taken)


def test_the_pass_rate_is_the_share_of_correct_attempts() -> None:
    for step in replayed(made_up.recorded_run(SETTINGS["default"], 3), ["fail2fix.ratio.pass_rate=true"]):
        rollouts = [attempt for group in step.recorded.pool for attempt in group.attempts]
        share = sum(attempt.correct for attempt in rollouts) / len(rollouts)
        assert step.replay.state.rho == min(max(share, 0.2), 0.8)


def test_the_weight_scales_the_pull_of_corrections_alone() -> None:
    recorded = made_up.recorded_run(SETTINGS["default"], 2)
    one, two = (
        figures_of(*(s.replay for s in replayed(recorded, [f"fail2fix.correction.weight={w}"]))) for w in (1, 3)
    )
    for name in one.pulls:
        assert two.pulls[name] == pytest.approx(3 * one.pulls[name])
    assert base_pull(recorded) > 0


def test_every_correction_in_the_update_is_of_one_transition() -> None:
    (step,) = replayed(made_up.recorded_run(SETTINGS["default"], 1), [])
    assert (sum(rows.astype(int) for rows in transitions_of(step.run).values()) == step.run.trained).all()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("fail2fix.replay.source=lagged", "its own source"),
        ("fail2fix.correction.attempts=4", "changes only"),
        ("trainer.total_epochs=2", "changes only"),
        ("fail2fix.risk.penalty", "key=value"),
        ("fail2fix.risk.penaltyy=1", "penaltyy"),
        ("fail2fix.risk.penalty=much", "penalty"),
        ("fail2fix.ratio.initial=.95", "ratio.initial"),
        ("fail2fix.replay.rule=no.such.rule", "replay.rule"),
        ("fail2fix.replay.={", "fail2fix.replay.={"),
        ("fail2fix.risk.penalty=${oc.env:HOME}", "penalty"),
    ],
)
def test_bad_overrides_are_refused_in_one_line(word: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        replayed(made_up.recorded_run(Fail2FixConfig(correction=made_up.settings().correction), 1), [word])
    assert "\n" not in str(error.value).strip()
