"""The picture of two evaluations: a row a benchmark, pass@k on the left, transitions on the right. Computes nothing."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from fail2fix.evaluate.compare import Round, Side
from fail2fix.report.picture import finish_panel, make_panels, save_picture, style
from fail2fix.report.transitions import PICTURE_COLORS, TRANSITIONS


def draw_picture(a: Side, b: Side, rounds: Sequence[Round], path: Path) -> None:
    """Write the picture to `path` (PNG); its folder must exist."""
    figure, panels = make_panels(len(rounds), 2, (5.4, 2.9), margin=0.6)
    for (left, right), each in zip(panels, rounds, strict=True):
        _draw_pass_at_k(left, each)
        _draw_transitions(right, each)
    save_picture(figure, f"A: {a.folder.name}   B: {b.folder.name}   (95 % intervals over problems)", path)


def _draw_pass_at_k(panel: Axes, each: Round) -> None:
    for index, (label, side) in enumerate((("A", each.a), ("B", each.b))):
        ks, found = [int(k) for k in side["pass_at_k"]], list(side["pass_at_k"].values())
        values = [i["value"] for i in found]
        lows, highs = ([i["value"] if i[end] is None else i[end] for i in found] for end in ("low", "high"))
        color, marker = style(index)
        panel.plot(ks, values, color=color, marker=marker, markersize=4, label=label)
        if len(ks) > 1:
            panel.fill_between(ks, lows, highs, color=color, alpha=0.15, linewidth=0)
        else:
            panel.errorbar(ks, values, [[values[0] - lows[0]], [highs[0] - values[0]]], color=color, capsize=4)
    panel.set_title(f"{each.name}, {each.questions:,} problems", fontsize="medium", loc="left")
    panel.set_xlabel("k")
    panel.set_ylabel("pass@k")
    if len(each.a["pass_at_k"]) > 1:
        panel.set_xscale("log", base=2)
    panel.legend(frameon=False)
    finish_panel(panel)


def _draw_transitions(panel: Axes, each: Round) -> None:
    if "transition" not in each.a or "transition" not in each.b:
        panel.axis("off")
        return
    for place, side in enumerate((each.a, each.b)):
        total, bottom = sum(side["transition"].values()), 0.0
        for name in TRANSITIONS:
            part = side["transition"][name] / total
            label = name.replace("_", " ") if place == 0 else None
            panel.bar([place], [part], bottom=[bottom], color=PICTURE_COLORS[name], width=0.6, label=label)
            bottom += part
    panel.set_xticks([0, 1], ["A", "B"])
    panel.set_ylabel("attempts")
    panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    finish_panel(panel)
