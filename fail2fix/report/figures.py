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
    dumped_steps,
    is_right,
    quarters,
    read_lines,
    read_metrics,
    read_validation,
    tally,
    validated_steps,
)
from fail2fix.report.run_data import number
from fail2fix.report.statistics import bootstrap_interval
from fail2fix.report.transitions import TRANSITIONS

HELD_OUT = "held_out_corrections"
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
    """All figures of a run. ``after`` is None where the run was validated once.

    ``fixed``, ``broken``: shares of the corrections of frozen wrong attempts that are right, and of right ones that are
    wrong, before and after; empty without ``fail2fix.held_out``.
    """

    steps: int
    before: Accuracy
    after: Accuracy | None
    fixed: tuple[Accuracy, ...]
    broken: tuple[Accuracy, ...]
    first_quarter: Transitions
    last_quarter: Transitions
    streams: dict[str, dict[str, int]]
    phases: dict[str, Phase]
    facts: Facts
    files: dict[str, str | None]


def make_report(run: Path) -> Report:
    """Read the files of ``run`` and compute its report.

    Raises ``InputError``: a missing file, or a malformed line, by file and line.
    """
    rows = read_metrics(run)
    training = [row for row in rows if row["step"] > 0]
    if not training:
        raise InputError(f"{run / 'metrics.jsonl'}: no training step in it: nothing to report yet")
    steps = validated_steps(run)
    fixed, broken = (held_out_rates(run, attempt_correct) for attempt_correct in (False, True))
    first, last = quarters(training)
    return Report(
        steps=len(training),
        before=accuracy(steps[0], read_validation(run, steps[0])),
        after=accuracy(steps[-1], read_validation(run, steps[-1])) if len(steps) > 1 else None,
        fixed=fixed,
        broken=broken,
        first_quarter=transitions(first),
        last_quarter=transitions(last),
        streams={s: {name: round(total(training, f"fail2fix/{s}/{name}")) for name in LEDGER} for s in STREAMS},
        phases=phases(rows),
        facts=facts(training),
        files={name: str(run / name) if (run / name).exists() else None for name in FILES},
    )


def held_out_rates(run: Path, attempt_correct: bool) -> tuple[Accuracy, ...]:
    """How many held-out corrections change their attempt's verdict, first and last time they were asked for."""
    found = []
    for step in dict.fromkeys(steps[i] for i in (0, -1) if (steps := dumped_steps(run / HELD_OUT))):
        wanted = {"problem": TEXT, "attempt_correct": BOOLEAN, "correct": BOOLEAN}
        rows = read_lines(run / HELD_OUT / f"{step}.jsonl", wanted)
        changed = [
            row | {"input": row["problem"], "score": int(row["correct"] != attempt_correct)}
            for row in rows
            if row["attempt_correct"] == attempt_correct and row.get("status") != "error"
        ]
        if changed:
            found.append(accuracy(step, changed))
    return tuple(found)


def accuracy(step: int, rows: Sequence[Row]) -> Accuracy:
    """Share of right answers among rollouts, grouped by ``input``; a bootstrap over problems."""
    problems = tally((row["input"], is_right(row), 1) for row in rows)
    shares = np.array([right / n for right, n in problems.values()])
    errors = sum(row.get("verify_status") == "error" for row in rows)
    return Accuracy(step, float(shares.mean()), *bootstrap_interval(shares), len(shares), len(rows), errors)


def measured(rows: Sequence[Row], name: str) -> list[float]:
    """Finite values of a metric in the rows that have one."""
    return [value for row in rows if (value := number(row, name)) is not None]


def total(rows: Sequence[Row], name: str) -> float:
    """Sum of a metric over the rows that have it."""
    return sum(measured(rows, name))


def transitions(rows: Sequence[Row]) -> Transitions:
    """Transition matrix summed over ``rows``, training steps in order."""
    counts = {name: round(total(rows, f"fail2fix/transition/{name}")) for name in TRANSITIONS}
    return Transitions(rows[0]["step"], rows[-1]["step"], counts)


def phases(rows: Sequence[Row]) -> dict[str, Phase]:
    """Seconds of each phase that occurs in ``rows``."""
    found = {name: measured(rows, f"timing_s/{name}") for name in PHASES}
    return {name: Phase(float(sum(s)), float(sum(s) / len(s)), len(s)) for name, s in found.items() if s}


def facts(rows: Sequence[Row]) -> Facts:
    """Checks on a run's training steps."""
    rollouts = {stream: total(rows, f"fail2fix/{stream}/rollouts") for stream in STREAMS}
    return Facts(
        correction_share=rollouts["correction"] / sum(rollouts.values()) if sum(rollouts.values()) else None,
        steps_both_streams_learn=sum(all(_learns(row, stream) for stream in STREAMS) for row in rows),
        steps_with_right_and_wrong_attempts=sum(_mixes_attempts(row) for row in rows),
        min_probability_correlation=min(measured(rows, PROBABILITY_CORRELATION), default=None),
    )


def _learns(row: Row, stream: str) -> bool:
    """Whether a stream had a group whose advantages are not all zero."""
    return total([row], f"fail2fix/{stream}/groups") > total([row], f"fail2fix/{stream}/zero_variance_groups")


def _mixes_attempts(row: Row) -> bool:
    return all(total([row], f"fail2fix/replay/{kind}_attempts") > 0 for kind in ("correct", "failed"))
