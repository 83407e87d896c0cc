"""Figures of decisions: shares, transitions, idle groups, and how hard each kind of correction pulls.

The *pull* of a kind of rollout is the sum of its absolute advantages over the stream's rollouts in the update, times
the stream's weight: its share of the objective's gradient, with every rollout's log-prob gradient counted alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from fail2fix.method.rollouts import Bools
from fail2fix.replay.decide import Decision
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


def figures_of(*decisions: Decision) -> Figures:
    """The figures of some decisions."""
    transitions = dict.fromkeys(TRANSITIONS, 0)
    pulls = dict.fromkeys(TRANSITIONS, 0.0)
    for decision in decisions:
        for name, rows in transitions_of(decision).items():
            transitions[name] += int(rows.sum())
            pulls[name] += decision.settings.correction.weight * float(np.abs(decision.advantage[rows]).sum())
    return Figures(
        steps=len(decisions),
        rho=sum(d.state.rho for d in decisions),
        attempts=sum(len(d.selection.attempts) for d in decisions),
        correct=sum(d.selection.correct for d in decisions),
        known=sum(len(d.known) for d in decisions),
        groups=sum(int(d.kept.sum()) for d in decisions),
        idle=sum(int(d.idle.sum()) for d in decisions),
        rollouts=sum(transitions.values()),
        transitions=transitions,
        pulls=pulls,
    )


def transitions_of(decision: Decision) -> dict[str, Bools]:
    """Which known corrections (K, G) in the update are of each transition."""
    before, after = decision.attempt_correct[:, None], decision.correct
    rows = (~before & after, before & after, before & ~after, ~before & ~after)
    return {name: np.asarray(which & decision.trained) for name, which in zip(TRANSITIONS, rows, strict=True)}


def base_pull(steps: Iterable[RecordedStep]) -> float:
    """The pull of the base stream, which no replay changes; 0 without rollouts in the update."""
    rows = [(np.abs(step.base.advantage[step.base.trained]).sum(), step.base.trained.sum()) for step in steps]
    pulls, rollouts = (sum(map(float, column)) for column in zip(*rows, strict=True))
    return pulls / rollouts if rollouts else 0.0
