"""The adaptive replay ratio (METHOD.md, item 7)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fail2fix.method.config import RatioConfig
from fail2fix.method.ratio import RatioState, ReplayRatio, next_state, pass_rate_ratio
from fail2fix.method.selection import Attempt, PromptGroup

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

CONFIG = RatioConfig()
measurements = st.lists(st.tuples(st.integers(0, 16), st.integers(0, 16)).map(sorted), max_size=30)


def after(measured: list[float], config: RatioConfig = CONFIG, rho: float = 0.3) -> RatioState:
    state = RatioState(rho=rho)
    for s in measured:
        state = next_state(state, s, config)
    return state


def test_the_worked_example() -> None:
    """rho .3, s .75 -> 11/16, c 1 -> 2: f1 .1125, f2 .0625, f3 2, factor 1.20875."""
    state = next_state(RatioState(rho=0.3, retention=0.75, below=1), 11 / 16, CONFIG)
    assert state.rho == pytest.approx(0.362625)
    assert state.rho / 0.3 == pytest.approx(1.20875)
    assert (state.retention, state.below) == (11 / 16, 2)


def test_the_first_measurement_has_no_fall() -> None:
    """f1 .3, f2 0, f3 1: factor 1 + .24 + .05."""
    assert after([0.5]).rho == pytest.approx(0.3 * 1.29)


def test_a_rise_is_not_a_fall() -> None:
    """From .5 to .7: f1 .1, f2 0, f3 2."""
    state = next_state(RatioState(0.3, retention=0.5, below=1), 0.7, CONFIG)
    assert state.rho == pytest.approx(0.3 * (1 + 0.08 + 0.1))


def test_retention_above_target_lowers_the_ratio() -> None:
    """s 1, target .8: f1 -.2, nothing else."""
    assert after([1.0]).rho == pytest.approx(0.3 * 0.84)


def test_a_fall_above_target_still_counts() -> None:
    """From 1 to .8: f1 0, f2 .2."""
    assert next_state(RatioState(0.3, retention=1.0), 0.8, CONFIG).rho == pytest.approx(0.3 * 1.06)


def test_steps_below_target_are_counted_until_one_reaches_it() -> None:
    assert [after(n * [0.7]).below for n in range(1, 6)] == [1, 2, 3, 4, 5]
    assert after([0.7, 0.7, 0.8]).below == 0
    assert after([0.7, 0.8, 0.7]).below == 1


def test_the_count_saturates_at_three() -> None:
    long, three = (next_state(RatioState(0.3, 0.79, below), 0.79, CONFIG).rho for below in (9, 2))
    assert long == three == pytest.approx(0.3 * (1 + 0.8 * 0.01 + 0.05 * 3))


def test_nothing_measured_changes_nothing() -> None:
    ratio = ReplayRatio(CONFIG)
    ratio.update(kept=3, measured=8)
    state = ratio.state
    ratio.update(kept=0, measured=0)
    assert ratio.state == state


@given(measurements)
def test_the_ratio_stays_in_its_range(steps: list[list[int]]) -> None:
    ratio = ReplayRatio(CONFIG)
    for kept, measured in steps:
        ratio.update(kept, measured)
        assert CONFIG.minimum <= ratio.rho <= CONFIG.maximum


def test_the_range_is_reached_on_both_sides() -> None:
    assert after(20 * [0.0]).rho == CONFIG.maximum
    assert after(20 * [1.0]).rho == CONFIG.minimum


def test_a_moving_average_keeps_its_share_of_the_last_retention() -> None:
    config = RatioConfig(retention_ema=0.9)
    assert after([0.5], config).retention == 0.5
    assert after([0.5, 1.0], config).retention == pytest.approx(0.55)


@given(measurements)
def test_a_fixed_ratio_stays_and_retention_is_still_tracked(steps: list[list[int]]) -> None:
    fixed, adaptive = ReplayRatio(RatioConfig(adaptive=False)), ReplayRatio(CONFIG)
    for kept, measured in steps:
        fixed.update(kept, measured)
        adaptive.update(kept, measured)
    assert fixed.rho == CONFIG.initial
    assert (fixed.state.retention, fixed.state.below) == (adaptive.state.retention, adaptive.state.below)


@given(before=measurements, later=measurements)
def test_a_resumed_controller_goes_on_exactly(before: list[list[int]], later: list[list[int]]) -> None:
    ratio, resumed = ReplayRatio(CONFIG), ReplayRatio(CONFIG)
    for step in before:
        ratio.update(*step)
    resumed.load_state_dict(json.loads(json.dumps(ratio.state_dict())))
    for step in later:
        ratio.update(*step)
        resumed.update(*step)
    assert resumed.state == ratio.state


TRACE = [  # retention, expected rho and c; None: nothing measured. METHOD.md, item 7, in exact fractions
    (None, 0.3000000000, 0),
    (0.9, 0.2760000000, 0),
    (0.85, 0.2691000000, 0),
    (0.8, 0.2731365000, 0),
    (0.75, 0.3018158325, 1),
    (0.7, 0.3606699198, 2),
    (0.6, 0.4832976926, 3),
    (0.5, 0.6862827235, 4),
    (None, 0.6862827235, 4),
    (0.5, 0.8000000000, 5),
    (0.55, 0.8000000000, 6),
    (0.65, 0.8000000000, 7),
    (0.75, 0.8000000000, 8),
    (0.8, 0.8000000000, 0),
    (0.9, 0.7360000000, 0),
    (1, 0.6182400000, 0),
    (1, 0.5193216000, 0),
    (1, 0.4362301440, 0),
    (0.95, 0.3904259789, 0),
    (0.7, 0.4704633046, 1),
    (None, 0.4704633046, 1),
    (None, 0.4704633046, 1),
    (0.6, 0.6068976629, 2),
    (0.3, 0.8000000000, 3),
    (0, 0.8000000000, 4),
    (0, 0.8000000000, 5),
    (0.2, 0.8000000000, 6),
    (0.79, 0.8000000000, 7),
    (0.81, 0.7936000000, 0),
    (1, 0.6666240000, 0),
]


def test_a_trace_of_thirty_steps_is_followed_exactly() -> None:
    """Rising, falling and missing retention; both ends of the range."""
    state = RatioState(rho=0.3)
    rhos = []
    for measured, rho, below in TRACE:
        if measured is not None:
            state = next_state(state, measured, CONFIG)
        rhos.append(state.rho)
        assert state.rho == pytest.approx(rho, abs=1e-9)
        assert state.below == below
    assert len(TRACE) == 30
    assert min(rhos) >= CONFIG.minimum
    assert max(rhos) == CONFIG.maximum


def rollouts_of(solved: list[int], size: int = 8) -> list[PromptGroup]:
    return [
        PromptGroup(str(group), tuple(Attempt(group, sample, sample < right, b"") for sample in range(size)))
        for group, right in enumerate(solved)
    ]


@given(st.lists(st.integers(0, 8), max_size=12))
def test_the_pass_rate_replaces_the_controller_within_the_range(solved: list[int]) -> None:
    ratio = ReplayRatio(RatioConfig(pass_rate=True))
    ratio.follow(rollouts_of(solved))
    wanted = min(max(sum(solved) / (8 * len(solved)), 0.2), 0.8) if solved else CONFIG.initial
    assert ratio.rho == wanted
    ratio.update(kept=0, measured=8)
    assert (ratio.rho, ratio.state.retention) == (wanted, 0.0)


def test_without_the_switch_the_pass_rate_changes_nothing() -> None:
    state = RatioState(rho=0.3)
    assert pass_rate_ratio(state, rollouts_of([8, 8]), CONFIG) is state
