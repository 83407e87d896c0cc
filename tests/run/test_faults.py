"""What a step notices by itself: gradients that are no numbers, and checks that did not happen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.method.errors import InputError
from fail2fix.method.rollouts import Rollouts
from fail2fix.run.config import FaultsConfig
from fail2fix.run.exit_status import Exit
from fail2fix.run.faults import SkippedUpdates, VerifierError, check_verified

NORMS = st.lists(st.sampled_from([1.0, 0.0, math.nan, math.inf]), max_size=12)


def test_updates_in_a_row_are_counted_across_steps() -> None:
    updates = SkippedUpdates(limit=3)
    assert updates.count([1.0, math.nan]) == 1
    assert updates.too_many == ""
    assert updates.count([math.inf, math.nan]) == 2
    assert "the last 3 optimizer updates" in updates.too_many


def test_an_update_that_happens_ends_the_row() -> None:
    updates = SkippedUpdates(limit=2)
    for norms in ([math.nan, 1.0], [math.nan, 1.0], [math.nan, 1.0]):
        updates.count(norms)
        assert updates.too_many == ""


def test_a_limit_of_nought_never_stops() -> None:
    updates = SkippedUpdates(limit=0)
    updates.count([math.nan] * 100)
    assert updates.too_many == ""


@given(steps=st.lists(NORMS, max_size=6))
def test_what_is_counted_does_not_depend_on_how_updates_fall_into_steps(steps: list[list[float]]) -> None:
    by_step, at_once = SkippedUpdates(2), SkippedUpdates(2)
    flat = [norm for norms in steps for norm in norms]
    assert (
        sum(by_step.count(norms) for norms in steps) == at_once.count(flat) == sum(not math.isfinite(n) for n in flat)
    )
    assert by_step.in_a_row == at_once.in_a_row


LIMITS = FaultsConfig(max_excluded_groups=0.5, max_timeouts=0.9)


def checked(groups: int, timed_out: int = 0, failed: int = 0, size: int = 5, errors: Sequence[str] = ()) -> Rollouts:
    """Groups of ``size`` rollouts, the first ``timed_out`` of which timed out; then one failed check a group."""
    statuses = ["timeout" if row < timed_out else "ok" for row in range(groups * size)]
    for group in range(failed):
        statuses[-1 - size * group] = "error"
    numbers, no = np.ones(groups * size, dtype=int), np.zeros(groups * size, dtype=bool)
    return Rollouts(
        size, no, numbers.astype(float), numbers * 0.0, numbers, numbers, no, [""] * len(no), [""] * groups, statuses,
        verifier_calls=len(no), reward_errors=errors,
    )  # fmt: skip


def test_a_stream_whose_checks_hardly_happened_stops_the_step() -> None:
    check_verified(4, "base", checked(groups=8, timed_out=20, failed=4), LIMITS)
    with pytest.raises(VerifierError, match=r"step 4: 6 of the base stream's 8 groups .*max_excluded_groups=0.5"):
        check_verified(4, "base", checked(groups=8, failed=6), LIMITS)
    with pytest.raises(VerifierError, match=r"step 4: 40 of the correction stream's 40 checks timed out"):
        check_verified(4, "correction", checked(groups=8, timed_out=40), LIMITS)


@given(groups=st.integers(1, 300), share=st.floats(0, 1))
def test_few_failures_never_stop_a_run(groups: int, share: float) -> None:
    """One failed check of a single correction group is its whole stream."""
    few = min(groups, LIMITS.min_failures - 1)
    limits = FaultsConfig(max_excluded_groups=share, max_timeouts=share)
    check_verified(1, "correction", checked(groups, timed_out=few, failed=few, size=2), limits)


def test_failures_of_the_reward_function_itself_are_the_users_to_mend() -> None:
    """A restart helps a service that is down, not a KeyError."""
    own = ["rewards.py:3: KeyError: 'a'"] * 4 + ["rewards.py:9: TypeError: b"]
    with pytest.raises(InputError, match=r"6 of the base stream's 8 groups .*rewards.py:3: KeyError: 'a'; correct"):
        check_verified(4, "base", checked(8, failed=6, errors=own), LIMITS)
    with pytest.raises(VerifierError):
        check_verified(4, "base", checked(8, failed=6, errors=own[:3]), LIMITS)


def test_a_verifier_that_is_down_may_be_up_again() -> None:
    assert VerifierError.exit_status == Exit.FAULT
