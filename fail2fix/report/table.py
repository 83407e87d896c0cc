"""The report of a run as a console table. Computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from fail2fix.report.console_table import NOTHING, Section, percent, section_table, share_of, shown
from fail2fix.report.figures import LEDGER, STREAMS, Accuracy, Report
from fail2fix.report.transitions import TRANSITIONS

SHORT_S = 0.05  # a phase that took less in all would show as 0.0 s; the JSON has it


def print_report(report: Report, console: Console) -> None:
    """Print the table and, below it, the names of the run's files and of those that are missing."""
    console.print(section_table(("", "", ""), sections(report)))
    folder = Path(report.files["metrics.jsonl"] or "").parent
    for title, exists in ((f"in {folder}:", True), ("not written:", False)):
        if names := [name for name, path in report.files.items() if bool(path) is exists]:
            console.print(shown(f"{title} {', '.join(names)}"), soft_wrap=True)


def sections(report: Report) -> list[Section]:
    """The table's sections as plain texts."""
    streams, quarters, facts = report.streams, (report.first_quarter, report.last_quarter), report.facts
    found: list[Section] = []
    if report.before:
        found.append(_accuracy_section(report.before, report.after))
    if rates := {name: rate for name, rate in (("fixed", report.fixed), ("broken", report.broken)) if rate}:
        lines = [line for name, rate in rates.items() for line in _share_lines(name, rate)]
        captions = _captions(report.fixed or report.broken)
        found.append(Section("Corrections of frozen held-out attempts", lines, captions))
    corrections = [
        (name, *(share_of(q.counts[name], sum(q.counts.values())) for q in quarters)) for name in TRANSITIONS
    ]
    tokens = [(name.replace("_", " "), *(f"{streams[s][name]:,}" for s in STREAMS)) for name in LEDGER]
    seconds = [
        (name, f"{each.total_s:,.1f}", f"{each.mean_s:,.2f}")
        for name, each in report.phases.items()
        if each.total_s >= SHORT_S
    ]
    share, correlation, of = facts.correction_share, facts.min_probability_correlation, f"of {report.steps:,}"
    checks = [
        ("rollouts that are corrections", NOTHING if share is None else percent(share), ""),
        ("steps where both streams learn", f"{facts.steps_both_streams_learn:,}", of),
        ("steps with right and wrong attempts", f"{facts.steps_with_right_and_wrong_attempts:,}", of),
        ("lowest probability correlation", NOTHING if correlation is None else f"{correlation:.4f}", ""),
    ]
    return [
        *found,
        Section("Corrections, first and last quarter", corrections, tuple(q.span for q in quarters)),
        Section("Streams", tokens, STREAMS),
        Section("Seconds", seconds, ("total", "a step")),
        Section("Checks", checks),
    ]


def _accuracy_section(before: Accuracy, after: Accuracy | None) -> Section:
    both = [before, after] if after else [before]
    lines = _share_lines("accuracy", both)
    lines.append(("problems x rollouts", *(f"{a.problems:,} x {a.rollouts / a.problems:g}" for a in both)))
    if any(a.verifier_errors for a in both):
        lines.append(("without a verdict", *(f"{a.verifier_errors:,}" for a in both)))
    if after:
        return Section("Held-out problems", lines, _captions(both))
    return Section("Held-out problems", [(*line, NOTHING) for line in lines], (*_captions(both), "validated once"))


def _share_lines(name: str, found: Sequence[Accuracy]) -> list[tuple[str, ...]]:
    return [
        (name, *(percent(each.value) for each in found)),
        ("95 % interval", *(f"{percent(each.low)} to {percent(each.high)}" for each in found)),
    ]


def _captions(found: Sequence[Accuracy]) -> tuple[str, ...]:
    return tuple(f"{when}, step {each.step}" for when, each in zip(("before", "after"), found, strict=False))
