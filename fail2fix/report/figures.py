"""Figures of a training run: accuracy, transitions, streams, seconds and checks, from the files in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fail2fix.method.errors import InputError
from fail2fix.report.reading import (
    BOOLEAN,
    PROBABILITY_CORRELATION,
    TEXT,
    Row,
    is_right,
    read_lines,
    read_validation,
    tally,
)
from fail2fix.report.run_data import RunData, measured, read_run, total
from fail2fix.report.statistics import bootstrap_interval
from fail2fix.report.transitions import TRANSITIONS

VALIDATION, HELD_OUT = "validation", "held_out_corrections"
STREAMS = ("base", "correction")
LEDGER = ("rollouts", "prompt_tokens", "generated_tokens")
PHASES = (
    "gen_base", "select", "gen_correction", "join", "old_log_prob", "ref", "adv", "update_actor", "update_weights",
    "testing", "save_checkpoint", "step",
)  # fmt: skip
FILES = ("metrics.jsonl", "config.yaml", "versions.json", "rollouts", "validation", "checkpoints", "report.html")


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers at a step: the mean over problems of their share, in [0, 1].

    ``low`` and ``high`` bound 95 % of the same mean over resampled problems. ``verifier_errors``: rollouts without a
    verdict, which count as wrong.
    """

    step: int
    value: float
    low: float
    high: float
    problems: int
    rollouts: int
    verifier_errors: int


@dataclass(frozen=True)
class Transitions:
    """Transition matrix summed over a span of steps."""

    first_step: int
    last_step: int
    counts: dict[str, int]

    @property
    def span(self) -> str:
        """The steps in words."""
        first, last = self.first_step, self.last_step
        return f"step {first}" if first == last else f"steps {first} to {last}"

    def share(self, name: str, *whole: str) -> float | None:
        """The share of a transition among some, by default all; None without any."""
        everything = sum(self.counts[each] for each in whole or TRANSITIONS)
        return self.counts[name] / everything if everything else None


@dataclass(frozen=True)
class Phase:
    """Seconds of one phase: in all, and a mean over the steps that had it."""

    total_s: float
    mean_s: float
    steps: int


@dataclass(frozen=True)
class Facts:
    """Checks that both streams did their work: counts of training steps; None where nothing was measured."""

    correction_share: float | None
    steps_both_streams_learn: int
    steps_with_right_and_wrong_attempts: int
    min_probability_correlation: float | None


@dataclass(frozen=True)
class Report:
    """All figures of a run. ``before`` is None without a validation, ``after`` where the run was validated once.

    ``fixed``, ``broken``: shares of the corrections of frozen wrong attempts that are right, and of right ones that are
    wrong, before and after; empty without ``fail2fix.held_out``.
    """

    steps: int
    before: Accuracy | None
    after: Accuracy | None
    fixed: Sequence[Accuracy]
    broken: Sequence[Accuracy]
    first_quarter: Transitions
    last_quarter: Transitions
    streams: dict[str, dict[str, int]]
    phases: dict[str, Phase]
    facts: Facts
    files: dict[str, str | None]


def make_report(folder: Path) -> Report:
    """Read the files of a run and compute its report.

    Raises ``InputError``: a missing file, or a malformed line, by file and line.
    """
    run = read_run(folder)
    steps = run.steps
    if not steps:
        raise InputError(f"{folder / 'metrics.jsonl'}: no training step in it: nothing to report yet")
    accuracies, fixed, broken = held_out(run)
    before, after = (*accuracies, None, None)[:2]
    first, last = map(transitions, run.quarters)
    streams = {s: {name: round(total(steps, f"fail2fix/{s}/{name}")) for name in LEDGER} for s in STREAMS}
    seconds = {name: found for name in PHASES if (found := measured(run.lines, f"timing_s/{name}"))}
    phases = {name: Phase(float(sum(s)), float(sum(s) / len(s)), len(s)) for name, s in seconds.items()}
    files = {name: str(folder / name) if (folder / name).exists() else None for name in FILES}
    return Report(len(steps), before, after, fixed, broken, first, last, streams, phases, _facts(steps), files)


def held_out(run: RunData) -> tuple[list[Accuracy], list[Accuracy], list[Accuracy]]:
    """Held-out accuracy, and the fix and break rate of frozen attempts: each before and after, where it was measured.

    Raises ``InputError``: a malformed line, by file and line.
    """
    accuracies = [accuracy(step, read_validation(run.folder, step)) for step in run.dumped(VALIDATION)]
    rates: dict[bool, list[Accuracy]] = {False: [], True: []}
    for step in run.dumped(HELD_OUT):
        wanted = {"problem": TEXT, "attempt_correct": BOOLEAN, "correct": BOOLEAN}
        rows = read_lines(run.folder / HELD_OUT / f"{step}.jsonl", wanted)
        for attempt_correct, rate in rates.items():
            changed = [
                row | {"input": row["problem"], "score": int(row["correct"] != attempt_correct)}
                for row in rows
                if row["attempt_correct"] == attempt_correct and row.get("status") != "error"
            ]
            rate += [accuracy(step, changed)] if changed else []
    return accuracies, rates[False], rates[True]


def accuracy(step: int, rows: Sequence[Row]) -> Accuracy:
    """Share of right answers among rollouts, grouped by ``input``; a bootstrap over problems."""
    problems = tally((row["input"], is_right(row), 1) for row in rows)
    shares = np.array([right / n for right, n in problems.values()])
    errors = sum(row.get("verify_status") == "error" for row in rows)
    return Accuracy(step, float(shares.mean()), *bootstrap_interval(shares), len(shares), len(rows), errors)


def transitions(rows: Sequence[Row]) -> Transitions:
    """Transition matrix summed over ``rows``, training steps in order, at least one."""
    counts = {name: round(total(rows, f"fail2fix/transition/{name}")) for name in TRANSITIONS}
    return Transitions(rows[0]["step"], rows[-1]["step"], counts)


def _facts(rows: Sequence[Row]) -> Facts:
    corrections, rollouts = (
        total(rows, *(f"fail2fix/{stream}/rollouts" for stream in streams)) for streams in (STREAMS[1:], STREAMS)
    )

    def learns(row: Row, stream: str) -> bool:
        return total([row], f"fail2fix/{stream}/groups") > total([row], f"fail2fix/{stream}/zero_variance_groups")

    def has(row: Row, kind: str) -> bool:
        return total([row], f"fail2fix/replay/{kind}_attempts") > 0

    return Facts(
        correction_share=corrections / rollouts if rollouts else None,
        steps_both_streams_learn=sum(all(learns(row, stream) for stream in STREAMS) for row in rows),
        steps_with_right_and_wrong_attempts=sum(has(row, "correct") and has(row, "failed") for row in rows),
        min_probability_correlation=min(measured(rows, PROBABILITY_CORRELATION), default=None),
    )
