"""What a checkpoint after a failure holds belongs to the last whole step, not to the one that failed."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fail2fix.method.admission import Cutoffs
from fail2fix.method.selection import Attempt
from fail2fix.run.config import Fail2FixConfig
from fail2fix.verl_ext.streaming import Carried, Decided, StreamedStep, Streaming

POOL: Any = object()
BASE: Any = SimpleNamespace(by_group=lambda _: np.zeros((1, 2)), response_tokens=None)


def attempt(sample: int) -> Attempt:
    return Attempt(group=0, sample=sample, correct=False, content=b"x")


def test_what_late_groups_admit_waits_for_the_end_of_their_step() -> None:
    builder: Any = None
    streaming = Streaming(Fail2FixConfig(), builder, lambda _: [])
    streaming.cutoffs = Cutoffs(correct=0.5, failed=0.5, filled=-1, limit=1, patience=8, wanted=1)
    of_the_last_step = streaming.carried = Carried([(POOL, attempt(0))])
    nothing: Any = []
    step = StreamedStep(streaming, nothing, rollouts=2, step=3)
    step.late = [(0, POOL, attempt(1))]
    step.take(0, BASE)
    assert streaming.carried is of_the_last_step, "the step may yet fail, and be done again"
    streaming.end_step(BASE, Decided(Counter({False: 1}), step.waiting), k=1, rho=0.5, step=3)
    assert streaming.carried.attempts == [(POOL, attempt(1))]


def test_an_attempt_without_a_prompt_is_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Serial selection takes the next in line; a group that has been decided cannot, so that later steps do."""
    builder: Any = None
    streaming = Streaming(Fail2FixConfig(), builder, lambda _: [])
    streaming.cutoffs = Cutoffs(correct=0.5, failed=0.5, filled=-1, limit=2, patience=8, wanted=4)
    nothing: Any = []
    step = StreamedStep(streaming, nothing, rollouts=2, step=3)
    step.admitted.update({False: 2})
    monkeypatch.setattr("fail2fix.verl_ext.streaming.build_replays", lambda *_: ([], Counter(skipped=2)))
    step._correct(nothing, POOL, [attempt(0), attempt(1)], (1, 0))
    streaming.end_step(BASE, Decided(step.admitted, step.waiting), k=4, rho=0.5, step=3)
    assert streaming.cutoffs is not None
    assert streaming.cutoffs.owed == 4, "none of the four is corrected"
    assert step.counts["skipped"] == 2


def test_a_serial_step_leaves_what_was_carried() -> None:
    builder: Any = None
    streaming = Streaming(Fail2FixConfig(), builder, lambda _: [])
    carried = streaming.carried = Carried([(POOL, attempt(0))])
    streaming.end_step(BASE, None, k=1, rho=0.5, step=3)
    assert streaming.carried is carried
