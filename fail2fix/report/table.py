"""The report of a run as a console table. Computes nothing."""

from __future__ import annotations

from rich.console import Console

from fail2fix.report.console_table import NOTHING, Section, percent, section_table, shown
from fail2fix.report.figures import LEDGER, STREAMS, Accuracy, Facts, Report, Transitions
from fail2fix.report.transitions import TRANSITIONS


def print_report(report: Report, console: Console) -> None:
    """Print the table and, below it, the paths of the run's files."""
    console.print(section_table(("", "", ""), sections(report)))
    for name, path in report.files.items():
        console.print(f"{name:<14}", shown(path or "not written"), soft_wrap=True, highlight=False)


def sections(report: Report) -> list[Section]:
    """The table's sections as plain texts."""
    streams, quarters = report.streams, (report.first_quarter, report.last_quarter)
    corrections = [(name, *(_count_and_share(each, name) for each in quarters)) for name in TRANSITIONS]
    tokens = [(name.replace("_", " "), *(f"{streams[s][name]:,}" for s in STREAMS)) for name in LEDGER]
    seconds = [(name, f"{each.total_s:,.1f}", f"{each.mean_s:,.2f}") for name, each in report.phases.items()]
    return [
        _accuracy_section(report.before, report.after),
        *([_rates_section(report)] if report.fixed or report.broken else []),
        Section("Corrections, first and last quarter", corrections, tuple(map(_span, quarters))),
        Section("Streams", tokens, STREAMS),
        Section("Seconds", seconds, ("total", "a step")),
        _facts_section(report.facts, report.steps),
    ]


def _accuracy_section(before: Accuracy, after: Accuracy | None) -> Section:
    both = (before, after)
    lines = [
        ("accuracy", *(percent(a.value) if a else NOTHING for a in both)),
        ("95 % interval", *(f"{percent(a.low)} to {percent(a.high)}" if a else NOTHING for a in both)),
        ("problems x rollouts", *(f"{a.problems:,} x {a.rollouts / a.problems:g}" if a else NOTHING for a in both)),
    ]
    if any(a and a.verifier_errors for a in both):
        lines.append(("without a verdict", *(f"{a.verifier_errors:,}" if a else NOTHING for a in both)))
    captions = (f"before, step {before.step}", f"after, step {after.step}" if after else "validated once")
    return Section("Held-out problems", lines, captions)


def _rates_section(report: Report) -> Section:
    """Fix and break rates of the frozen attempts, before and after."""
    lines: list[tuple[str, ...]] = []
    for name, rates in (("fixed", report.fixed), ("broken", report.broken)):
        if rates:
            lines += [
                (name, *(percent(rate.value) for rate in rates)),
                ("95 % interval", *(f"{percent(rate.low)} to {percent(rate.high)}" for rate in rates)),
            ]
    steps = next(rates for rates in (report.fixed, report.broken) if rates)
    captions = tuple(f"{when}, step {rate.step}" for when, rate in zip(("before", "after"), steps, strict=False))
    return Section("Corrections of frozen held-out attempts", lines, captions)


def _facts_section(found: Facts, steps: int) -> Section:
    share, correlation = found.correction_share, found.min_probability_correlation
    both, mixed, of = found.steps_both_streams_learn, found.steps_with_right_and_wrong_attempts, f"of {steps:,}"
    lines = [
        ("rollouts that are corrections", NOTHING if share is None else percent(share), ""),
        ("steps where both streams learn", f"{both:,}", of),
        ("steps with right and wrong attempts", f"{mixed:,}", of),
        ("lowest probability correlation", NOTHING if correlation is None else f"{correlation:.4f}", ""),
    ]
    return Section("Checks", lines)


def _count_and_share(found: Transitions, name: str) -> str:
    everything = sum(found.counts.values())
    return f"{found.counts[name]:,} ({percent(found.counts[name] / everything)})" if everything else NOTHING


def _span(found: Transitions) -> str:
    first, last = found.first_step, found.last_step
    return f"step {first}" if first == last else f"steps {first} to {last}"
