"""The cost ledger: what a run has spent, stream by stream and in total (ours).

Runs are compared at equal rollouts, so everything generated for training is counted, also what never reaches an
update: groups that dynamic sampling discards, groups whose verifier failed, an offline pool's initial rollouts (a
line of their own). Validation is not training and is not counted.

Example::

    ledger = Ledger()
    ledger.spend("base", Cost(rollouts=64, prompt_tokens=1600, generated_tokens=900, verifier_calls=64), ["x1", "x2"])
    ledger.metrics()["fail2fix/ledger/total/rollouts"]  # 64.0
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from fail2fix.method.rollouts import Rollouts

INITIAL = "initial"  # the line of rollouts made before the first step


@dataclass(frozen=True)
class Cost:
    """What one stream spent.

    Attributes:
        rollouts: responses generated.
        prompt_tokens, generated_tokens: tokens read and written by the engines.
        verifier_calls: times the reward function was asked, retries included.
        seconds: wall-clock seconds of generation and verification; streams generated at once overlap.
    """

    rollouts: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    verifier_calls: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, rollouts: Rollouts, seconds: float) -> Cost:
        """What a stream's rollouts cost; ``seconds``: wall-clock time of generation and verification."""
        tokens = int(rollouts.prompt_tokens.sum()), int(rollouts.response_tokens.sum())
        return cls(len(rollouts), *tokens, rollouts.verifier_calls, seconds)

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Cost)))


@dataclass
class Ledger:
    """A run's costs since its beginning, resumptions included.

    Attributes:
        lines: stream (``base``, ``correction``, ``initial``) -> its cost.
        optimizer_steps: optimizer steps taken, M a step.
        seconds: wall-clock seconds of training, the streams' seconds included: steps, the weight syncs after them, and
            an offline pool's generation. Validation, checkpoints and dumps are not counted.
        problems: keys of the distinct training problems seen.
    """

    lines: dict[str, Cost] = field(default_factory=dict)
    optimizer_steps: int = 0
    seconds: float = 0.0
    problems: set[str] = field(default_factory=set)

    @property
    def total(self) -> Cost:
        return sum(self.lines.values(), Cost())

    def spend(self, stream: str, cost: Cost, problems: Iterable[str] = ()) -> None:
        """Add a stream's cost and the problems it was spent on."""
        self.lines[stream] = self.lines.get(stream, Cost()) + cost
        self.problems.update(problems)

    def left(self, budget: int | None) -> float:
        """Rollouts left of ``budget``; infinite without one."""
        return math.inf if budget is None else budget - self.total.rollouts

    def metrics(self) -> dict[str, float]:
        """Every line and the total, cumulative, under ``fail2fix/ledger/``."""
        lines = self.lines | {"total": self.total}
        values = {f"{stream}/{name}": value for stream, cost in lines.items() for name, value in asdict(cost).items()}
        values |= {
            "optimizer_steps": self.optimizer_steps,
            "seconds": self.seconds,
            "problems": len(self.problems),
        }
        return {f"fail2fix/ledger/{name}": float(value) for name, value in values.items()}

    def state_dict(self) -> dict[str, Any]:
        lines = {stream: asdict(cost) for stream, cost in self.lines.items()}
        return vars(self) | {"lines": lines, "problems": sorted(self.problems)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Ledger:
        lines = {stream: Cost(**cost) for stream, cost in state["lines"].items()}
        return cls(lines, state["optimizer_steps"], state["seconds"], set(state["problems"]))
