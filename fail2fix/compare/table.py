"""Console tables of a comparison, one line for each config. Computes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console

from fail2fix.compare.summary import Comparison, Difference
from fail2fix.report.console_table import NOTHING, Section, bounds, percent, print_warnings, section_table
from fail2fix.report.statistics import Estimate

MEASURES = {"accuracy": "accuracy", "fix_rate": "fix rate", "break_rate": "break rate"}
COSTS = {
    "rollouts": "rollouts",
    "tokens": "tokens",
    "seconds": "seconds",
    "optimizer_steps": "optimizer steps",
    "problems": "distinct problems",
}


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print measures, costs, differences and warnings."""
    console.print(f"{comparison.problems:,} held-out problems, {comparison.attempts:,} held-out attempts")
    console.print(section_table(("Held out", "before", "after", "each seed"), _measure_sections(comparison)))
    costs = ("Cost, mean over seeds", "", f"x {comparison.reference}")
    console.print(section_table(costs, _cost_sections(comparison)))
    captions = ("Differences, in points", "after", "problems and seeds", "problems")
    console.print(section_table(captions, map(_difference_section, comparison.differences)))
    console.print(
        "95 % intervals: over problems and seeds (Student's t over seeds); over problems alone, for these very seeds"
    )
    print_warnings(comparison.warnings, console)


def _measure_sections(comparison: Comparison) -> Iterator[Section]:
    configs = comparison.configs
    for name, title in MEASURES.items():
        if any(config.last[name] for config in configs):
            yield Section(title, [(c.name, *_before_and_after(c.first[name], c.last[name])) for c in configs])
    for k in _ks(configs[0].pass_at_k):
        yield Section(f"pass@{k}", [(c.name, *_before_and_after(None, c.pass_at_k[k])) for c in configs])


def _before_and_after(first: Estimate | None, last: Estimate | None) -> tuple[str, str, str]:
    before = percent(first.over_seeds.value) if first else NOTHING
    if last is None:
        return before, NOTHING, NOTHING
    interval = last.over_problems_and_seeds
    after = f"{percent(interval.value)} {bounds(interval.low, interval.high)}"
    return before, after, " ".join(f"{100 * seed.value:.1f}" for seed in last.seeds)


def _cost_sections(comparison: Comparison) -> Iterator[Section]:
    for name, title in COSTS.items():
        found = [(config.name, config.cost[name], config.cost_ratios[name]) for config in comparison.configs]
        lines = [(config, f"{cost:,.0f}", NOTHING if x is None else f"{x:.2f}") for config, cost, x in found]
        yield Section(title, lines)


def _difference_section(difference: Difference) -> Section:
    found = {title: difference.last[name] for name, title in MEASURES.items()}
    found |= {f"pass@{k}": difference.pass_at_k[k] for k in _ks(difference.pass_at_k)}
    lines = []
    for title, estimate in found.items():
        if estimate is not None:
            both = (estimate.over_problems_and_seeds, estimate.over_problems)
            value = f"{100 * estimate.over_seeds.value:+.1f}"
            lines.append((title, value, *(bounds(each.low, each.high, "+.1f") for each in both)))
    return Section(f"{difference.config} - {difference.reference}", lines)


def _ks(pass_at_k: Iterable[int]) -> list[int]:
    """All k but 1: pass@1 is the accuracy."""
    return [k for k in pass_at_k if k > 1]
