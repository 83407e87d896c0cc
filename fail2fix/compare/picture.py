"""The picture of a comparison: one PNG. Knows a ``Comparison``; computes nothing.

Accuracy, fix rate and break rate against rollouts (left) and tokens (right): each seed a thin line, their mean a
thick one, in its band. Below, at the end of training: pass@k, and the rates with their intervals. A colour *and* a
marker for each config, from the Okabe-Ito palette, which colour-blind readers can tell apart.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, PercentFormatter

from fail2fix.compare.summary import AXES, CURVES, Comparison, ConfigSummary
from fail2fix.report.statistics import Estimate

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h")
LABELS = {"accuracy": "held-out accuracy", "fix_rate": "fix rate", "break_rate": "break rate"}
RATES = ("fix_rate", "break_rate")
COLUMNS = len(AXES)
TITLE_COLUMNS = 110
PANEL_INCHES = (5.6, 3.3)


def draw_picture(comparison: Comparison, path: Path) -> None:
    """Write the picture to ``path`` (PNG); its folder must exist."""
    curves = [name for name in CURVES if any(_measured(config, name) for config in comparison.configs)]
    rows = len(curves) + 1
    figure = Figure(figsize=(PANEL_INCHES[0] * COLUMNS, PANEL_INCHES[1] * rows + 1), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, COLUMNS, squeeze=False)
    for row, measure in zip(panels, curves, strict=False):
        for panel, axis in zip(row, AXES, strict=True):
            _draw_curves(panel, comparison.configs, measure, axis)
    _draw_pass_at_k(panels[-1, 0], comparison.configs)
    _draw_rates(panels[-1, 1], comparison.configs)
    figure.legend(handles=_legend(comparison.configs), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(
        _title(comparison), parse_math=False, fontsize="medium", color="#B00000" if comparison.warnings else "black"
    )
    figure.savefig(path, dpi=150, metadata={"Software": None})


def _title(comparison: Comparison) -> str:
    seeds = len(comparison.configs[0].seeds)
    lines = [
        f"{seeds} seed{'s' if seeds > 1 else ''}, {comparison.problems:,} held-out problems, "
        f"{comparison.attempts:,} held-out attempts",
        "95 % bands of curves: over seeds; of pass@k and final rates: over problems and seeds",
    ]
    lines += [textwrap.fill(f"warning: {warning}", TITLE_COLUMNS) for warning in comparison.warnings]
    return "\n".join(lines)


def _legend(configs: Sequence[ConfigSummary]) -> list[Line2D]:
    styles = ((config.name, *_style(index)) for index, config in enumerate(configs))
    return [Line2D([], [], color=colour, marker=marker, label=name) for name, colour, marker in styles]


def _measured(config: ConfigSummary, measure: str) -> bool:
    return any(seed.curve(measure, AXES[0]) for seed in config.seeds)


def _style(index: int) -> tuple[str, str]:
    return COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]


def _draw_curves(panel: Axes, configs: Sequence[ConfigSummary], measure: str, axis: str) -> None:
    for index, config in enumerate(configs):
        colour, _ = _style(index)
        for seed in config.seeds:
            if curve := seed.curve(measure, axis):
                panel.plot(*curve, color=colour, linewidth=0.8, alpha=0.45)
    panel.margins(x=0.02, y=0.08)
    limits = panel.get_ylim()
    for index, config in enumerate(configs):
        colour, marker = _style(index)
        if band := config.bands[measure][axis]:
            panel.plot(band.x, band.mean, color=colour, marker=marker, markersize=4, linewidth=2.2)
            if band.low and band.high:
                panel.fill_between(band.x, band.low, band.high, color=colour, alpha=0.15, linewidth=0)
    # The seeds set the scale: with two of them a band is far wider than what was measured.
    panel.set_ylim(max(limits[0], -0.02), min(limits[1], 1.02))
    panel.set_xlabel(axis)
    panel.set_ylabel(LABELS[measure])
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    _finish(panel)


def _draw_pass_at_k(panel: Axes, configs: Sequence[ConfigSummary]) -> None:
    ks = list(configs[0].pass_at_k)
    for index, config in enumerate(configs):
        colour, marker = _style(index)
        found = [estimate for estimate in config.pass_at_k.values() if estimate is not None]
        for number in range(len(config.seeds)):
            panel.plot(ks, [e.seeds[number].value for e in found], color=colour, linewidth=0.8, alpha=0.45)
        means = [estimate.over_problems_and_seeds.value for estimate in found]
        panel.plot(ks, means, color=colour, marker=marker, markersize=4, linewidth=2.2)
        lows, highs = zip(*(_bounds(estimate) for estimate in found), strict=True)
        panel.fill_between(ks, lows, highs, color=colour, alpha=0.15, linewidth=0)
    panel.set_xscale("log", base=2)
    panel.set_xticks(ks, [str(k) for k in ks])
    panel.minorticks_off()
    panel.set_xlabel("k")
    panel.set_ylabel("pass@k after training")
    _finish(panel)


def _draw_rates(panel: Axes, configs: Sequence[ConfigSummary]) -> None:
    width = 0.8 / len(configs)
    for index, config in enumerate(configs):
        colour, marker = _style(index)
        for place, name in enumerate(RATES):
            if (estimate := config.last[name]) is None:
                continue
            x = place - 0.4 + width * (index + 0.5)
            value, (low, high) = estimate.over_problems_and_seeds.value, _bounds(estimate)
            errors = [[max(value - low, 0)], [max(high - value, 0)]]
            panel.errorbar([x], [value], errors, color=colour, marker=marker, markersize=7, capsize=4)
            seeds = [seed.value for seed in estimate.seeds]
            panel.scatter([x + width / 5] * len(seeds), seeds, s=14, color=colour, alpha=0.45, linewidths=0)
    panel.set_xlim(-0.5, len(RATES) - 0.5)
    panel.set_xticks(range(len(RATES)), [f"{LABELS[name]} after training" for name in RATES])
    if not any(config.last[name] for config in configs for name in RATES):
        panel.text(0.5, 0.5, "no held-out corrections", transform=panel.transAxes, ha="center", color="grey")
    _finish(panel)


def _bounds(estimate: Estimate) -> tuple[float, float]:
    """The bounds over problems and seeds; the value itself where there are none."""
    interval = estimate.over_problems_and_seeds
    low, high = interval.low, interval.high
    return (interval.value if low is None else low, interval.value if high is None else high)


def _finish(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    panel.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    panel.set_axisbelow(True)
