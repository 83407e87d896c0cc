"""What a run achieved, from the files it left: one table, or the same numbers as JSON.

    python -m fail2fix.report RUN_DIR [--json]

Knows: the names of the metrics and of the fields of verl's validation dumps. Must not know: verl, how a run
was trained, or anything that is not in RUN_DIR. Reads RUN_DIR/metrics.jsonl (one flat object a line: ``step``
and ``{metric: number}``, null where a metric was not finite) and RUN_DIR/validation/<step>.jsonl (one object
a rollout, ``input`` names the problem). Numbers are computed by pure functions of the parsed rows.

Example::

    report = make_report(Path("outputs/quickstart/20260101-120000"))
    report.after.value - report.before.value
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from fail2fix.console.markup import shown
from fail2fix.console.printable import one_line
from fail2fix.method.errors import InputError
from fail2fix.method.verdict import reaches
from fail2fix.run.renamed import with_new_metrics

Row: TypeAlias = dict[str, Any]

STREAMS = ("base", "correction")
TRANSITIONS = ("fixed", "kept", "broken", "still_wrong")
LEDGER = ("rollouts", "prompt_tokens", "generated_tokens")
PHASES = (
    "gen_base",
    "select",
    "gen_correction",
    "join",
    "old_log_prob",
    "ref",
    "adv",
    "update_actor",
    "update_weights",
    "testing",
    "save_checkpoint",
    "step",
)
FILES = ("metrics.jsonl", "config.yaml", "versions.json", "rollouts", "validation", "checkpoints")
PROBABILITY_CORRELATION = "training/rollout_actor_probs_pearson_corr"
READ = ("fail2fix/", "timing_s/", PROBABILITY_CORRELATION)
COLOURS = {"fixed": "green", "kept": "blue", "broken": "red", "still_wrong": "yellow"}

RESAMPLES = 2000
SEED = 0


@dataclass(frozen=True)
class Accuracy:
    """Held-out accuracy at a step: the mean over problems of their share of right answers, in [0, 1].

    ``low`` and ``high`` bound 95 % of the same mean over resampled problems. ``verifier_errors`` counts
    rollouts without a verdict; they count as wrong.
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
    """Correction rollouts by what became of their attempt, summed over a span of steps."""

    first_step: int
    last_step: int
    counts: dict[str, int]


@dataclass(frozen=True)
class Phase:
    """Seconds of one phase: over the run, and a mean over the steps that had it."""

    total_s: float
    mean_s: float
    steps: int


@dataclass(frozen=True)
class Facts:
    """Whether both streams did their work: counts are training steps, None is not measured."""

    correction_share: float | None
    steps_both_streams_learn: int
    steps_with_right_and_wrong_attempts: int
    min_probability_correlation: float | None


@dataclass(frozen=True)
class Report:
    """Everything the table shows. ``after`` is None where the run was validated once."""

    steps: int
    before: Accuracy
    after: Accuracy | None
    first_quarter: Transitions
    last_quarter: Transitions
    streams: dict[str, dict[str, int]]
    phases: dict[str, Phase]
    facts: Facts
    files: dict[str, str | None]


def make_report(run: Path) -> Report:
    """Read the files of ``run`` and compute its report.

    Raises:
        InputError: a missing file, or a malformed line, by file and line.
    """
    rows = read_metrics(run)
    training = [row for row in rows if row["step"] > 0]
    if not training:
        raise InputError(f"{run / 'metrics.jsonl'}: no training step in it: nothing to report yet")
    dumps = read_validations(run)
    steps = sorted(dumps)
    quarter = -(-len(training) // 4)
    return Report(
        steps=len(training),
        before=accuracy(steps[0], dumps[steps[0]]),
        after=accuracy(steps[-1], dumps[steps[-1]]) if len(steps) > 1 else None,
        first_quarter=transitions(training[:quarter]),
        last_quarter=transitions(training[-quarter:]),
        streams={stream: ledger(training, stream) for stream in STREAMS},
        phases=phases(rows),
        facts=facts(training),
        files={name: str(run / name) if (run / name).exists() else None for name in FILES},
    )


@dataclass(frozen=True)
class Kind:
    """What a field must be: in words, and as a test."""

    words: str
    fits: Callable[[Any], bool]


STEP = Kind("a step", lambda value: type(value) is int and value >= 0)
NUMBER = Kind("a number", lambda value: isinstance(value, int | float))
TEXT = Kind("a text", lambda value: isinstance(value, str))


def read_metrics(run: Path) -> list[Row]:
    """The lines of ``metrics.jsonl`` by step, under today's names. Raises ``InputError`` as ``make_report`` does."""
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder: give <root>/<experiment>/<run>")
    rows = read_lines(run / "metrics.jsonl", {"step": STEP})
    return sorted(map(with_new_metrics, rows), key=lambda row: row["step"])


def read_validations(run: Path) -> dict[int, list[Row]]:
    """The validation dumps of a run by step, at least one. Raises ``InputError`` as ``make_report`` does."""
    paths = [path for path in (run / "validation").glob("*.jsonl") if path.stem.isdigit()]
    if not paths:
        raise InputError(f"{run / 'validation'}: no <step>.jsonl in it: was the run validated?")
    wanted = {"input": TEXT, "score": NUMBER}
    return {int(path.stem): read_lines(path, wanted) for path in paths}


def read_lines(path: Path, wanted: dict[str, Kind]) -> list[Row]:
    """The objects of a JSON-lines file, at least one, each with the ``wanted`` fields of the wanted kind.

    Raises:
        InputError: by file and line.
    """
    try:
        # Not splitlines: answers may hold other line separators, which JSON leaves as they are.
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if lines == [""]:
        raise InputError(f"{path}: empty")
    return [_parse_line(f"{path}, line {number}", line, wanted) for number, line in enumerate(lines, 1)]


def _parse_line(where: str, line: str, wanted: dict[str, Kind]) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: not JSON") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: not an object")
    for name, kind in wanted.items():
        _require(where, row, name, kind)
    for name, value in row.items():
        if name.startswith(READ) and value is not None:
            _require(where, row, name, NUMBER)
    return row


def _require(where: str, row: Row, name: str, kind: Kind) -> None:
    if not kind.fits(row.get(name)):
        raise InputError(f"{where}: {name!r} is {row.get(name)!r}, not {kind.words}")


def accuracy(step: int, rows: Sequence[Row]) -> Accuracy:
    """Held-out accuracy over a dump's rollouts, grouped by ``input``, seeded bootstrap over problems."""
    problems: dict[str, list[float]] = {}
    for row in rows:
        problems.setdefault(row["input"], []).append(is_right(row))
    shares = np.array([np.mean(verdicts) for verdicts in problems.values()])
    low, high = bootstrap_interval(shares)
    return Accuracy(
        step=step,
        value=float(shares.mean()),
        low=low,
        high=high,
        problems=len(shares),
        rollouts=len(rows),
        verifier_errors=sum(row.get("verify_status") == "error" for row in rows),
    )


def is_right(row: Row) -> float:
    """The verdict of a dump's row, 1 or 0: the reward manager's own, else a full ``acc``, else a full score."""
    given = next((row[name] for name in ("verdict", "acc") if NUMBER.fits(row.get(name))), row["score"])
    return float(reaches(float(str(given))))


def bootstrap_interval(values: np.ndarray, resamples: int = RESAMPLES, seed: int = SEED) -> tuple[float, float]:
    """95 % percentile interval of the mean of ``values`` (N,) over ``resamples`` draws with replacement."""
    random = np.random.default_rng(seed)
    means = [values[random.integers(len(values), size=len(values))].mean() for _ in range(resamples)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def total(rows: Sequence[Row], name: str) -> float:
    """Sum of a metric over the rows that have it."""
    return sum(row[name] for row in rows if row.get(name) is not None)


def transitions(rows: Sequence[Row]) -> Transitions:
    """The transition matrix summed over ``rows``, training steps in order."""
    counts = {name: round(total(rows, f"fail2fix/transition/{name}")) for name in TRANSITIONS}
    return Transitions(rows[0]["step"], rows[-1]["step"], counts)


def ledger(rows: Sequence[Row], stream: str) -> dict[str, int]:
    """Rollouts and tokens of a stream, summed over ``rows``."""
    return {name: round(total(rows, f"fail2fix/{stream}/{name}")) for name in LEDGER}


def phases(rows: Sequence[Row]) -> dict[str, Phase]:
    """Seconds per phase, for the phases that occur in ``rows``."""
    found = {}
    for name in PHASES:
        seconds = [row[key] for row in rows if row.get(key := f"timing_s/{name}") is not None]
        if seconds:
            found[name] = Phase(float(sum(seconds)), float(sum(seconds) / len(seconds)), len(seconds))
    return found


def facts(rows: Sequence[Row]) -> Facts:
    """The checks on a run's training steps."""
    rollouts = {stream: total(rows, f"fail2fix/{stream}/rollouts") for stream in STREAMS}
    correlations = [row[PROBABILITY_CORRELATION] for row in rows if row.get(PROBABILITY_CORRELATION) is not None]
    return Facts(
        correction_share=rollouts["correction"] / sum(rollouts.values()) if sum(rollouts.values()) else None,
        steps_both_streams_learn=sum(all(_learns(row, stream) for stream in STREAMS) for row in rows),
        steps_with_right_and_wrong_attempts=sum(_mixes_attempts(row) for row in rows),
        min_probability_correlation=min(correlations, default=None),
    )


def _learns(row: Row, stream: str) -> bool:
    """Whether a stream had a group whose advantages are not all zero."""
    return total([row], f"fail2fix/{stream}/groups") > total([row], f"fail2fix/{stream}/zero_variance_groups")


def _mixes_attempts(row: Row) -> bool:
    return all(total([row], f"fail2fix/replay/{kind}_attempts") > 0 for kind in ("correct", "failed"))


Lines = Sequence[tuple[str, ...]]  # label and two texts


@dataclass(frozen=True)
class Section:
    """A part of the table: a title, the captions of its two columns, and lines of label and two texts."""

    title: str
    captions: tuple[str, str]
    lines: Lines


def sections(report: Report) -> list[Section]:
    """The table of a report as plain texts."""
    return [
        _accuracy_section(report.before, report.after),
        _transition_section(report.first_quarter, report.last_quarter),
        _stream_section(report.streams),
        _phase_section(report.phases),
        _facts_section(report.facts, report.steps),
    ]


def _accuracy_section(before: Accuracy, after: Accuracy | None) -> Section:
    both = (before, after)
    lines = [("accuracy", *(_percent(a.value) if a else "-" for a in both))]
    lines.append(("95 % interval", *(f"{_percent(a.low)} to {_percent(a.high)}" if a else "-" for a in both)))
    lines.append(
        (
            "problems x rollouts",
            *(f"{a.problems:,} x {a.rollouts / a.problems:g}" if a else "-" for a in both),
        )
    )
    if any(a and a.verifier_errors for a in both):
        lines.append(("without a verdict", *(f"{a.verifier_errors:,}" if a else "-" for a in both)))
    captions = (f"before, step {before.step}", f"after, step {after.step}" if after else "validated once")
    return Section("Held-out problems", captions, lines)


def _transition_section(first: Transitions, last: Transitions) -> Section:
    lines = [(name, _share(first.counts, name), _share(last.counts, name)) for name in TRANSITIONS]
    captions = (_span(first), _span(last))
    return Section("Corrections, first and last quarter", captions, lines)


def _stream_section(streams: dict[str, dict[str, int]]) -> Section:
    lines = [(name.replace("_", " "), *(f"{streams[s][name]:,}" for s in STREAMS)) for name in LEDGER]
    return Section("Streams", STREAMS, lines)


def _phase_section(found: dict[str, Phase]) -> Section:
    lines = [(name, f"{phase.total_s:,.1f}", f"{phase.mean_s:,.2f}") for name, phase in found.items()]
    return Section("Seconds", ("total", "a step"), lines)


def _facts_section(found: Facts, steps: int) -> Section:
    share, correlation = found.correction_share, found.min_probability_correlation
    lines = [
        ("rollouts that are corrections", "-" if share is None else _percent(share), ""),
        ("steps where both streams learn", f"{found.steps_both_streams_learn:,}", f"of {steps:,}"),
        (
            "steps with right and wrong attempts",
            f"{found.steps_with_right_and_wrong_attempts:,}",
            f"of {steps:,}",
        ),
        ("lowest probability correlation", "-" if correlation is None else f"{correlation:.4f}", ""),
    ]
    return Section("Checks", ("", ""), lines)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _share(counts: dict[str, int], name: str) -> str:
    everything = sum(counts.values())
    return f"{counts[name]:,} ({_percent(counts[name] / everything)})" if everything else "-"


def _span(found: Transitions) -> str:
    first, last = found.first_step, found.last_step
    return f"step {first}" if first == last else f"steps {first} to {last}"


def print_report(report: Report, console: Console) -> None:
    """Print the table and, below it, where the run's files are."""
    table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    table.add_column(justify="right")
    for section in sections(report):
        table.add_row(section.title, *section.captions, style="bold")
        for label, *values in section.lines:
            table.add_row(f"  {label}", *values, style=COLOURS.get(label))
        table.add_section()
    console.print(table)
    for name, path in report.files.items():
        console.print(shown(f"{name:<14}"), shown(path or "not written"), soft_wrap=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fail2fix.report", description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="a run's folder: <root>/<experiment>/<run>")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON instead")
    arguments = parser.parse_args(argv)
    try:
        report = make_report(arguments.run)
    except InputError as error:
        print(one_line(str(error)), file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(asdict(report), indent=2))
    else:
        print_report(report, Console())
    return 0
