"""One stream's rollouts, read once into plain values: verdicts, rewards, lengths, and how their checks ended.

Natural order is group by group. Legend: N rollouts in N / G groups of G.

Example::

    rollouts.by_group(rollouts.correct).mean(axis=1)  # the empirical pass rate of each group's problem
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BASE, CORRECTION = "base", "correction"


@dataclass(frozen=True)
class Rollouts:
    """One stream's rollouts.

    Attributes:
        group_size: G.
        correct: (N,) verdicts.
        reward: (N,) what the reward manager gave, shaped for corrections.
        taken: (N,) what the penalty took from each reward, R - R~.
        prompt_tokens, response_tokens: (N,) lengths in tokens.
        cut_off: (N,) responses that ended at the length limit.
        answers: N extracted answers, empty where the reward function gives none.
        problems: N / G keys that identify each group's problem by content.
        statuses: N ways in which a check ended: ok, no_answer, timeout, over_limit or error; None: not given.
        verifier_calls: how often the reward function was called, retries included.
        reward_errors: errors of the reward function itself.
    """

    group_size: int
    correct: Bools
    reward: Floats
    taken: Floats
    prompt_tokens: Ints
    response_tokens: Ints
    cut_off: Bools
    answers: Sequence[str]
    problems: Sequence[str]
    statuses: Sequence[str] | None
    verifier_calls: int
    reward_errors: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.correct)

    @property
    def groups(self) -> int:
        return len(self) // self.group_size

    def by_group(self, values: NDArray[Any]) -> NDArray[Any]:
        """Rearrange (N,) values as (N / G, G)."""
        return values.reshape(-1, self.group_size)

    def ended_in(self, status: str) -> Bools:
        """Rollouts (N,) whose check ended in ``status``; none where the reward manager gives no statuses."""
        if self.statuses is None:
            return np.zeros(len(self), dtype=bool)
        return np.array([given == status for given in self.statuses], dtype=bool)

    @cached_property
    def solved(self) -> Ints:
        """Correct rollouts of each group (N / G,): the integers behind the empirical pass rates."""
        return np.asarray(self.by_group(self.correct).sum(axis=1))

    @cached_property
    def excluded(self) -> Bools:
        """Groups (N / G,) that leave the step: the verifier failed on one of their rollouts (METHOD.md, "Verdict")."""
        return np.asarray(self.by_group(self.ended_in("error")).any(axis=1))

    @cached_property
    def included(self) -> Bools:
        """Rollouts (N,) of the other groups."""
        return np.repeat(~self.excluded, self.group_size)

    @property
    def verified(self) -> int:
        """Rollouts with a finite reward and, where statuses are given, a status."""
        checked = np.isfinite(self.reward)
        if self.statuses is not None:
            checked &= np.array([bool(status) for status in self.statuses])
        return int(checked.sum())
