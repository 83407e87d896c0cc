"""Console tables of a comparison, one line for each config. Computes nothing."""

from collections.abc import Sequence

from rich.console import Console

from fail2fix.compare.summary import ALL_MEASURES, COSTS, STEP_SECONDS, Comparison, ConfigSummary, Difference
from fail2fix.report.console_table import NOTHING, Section, bounds, percent, print_warnings, section_table
from fail2fix.report.statistics import Estimate


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print measures, costs, differences and warnings."""
    configs, ks = comparison.configs, [k for k in comparison.configs[0].pass_at_k if k > 1]  # pass@1 is the accuracy
    console.print(f"{comparison.problems:,} held-out problems, {comparison.attempts:,} held-out attempts")
    measures = [
        Section(title, [(c.name, *_before_and_after(c.first[name], c.last[name])) for c in configs])
        for name, title in ALL_MEASURES.items()
        if any(config.last[name] for config in configs)
    ]
    measures += [
        Section(f"pass@{k}", [(c.name, *_before_and_after(None, c.pass_at_k[k])) for c in configs]) for k in ks
    ]
    console.print(section_table(("Held out", "before", "after", "each seed"), measures))
    titles = COSTS | STEP_SECONDS
    costs = [Section(title, [(c.name, *_cost(c, name)) for c in configs]) for name, title in titles.items()]
    console.print(section_table(("Cost, mean over seeds", "", f"x {comparison.reference}"), costs))
    captions = ("Differences, in points", "after", "problems and seeds", "problems")
    console.print(section_table(captions, [_difference_section(each, ks) for each in comparison.differences]))
    console.print(
        "95 % intervals: over problems and seeds (Student's t over seeds); over problems alone, for these very seeds"
    )
    print_warnings(comparison.warnings, console)


def _before_and_after(first: Estimate | None, last: Estimate | None) -> tuple[str, str, str]:
    before = percent(first.over_seeds.value) if first else NOTHING
    if last is None:
        return before, NOTHING, NOTHING
    interval = last.over_problems_and_seeds
    after = f"{percent(interval.value)} {bounds(interval.low, interval.high)}"
    return before, after, " ".join(f"{100 * seed.value:.1f}" for seed in last.seeds)


def _cost(config: ConfigSummary, name: str) -> tuple[str, str]:
    ratio = config.cost_ratios[name]
    return f"{config.cost[name]:,.{1 if name in STEP_SECONDS else 0}f}", NOTHING if ratio is None else f"{ratio:.2f}"


def _difference_section(difference: Difference, ks: Sequence[int]) -> Section:
    found = {title: difference.last[name] for name, title in ALL_MEASURES.items()}
    found[f"after a revision - {difference.reference}'s majority"] = difference.over_majority
    found |= {f"pass@{k}": difference.pass_at_k[k] for k in ks}
    lines = []
    for title, estimate in found.items():
        if estimate is not None:
            both = (estimate.over_problems_and_seeds, estimate.over_problems)
            value = f"{100 * estimate.over_seeds.value:+.1f}"
            lines.append((title, value, *(bounds(each.low, each.high, "+.1f") for each in both)))
    return Section(f"{difference.config} - {difference.reference}", lines)
