"""The report of an item: one JSON file, written when the item starts, whenever it learns something and when it ends."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu.clock import Clock

ENDED, RUNNING = "ended", "interrupted"


@dataclass
class Report:
    """One item's result.

    Attributes:
        origin: commit, machine, versions and command of the check.
        given_up: what the item had to do without, in words.
        shown: the figures for the table, by name.
    """

    name: str
    path: Path
    clock: Clock
    origin: dict[str, Any]
    commands: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)
    state: str = RUNNING
    seconds: float | None = None

    def require(self, holds: bool, failure: str) -> bool:
        """Record a failure unless the condition holds."""
        if not holds:
            self.failures.append(failure)
        return holds

    @property
    def verdict(self) -> str:
        if self.state != ENDED:
            return self.state
        return "failed" if self.failures else "passed"

    def save(self) -> None:
        """Replace the file at once, so that a kill leaves the old one or the new one."""
        content = {
            "item": self.name, "verdict": self.verdict, **self.origin, "commands": self.commands,
            "seconds": round(self.seconds if self.seconds is not None else self.clock.spent, 1),
            "shown": self.shown, "figures": self.figures, "failures": self.failures, "given_up": self.given_up,
        }  # fmt: skip
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(content, indent=2, default=str) + "\n")
        new.replace(self.path)

    def end(self) -> None:
        """Close the report; its verdict is final."""
        self.state, self.seconds = ENDED, self.clock.spent
        self.save()


def table(reports: list[Report]) -> str:
    """One line an item: verdict, seconds, the figures that matter, what was given up and what failed."""
    width = max((len(report.name) for report in reports), default=0)
    return "\n".join(line for report in reports for line in _lines(report, width))


def _lines(report: Report, width: int) -> list[str]:
    seconds = report.seconds if report.seconds is not None else report.clock.spent
    shown = ", ".join(f"{name} {brief(value)}" for name, value in report.shown.items())
    indent = " " * (width + 2)
    return [
        f"{report.name:{width}}  {report.verdict:11}  {seconds:5.0f} s  {shown}".rstrip(),
        *(f"{indent}given up: {what}" for what in report.given_up),
        *(f"{indent}failure: {what}" for what in report.failures),
    ]


def brief(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
