"""Accounting of a step: whatever enters it leaves it, for each stream.

Prompts in = trained + skipped (by reason) + failed; rollouts asked for = generated = verified = recorded. Each number
is counted where it happens, independently of the others, and compared here. Plain integers.

Example::

    account = Account("base")
    account.enter(prompts=4, asked=16, generated=16, verified=16)
    account.leave(recorded=16, trained=3, failed=1)
    account.check(step=7)
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


class AccountingError(RuntimeError):
    """Something was lost or counted twice on its way through a step."""


@dataclass
class Account:
    """One stream's account of one step.

    Attributes:
        prompts: prompts (base: problems; correction: chosen attempts) that entered the step.
        trained: prompts whose rollouts are in the update.
        skipped: reason -> prompts that left the step as the method or the config wants it.
        failed: prompts whose verifier failed.
        asked, generated: rollouts requested of the engines, and returned by them.
        verified: rollouts that the reward function gave a verdict or a status.
        recorded: rollouts in the step's batch or among the groups left out of it.
    """

    stream: str
    prompts: int = 0
    trained: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    asked: int = 0
    generated: int = 0
    verified: int = 0
    recorded: int = 0

    def enter(self, prompts: int = 0, asked: int = 0, generated: int = 0, verified: int = 0) -> None:
        """Count prompts that enter the step, and their rollouts."""
        self.prompts += prompts
        self.asked += asked
        self.generated += generated
        self.verified += verified

    def leave(self, recorded: int = 0, trained: int = 0, failed: int = 0, **skipped: int) -> None:
        """Count prompts and rollouts that leave the step; any other keyword is a reason to skip prompts."""
        self.recorded += recorded
        self.trained += trained
        self.failed += failed
        self.skipped.update(skipped)

    def check(self, step: int) -> None:
        """Compare both sides.

        Raises:
            AccountingError: naming step, stream and all numbers.
        """
        out = self.trained + self.skipped.total() + self.failed
        if self.prompts != out:
            reasons = "".join(f" + {count} {reason}" for reason, count in sorted(self.skipped.items()))
            raise AccountingError(
                f"step {step}: of {self.prompts} {self.stream} prompts {out} are accounted for: {self.trained} trained"
                f"{reasons} + {self.failed} failed; this is an error of Fail2Fix, please report it"
            )
        if not self.asked == self.generated == self.verified == self.recorded:
            raise AccountingError(
                f"step {step}: {self.asked} {self.stream} rollouts asked for, {self.generated} generated, "
                f"{self.verified} verified, {self.recorded} recorded; this is an error of Fail2Fix, please report it"
            )

    def metrics(self) -> dict[str, float]:
        """Every number, under ``fail2fix/accounting/<stream>/``."""
        numbers = {
            "prompts": self.prompts,
            "trained": self.trained,
            "skipped": self.skipped.total(),
            "failed": self.failed,
            "generated": self.generated,
            "verified": self.verified,
            "recorded": self.recorded,
        } | {f"skipped_{reason}": count for reason, count in self.skipped.items()}
        return {f"fail2fix/accounting/{self.stream}/{name}": float(count) for name, count in numbers.items()}
