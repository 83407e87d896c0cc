"""One training step: its number, what it measured, its accounting, and the seconds of its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from verl.utils.debug import marked_timer

from fail2fix.method.accounting import Account
from fail2fix.method.ledger import Ledger
from fail2fix.method.rollouts import BASE, CORRECTION
from fail2fix.replay.decisions import RecordedStep
from fail2fix.run.profiling import ProfilePlan


@dataclass
class Step:
    """One step.

    Attributes:
        number: 1 for the first; 0 outside training.
        last: no step follows; known at the beginning for a number of steps, after the rollouts for a budget of them.
        ledger: where rollouts are charged.
        accounts: each stream's account of the step.
        phase: tells the watchdog which part is running.
        timing: seconds of each part.
        retention: correct corrections of correct attempts, and all of them.
        decisions: what the step chose and which advantages it gave, for its dump; None without corrections.
    """

    number: int
    epoch: int
    last: bool
    profile: ProfilePlan
    ledger: Ledger
    phase: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext()
    accounts: dict[str, Account] = field(default_factory=lambda: {name: Account(name) for name in (BASE, CORRECTION)})
    metrics: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, float] = field(default_factory=dict)
    retention: tuple[int, int] = (0, 0)
    decisions: Callable[[], RecordedStep] | None = None

    @classmethod
    def outside(cls) -> Step:
        """Rollouts before the first step, which no ledger is charged for."""
        return cls(0, 0, False, ProfilePlan(False, False, False, False), Ledger())

    @contextmanager
    def timer(self, name: str) -> Iterator[None]:
        """Time a part of the step; the watchdog knows it as a phase of the same name."""
        with self.phase(name), marked_timer(name, self.timing):
            yield
