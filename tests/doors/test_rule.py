"""Your own selection rule: `fail2fix.replay.rule`."""

from __future__ import annotations

from collections.abc import Sequence

from fail2fix.method.config import ReplayConfig
from fail2fix.method.selection import Attempt, PromptGroup, Selection, distinct_candidates, selection_rule
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
