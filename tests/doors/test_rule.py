"""Your own selection rule: `fail2fix.replay.rule`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from fail2fix.method.config import ReplayConfig
from fail2fix.method.objective import BatchSplit, feasible_attempts
from fail2fix.method.selection import (
    Attempt,
    PromptGroup,
    Selection,
    distinct_candidates,
    select_fitting,
    selection_rule,
)
from tests.doors.settings import settings_of


def failures(
    groups: Sequence[PromptGroup], k: int, rho: float, config: ReplayConfig, seed: int, step: int
) -> Selection:
    """The first k failed attempts, whatever rho says."""
    candidates, counts = distinct_candidates(groups)
    failed = sorted((a for a in candidates if not a.correct), key=lambda a: (a.group, a.sample))
    return Selection(failed[:k], wanted_correct=0, counts=counts)


def test_your_own_rule_chooses_the_attempts() -> None:
    rule = selection_rule(settings_of(replay={"rule": f"{__name__}.failures"}).replay)
    group = PromptGroup("7 + 5?", (Attempt(0, 0, True, b"12"), Attempt(0, 1, False, b"11"), Attempt(0, 2, False, b"2")))
    selection = rule([group], 2, 0.5, ReplayConfig(), 0, 1)
    assert [attempt.content for attempt in selection.attempts] == [b"11", b"2"]
    assert selection.rho_effective == 0


@pytest.mark.parametrize(("ranks", "mini_batches", "chosen"), [(1, 1, 3), (2, 1, 2), (2, 2, 0)])
def test_what_your_own_rule_chooses_divides_into_ranks_and_mini_batches(
    ranks: int, mini_batches: int, chosen: int
) -> None:
    """Three failures among six attempts: of k = 6 or 4 wanted the rule finds three, and 3 x 3 rows do not divide."""
    fits = partial(
        feasible_attempts, rollouts=3, base_rows=16, split=BatchSplit(ranks=ranks, mini_batches=mini_batches)
    )
    group = PromptGroup("7 + 5?", tuple(Attempt(0, place, place % 2 == 0, b"%d" % place) for place in range(6)))
    selection = select_fitting([group], 6, fits, failures, 0.5, ReplayConfig(), seed=0, step=1)
    assert len(selection.attempts) == chosen
    assert selection.counts["trimmed"] == (0 if mini_batches == 1 else 2) + 3 - chosen
