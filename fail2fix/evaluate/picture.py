"""The picture of two evaluations: a row a benchmark, pass@k of both sides on the left, what became of attempts on the
right. Knows a comparison; computes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fail2fix.compare.picture import COLOURS, MARKERS
from fail2fix.evaluate.compare import Round, Side
from fail2fix.report.figures import TRANSITIONS

TRANSITION_COLOURS = {"fixed": "#2E9E4F", "kept": "#2F6FBF", "broken": "#C8342B", "still_wrong": "#E0A92E"}
PANEL_INCHES = (5.4, 2.9)


def draw_picture(a: Side, b: Side, rounds: Sequence[Round], path: Path) -> None:
    """Write the picture to `path` (PNG); its folder must exist."""
    figure = Figure(figsize=(PANEL_INCHES[0] * 2, PANEL_INCHES[1] * len(rounds) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(rounds), 2, squeeze=False)
    for (left, right), each in zip(panels, rounds, strict=True):
        _draw_pass_at_k(left, each)
        _draw_transitions(right, each)
    figure.suptitle(
        f"A: {a.folder.name}   B: {b.folder.name}   (95 % intervals over problems)", parse_math=False, fontsize="medium"
    )
    figure.savefig(path, dpi=130, metadata={"Software": None})


def _draw_pass_at_k(panel: Axes, each: Round) -> None:
    for index, (label, side) in enumerate((("A", each.a), ("B", each.b))):
        curve = {k: interval for k, interval in side["pass_at_k"].items() if interval is not None}
        ks = list(curve)
        lows = [i.value if i.low is None else i.low for i in curve.values()]
        highs = [i.value if i.high is None else i.high for i in curve.values()]
        values = [i.value for i in curve.values()]
        panel.plot(ks, values, color=COLOURS[index], marker=MARKERS[index], markersize=4, label=label)
        if len(ks) > 1:
            panel.fill_between(ks, lows, highs, color=COLOURS[index], alpha=0.15, linewidth=0)
        else:
            errors = [[values[0] - lows[0]], [highs[0] - values[0]]]
            panel.errorbar(ks, values, errors, color=COLOURS[index], capsize=4)
    number = "" if each.number == 0 else f", correction {each.number}"
    panel.set_title(f"{each.benchmark}{number}, {each.questions:,} problems", fontsize="medium", loc="left")
    panel.set_xlabel("k")
    panel.set_ylabel("pass@k")
    if max(each.a["pass_at_k"]) > 1:
        panel.set_xscale("log", base=2)
    panel.legend(frameon=False)
    _finish(panel)


def _draw_transitions(panel: Axes, each: Round) -> None:
    if "transition" not in each.a or "transition" not in each.b:
        panel.axis("off")
        return
    for place, side in enumerate((each.a, each.b)):
        total, bottom = sum(side["transition"].values()), 0.0
        for name in TRANSITIONS:
            part = side["transition"][name] / total
            label = name.replace("_", " ") if place == 0 else None
            panel.bar([place], [part], bottom=[bottom], color=TRANSITION_COLOURS[name], width=0.6, label=label)
            bottom += part
    panel.set_xticks([0, 1], ["A", "B"])
    panel.set_ylabel("attempts")
    panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    _finish(panel)


def _finish(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    panel.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    panel.set_axisbelow(True)
