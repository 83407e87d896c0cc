"""Seconds left, of an item and of the whole check."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Time since the start; ``now`` is in seconds."""

    def __init__(self, limit_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.now, self.limit_s = now, limit_s
        self.began = now()

    @property
    def spent(self) -> float:
        return self.now() - self.began

    @property
    def left(self) -> float:
        return self.limit_s - self.spent

    def part(self, limit_s: float) -> Clock:
        """A clock for one item, with the smaller of its own limit and the time left here."""
        return Clock(min(limit_s, self.left), self.now)
