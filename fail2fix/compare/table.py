"""The console tables of a comparison. Knows a ``Comparison`` and how its numbers read; computes nothing.

A line for each config, so that any number of them fits a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fail2fix.compare.summary import Comparison, Difference
from fail2fix.console.markup import shown
from fail2fix.report.statistics import Estimate, Interval

MEASURES = {"accuracy": "accuracy", "fix_rate": "fix rate", "break_rate": "break rate"}
COSTS = {
    "rollouts": "rollouts",
    "tokens": "tokens",
    "seconds": "seconds",
    "optimizer_steps": "optimiser steps",
    "problems": "distinct problems",
}


@dataclass(frozen=True)
class Section:
    """A part of a table: its title and its lines, a label and the texts of the columns each."""

    title: str
    lines: Sequence[tuple[str, ...]]


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print measures, costs, differences and warnings."""
    console.print(f"{comparison.problems:,} held-out problems, {comparison.attempts:,} held-out attempts")
    console.print(_table(("Held out", "before", "after", "each seed"), _measure_sections(comparison)))
    console.print(_table(("Cost, mean over seeds", "", f"x {comparison.reference}"), _cost_sections(comparison)))
    captions = ("Differences, in points", "after", "problems and seeds", "problems")
    console.print(_table(captions, [_difference_section(difference) for difference in comparison.differences]))
    console.print(
        "95 % intervals: over problems and seeds (Student's t over seeds); over problems alone, for these very seeds"
    )
    for warning in comparison.warnings:
        console.print(shown(f"warning: {warning}"), style="yellow", soft_wrap=True)


def _table(captions: Sequence[str], sections: Iterable[Section]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, caption in enumerate(captions):
        table.add_column(shown(caption), justify="right" if column else "left")
    for section in sections:
        table.add_row(shown(section.title), style="bold")
        for label, *texts in section.lines:
            table.add_row(Text("  ") + shown(label), *map(shown, texts))
        table.add_section()
    return table


def _measure_sections(comparison: Comparison) -> Iterator[Section]:
    configs = comparison.configs
    for name, title in MEASURES.items():
        if any(config.last[name] for config in configs):
            yield Section(title, [(c.name, *_before_and_after(c.first[name], c.last[name])) for c in configs])
    for k in _ks(configs[0].pass_at_k):
        yield Section(f"pass@{k}", [(c.name, *_before_and_after(None, c.pass_at_k[k])) for c in configs])


def _before_and_after(first: Estimate | None, last: Estimate | None) -> tuple[str, str, str]:
    before = f"{100 * first.over_seeds.value:.1f} %" if first else "-"
    if last is None:
        return before, "-", "-"
    interval = last.over_problems_and_seeds
    after = f"{100 * interval.value:.1f} % {bounds(interval, '.1f')}"
    return before, after, " ".join(f"{100 * seed.value:.1f}" for seed in last.seeds)


def _cost_sections(comparison: Comparison) -> Iterator[Section]:
    for name, title in COSTS.items():
        lines = [
            (config.name, f"{vars(config.cost)[name]:,.0f}", "-" if ratio is None else f"{ratio:.2f}")
            for config in comparison.configs
            for ratio in [config.cost_ratios[name]]
        ]
        yield Section(title, lines)


def _difference_section(difference: Difference) -> Section:
    found = {title: difference.last[name] for name, title in MEASURES.items()}
    found |= {f"pass@{k}": difference.pass_at_k[k] for k in _ks(difference.pass_at_k)}
    lines = [
        (
            title,
            f"{100 * estimate.over_seeds.value:+.1f}",
            bounds(estimate.over_problems_and_seeds, "+.1f"),
            bounds(estimate.over_problems, "+.1f"),
        )
        for title, estimate in found.items()
        if estimate is not None
    ]
    return Section(f"{difference.config} - {difference.reference}", lines)


def _ks(pass_at_k: Iterable[int]) -> list[int]:
    """All k but 1: pass@1 is the accuracy."""
    return [k for k in pass_at_k if k > 1]


def bounds(interval: Interval, form: str) -> str:
    """An interval's bounds times 100, each in ``form``: ``[48.0, 56.3]``; ``-`` where it has none."""
    if interval.low is None or interval.high is None:
        return "-"
    return f"[{100 * interval.low:{form}}, {100 * interval.high:{form}}]"
