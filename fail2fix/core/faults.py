"""What can stop a run, as exit statuses; and the two things a step notices by itself: skipped updates, failed checks.

A status says whether a restart can help, which is all ``fail2fix.retry`` reads. Knows numbers, no processes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import IntEnum

from fail2fix.core.config import FaultsConfig


class Exit(IntEnum):
    """How ``python -m fail2fix.train`` ends; sysexits.h's numbers where it has one.

    A run that a signal stopped ends with 128 + its number, as in a shell.
    """

    FINISHED = 0
    UNEXPECTED = 1  # an error nobody foresaw, with its traceback
    BAD_INPUT = 2
    UNHEALTHY = 70  # the training itself went wrong: the same data and weights would do it again
    NO_SPACE = 74  # a disk or /dev/shm is full
    FAULT = 75  # a process, node or service failed: a restart from the last checkpoint can help


class TrainingFault(RuntimeError):
    """A step found that the run cannot go on; the message says why and what to do."""

    exit_status = Exit.UNHEALTHY


class VerifierFault(TrainingFault):
    """Too little of a step could be verified: the verifier or its machine is down or overloaded."""

    exit_status = Exit.FAULT


class SkippedUpdates:
    """Optimiser updates that a non-finite gradient took, in a row.

    verl's engine skips such an update and leaves the weights as they are; one is harmless, a row of them means that
    nothing is learned any more.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.in_a_row = 0

    def count(self, gradient_norms: Iterable[float]) -> int:
        """Take in a step's updates by their gradient norms; how many of them were skipped."""
        skipped = 0
        for norm in gradient_norms:
            finite = math.isfinite(norm)
            skipped += not finite
            self.in_a_row = 0 if finite else self.in_a_row + 1
        return skipped

    @property
    def too_many(self) -> str:
        """Why the run must stop; empty while it need not."""
        if not self._limit or self.in_a_row < self._limit:
            return ""
        return (
            f"the last {self.in_a_row} optimiser updates had a NaN or infinite gradient and were skipped "
            f"(fail2fix.faults.max_skipped_updates={self._limit}); lower the learning rate, and look at the rewards "
            "and at actor/pg_loss in metrics.jsonl"
        )


def check_verified(step: int, stream: str, timed_out: float, excluded: float, limits: FaultsConfig) -> None:
    """Refuse a step whose stream was hardly verified, before it changes the weights.

    Args:
        timed_out: share of the stream's rollouts whose check ran into its limit.
        excluded: share of its groups that leave the step because a check failed.

    Raises:
        VerifierFault: a share is above its limit.
    """
    for share, limit, what, key in (
        (excluded, limits.max_excluded_groups, "groups have a check that failed", "max_excluded_groups"),
        (timed_out, limits.max_timeouts, "checks timed out", "max_timeouts"),
    ):
        if share > limit:
            raise VerifierFault(
                f"step {step}: {share:.0%} of the {stream} stream's {what}, after the retries "
                f"(fail2fix.faults.{key}={limit:g}); see the reward workers' warnings above"
            )
