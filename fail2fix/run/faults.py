"""Decide from a step's own numbers that a run must stop: skipped updates and failed checks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from fail2fix.method.errors import InputError
from fail2fix.method.rollouts import Rollouts
from fail2fix.run.config import FaultsConfig
from fail2fix.run.exit_status import Exit, TrainingError


class VerifierError(TrainingError):
    """Too little of a step could be verified: the verifier or its machine is down or overloaded."""

    exit_status = Exit.FAULT


class SkippedUpdates:
    """Count of consecutive optimizer updates that verl's engine skipped because of a non-finite gradient.

    A skipped update leaves the weights unchanged: one is harmless, many in a row mean that nothing is learned.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.in_a_row = 0

    def count(self, gradient_norms: Iterable[float]) -> int:
        """Add a step's updates by their gradient norms; return how many of them were skipped."""
        skipped = 0
        for norm in gradient_norms:
            finite = math.isfinite(norm)
            skipped += not finite
            self.in_a_row = 0 if finite else self.in_a_row + 1
        return skipped

    @property
    def too_many(self) -> str:
        """Why the run must stop; empty if it need not."""
        if not self._limit or self.in_a_row < self._limit:
            return ""
        return (
            f"the last {self.in_a_row} optimizer updates had a NaN or infinite gradient and were skipped "
            f"(fail2fix.faults.max_skipped_updates={self._limit}); lower the learning rate, and look at the rewards "
            "and at actor/pg_loss in metrics.jsonl"
        )


def check_verified(step: int, stream: str, rollouts: Rollouts, limits: FaultsConfig) -> None:
    """Refuse a step with too many failed checks in a stream, before it changes the weights.

    Raises:
        VerifierError: more failures than ``limits`` allows.
        InputError: more failures than ``limits`` allows, most of them errors of the reward function itself.
    """
    excluded, timed_out = int(rollouts.excluded.sum()), int(rollouts.ended_in("timeout").sum())
    if _too_many(excluded, rollouts.groups, limits.max_excluded_groups, limits):
        raise verification_failure(
            f"step {step}: {excluded} of the {stream} stream's {rollouts.groups} groups have a check that failed "
            f"(fail2fix.faults.max_excluded_groups={limits.max_excluded_groups:g})",
            rollouts,
        )
    if _too_many(timed_out, len(rollouts), limits.max_timeouts, limits):
        raise VerifierError(
            f"step {step}: {timed_out} of the {stream} stream's {len(rollouts)} checks timed out "
            f"(fail2fix.faults.max_timeouts={limits.max_timeouts:g}); the machine may be overloaded"
        )


def _too_many(count: int, total: int, share: float, limits: FaultsConfig) -> bool:
    return count >= limits.min_failures and count > share * total


def verification_failure(what: str, rollouts: Rollouts) -> Exception:
    """The error of a run with too many failed checks: an InputError if most are errors of the reward function."""
    if 2 * len(rollouts.reward_errors) > int(rollouts.ended_in("error").sum()):
        return InputError(f"{what}: {most_common(rollouts.reward_errors)}; correct the reward function")
    return VerifierError(f"{what}, after the retries; see the reward workers' warnings above")


def most_common(errors: Sequence[str]) -> str:
    """The most frequent error, the first of equally frequent ones."""
    return Counter(errors).most_common(1)[0][0]
