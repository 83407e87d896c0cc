"""Matplotlib figures as inline SVG: text stays text, and ink and grid take the page's colors in light and dark.

Nothing that a run's files hold gets into a picture but numbers: labels are ours, and runs are named by letters.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

# Stand-ins that no series uses; the page's CSS defines the variables.
_INK, _GRID = "#010203", "#030201"
_PAGE_COLORS = {_INK: "currentColor", _GRID: "var(--line)"}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9.0,
    "axes.facecolor": "none",
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    "text.color": _INK,
    "xtick.color": _GRID,
    "ytick.color": _GRID,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
}
# Inches of a picture and around its axes: a computed layout would draw every picture twice.
WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP, LEGEND_ROW = 4.4, 2.48, 0.58, 0.1, 0.45, 0.1, 0.17


def inline_svg(name: str, draw: Callable[[Axes], None], *, percent: bool, columns: int) -> Markup:
    """One panel as inline SVG; the same text for the same numbers.

    Args:
        name: tells the picture apart from the page's others; not shown.
        draw: draws labeled series.
        percent: whether the vertical axis is a share.
        columns: of the legend above the panel.

    Example::

        inline_svg("rho", lambda axes: axes.plot([1, 2], [0.3, 0.36]), percent=True, columns=3)
    """
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure()
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        draw(axes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
        axes.set_xlabel("step")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.3g} %" if percent else f"{y:.4g}"))
        labels = axes.get_legend_handles_labels()[1]
        if labels:
            axes.legend(
                loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2,
                ncol=columns, handlelength=1.4, columnspacing=1.2, handletextpad=0.5,
            )  # fmt: skip
        height = HEIGHT + LEGEND_ROW * -(-len(labels) // columns)
        figure.set_size_inches(WIDTH, height)
        inside = (HEIGHT - BOTTOM - TOP) / height
        axes.set_position((LEFT / WIDTH, BOTTOM / height, 1 - (LEFT + RIGHT) / WIDTH, inside))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True)
    return Markup(_inline(buffer.getvalue()))


def _inline(svg: str) -> str:
    """The ``svg`` element alone, without comments, metadata and names that no part of it refers to."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    for color, name in _PAGE_COLORS.items():
        svg = svg.replace(color, name)
    return svg.replace("<svg ", '<svg aria-hidden="true" ', 1)
