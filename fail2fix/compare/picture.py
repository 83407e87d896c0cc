"""The picture of a comparison: one PNG. Computes nothing.

Accuracy, accuracy after a revision, fix rate and break rate against rollouts (left) and tokens (right): each seed a
thin line, their mean a thick one, in its band. Below, at the end of training: pass@k, and rates with their intervals.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from fail2fix.compare.summary import ALL_MEASURES, AXES, MEASURES, Comparison, ConfigSummary
from fail2fix.report.picture import finish_panel, make_panels, save_picture, style
from fail2fix.report.statistics import Estimate

LABELS = ALL_MEASURES | {"accuracy": "held-out accuracy", "revised": "accuracy after a revision"}
RATES = ("fix_rate", "break_rate", "own_fix_rate", "own_break_rate", "revised", "majority")
LABEL_COLUMNS = 10
TITLE_COLUMNS = 110
PANEL_INCHES = (5.6, 3.3)


def draw_picture(comparison: Comparison, path: Path) -> None:
    """Write the picture to ``path`` (PNG); its folder must exist."""
    seeds = [seed for config in comparison.configs for seed in config.seeds]
    curves = [name for name in MEASURES if any(seed.curve(name, AXES[0]) for seed in seeds)]
    figure, panels = make_panels(len(curves) + 1, len(AXES), PANEL_INCHES, margin=1)
    for row, measure in zip(panels, curves, strict=False):
        for panel, axis in zip(row, AXES, strict=True):
            _draw_curves(panel, comparison.configs, measure, axis)
    _draw_pass_at_k(panels[-1, 0], comparison.configs)
    _draw_rates(panels[-1, 1], comparison.configs)
    names = [config.name for config in comparison.configs]
    lines = [Line2D([], [], color=style(i)[0], marker=style(i)[1], label=name) for i, name in enumerate(names)]
    figure.legend(handles=lines, loc="outside lower center", ncols=4, frameon=False)
    save_picture(figure, _title(comparison), path, "#B00000" if comparison.warnings else "black")


def _title(comparison: Comparison) -> str:
    seeds = len(comparison.configs[0].seeds)
    lines = [
        f"{seeds} seed{'s' if seeds > 1 else ''}, {comparison.problems:,} held-out problems, "
        f"{comparison.attempts:,} held-out attempts",
        "95 % bands of curves: over seeds; of pass@k and final rates: over problems and seeds",
    ]
    lines += [textwrap.fill(f"warning: {warning}", TITLE_COLUMNS) for warning in comparison.warnings]
    return "\n".join(lines)


def _draw_curves(panel: Axes, configs: Sequence[ConfigSummary], measure: str, axis: str) -> None:
    for index, config in enumerate(configs):
        color, _ = style(index)
        for seed in config.seeds:
            if curve := seed.curve(measure, axis):
                panel.plot(*curve, color=color, linewidth=0.8, alpha=0.45)
    panel.margins(x=0.02, y=0.08)
    limits = panel.get_ylim()
    for index, config in enumerate(configs):
        color, marker = style(index)
        if band := config.bands[measure][axis]:
            panel.plot(band.x, band.mean, color=color, marker=marker, markersize=4, linewidth=2.2)
            if band.low and band.high:
                panel.fill_between(band.x, band.low, band.high, color=color, alpha=0.15, linewidth=0)
    # The seeds set the scale: with two of them a band is far wider than what was measured.
    panel.set_ylim(max(limits[0], -0.02), min(limits[1], 1.02))
    panel.set_xlabel(axis)
    panel.set_ylabel(LABELS[measure])
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    finish_panel(panel)


def _draw_pass_at_k(panel: Axes, configs: Sequence[ConfigSummary]) -> None:
    ks = list(configs[0].pass_at_k)
    for index, config in enumerate(configs):
        color, marker = style(index)
        found = [estimate for estimate in config.pass_at_k.values() if estimate is not None]
        for number in range(len(config.seeds)):
            panel.plot(ks, [e.seeds[number].value for e in found], color=color, linewidth=0.8, alpha=0.45)
        means = [estimate.over_problems_and_seeds.value for estimate in found]
        panel.plot(ks, means, color=color, marker=marker, markersize=4, linewidth=2.2)
        lows, highs = zip(*(_bounds(estimate) for estimate in found), strict=True)
        panel.fill_between(ks, lows, highs, color=color, alpha=0.15, linewidth=0)
    panel.set_xscale("log", base=2)
    panel.set_xticks(ks, [str(k) for k in ks])
    panel.minorticks_off()
    panel.set_xlabel("k")
    panel.set_ylabel("pass@k after training")
    finish_panel(panel)


def _draw_rates(panel: Axes, configs: Sequence[ConfigSummary]) -> None:
    width = 0.8 / len(configs)
    rates = [name for name in RATES if any(config.last[name] for config in configs)] or RATES[:2]
    for index, config in enumerate(configs):
        color, marker = style(index)
        for place, name in enumerate(rates):
            if (estimate := config.last[name]) is None:
                continue
            x = place - 0.4 + width * (index + 0.5)
            value, (low, high) = estimate.over_problems_and_seeds.value, _bounds(estimate)
            errors = [[max(value - low, 0)], [max(high - value, 0)]]
            panel.errorbar([x], [value], errors, color=color, marker=marker, markersize=7, capsize=4)
            seeds = [seed.value for seed in estimate.seeds]
            panel.scatter([x + width / 5] * len(seeds), seeds, s=14, color=color, alpha=0.45, linewidths=0)
    panel.set_xlim(-0.5, len(rates) - 0.5)
    panel.set_xticks(range(len(rates)), [textwrap.fill(LABELS[name], LABEL_COLUMNS) for name in rates], fontsize=7)
    panel.set_ylabel("after training")
    if not any(config.last[name] for config in configs for name in rates):
        panel.text(0.5, 0.5, "no held-out corrections", transform=panel.transAxes, ha="center", color="grey")
    finish_panel(panel)


def _bounds(estimate: Estimate) -> tuple[float, float]:
    """The bounds over problems and seeds; the value itself where there are none."""
    found = estimate.over_problems_and_seeds
    return (found.value if found.low is None else found.low, found.value if found.high is None else found.high)
