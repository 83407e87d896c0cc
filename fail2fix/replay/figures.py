"""Figures of decisions: shares, transitions, idle groups, and how hard each kind of correction pulls.

The *pull* of a kind of rollout is the sum of its absolute advantages over the stream's rollouts in the update, times
the stream's weight: its share of the objective's gradient, with every rollout's log-prob gradient counted alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import reduce

import numpy as np

from fail2fix.method.rollouts import Bools
from fail2fix.replay.decide import Decision, ReplayedStep
from fail2fix.replay.decisions import RecordedStep
from fail2fix.report.transitions import TRANSITIONS


@dataclass(frozen=True)
class Figures:
    """Sums over the steps of one side, the run's or the replay's.

    Attributes:
        steps, rho: number of steps, and the sum of the wanted share of correct attempts.
        attempts, correct: chosen attempts, and the correct ones among them.
        known: chosen attempts with corrections.
        groups, idle: known groups in the update, and those without an advantage.
        rollouts: known corrections in the update; ``transitions``: the same by transition.
        pulls: sums of absolute advantages times lambda, by transition.
    """

    steps: int
    rho: float
    attempts: int
    correct: int
    known: int
    groups: int
    idle: int
    rollouts: int
    transitions: Mapping[str, int]
    pulls: Mapping[str, float]

    def __add__(self, other: Figures) -> Figures:
        mine, theirs = asdict(self), asdict(other)
        return Figures(**{name: _sum(mine[name], theirs[name]) for name in mine})

    def pull(self, transition: str) -> float | None:
        """The pull of a transition on the update; None without corrections."""
        return self.pulls[transition] / self.rollouts if self.rollouts else None

    @property
    def rho_effective(self) -> float | None:
        """Share of correct attempts among the chosen; None without attempts."""
        return self.correct / self.attempts if self.attempts else None

    @property
    def breaking_to_fixing(self) -> float | None:
        """How many times as hard broken corrections pull as fixed ones; None if no fixed one pulls."""
        return self.pulls["broken"] / self.pulls["fixed"] if self.pulls["fixed"] else None


def _sum(one: object, other: object) -> object:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {name: one[name] + other[name] for name in one}
    return one + other  # type: ignore[operator]


def figures_of(decision: Decision) -> Figures:
    """The figures of one decision."""
    weight, of = decision.settings.correction.weight, transitions_of(decision)
    return Figures(
        steps=1,
        rho=decision.state.rho,
        attempts=len(decision.selection.attempts),
        correct=decision.selection.correct,
        known=len(decision.known),
        groups=int(decision.kept.sum()),
        idle=int(decision.idle.sum()),
        rollouts=int(decision.trained.sum()),
        transitions={name: int(rows.sum()) for name, rows in of.items()},
        pulls={name: weight * float(np.abs(decision.advantage[rows]).sum()) for name, rows in of.items()},
    )


def transitions_of(decision: Decision) -> dict[str, Bools]:
    """Which known corrections (K, G) in the update are of each transition."""
    before, after = decision.attempt_correct[:, None], decision.correct
    rows = (~before & after, before & after, before & ~after, ~before & ~after)
    return {name: np.asarray(which & decision.trained) for name, which in zip(TRANSITIONS, rows, strict=True)}


def total(decisions: Iterable[Decision]) -> Figures:
    """The figures of at least one decision."""
    return reduce(Figures.__add__, map(figures_of, decisions))


def base_pull(steps: Iterable[RecordedStep]) -> float:
    """The pull of the base stream, which no replay changes; 0 without rollouts in the update."""
    rows = [(np.abs(step.base.advantage[step.base.trained]).sum(), step.base.trained.sum()) for step in steps]
    pulls, rollouts = (sum(map(float, column)) for column in zip(*rows, strict=True))
    return pulls / rollouts if rollouts else 0.0


@dataclass(frozen=True)
class Changes:
    """Attempts chosen by the run and by the replay: by both, and by one only."""

    both: int
    only_run: int
    only_replay: int


def changes(steps: Iterable[ReplayedStep]) -> Changes:
    """How the chosen attempts differ, summed over steps."""
    pairs = [(len(step.run.selection.attempts), len(step.replay.selection.attempts), step) for step in steps]
    both = sum(len(step.replay.known) for _, _, step in pairs)
    return Changes(both, sum(run for run, _, _ in pairs) - both, sum(replay for _, replay, _ in pairs) - both)
