"""Shared parts of pictures: panels, axes in percent, and the Okabe-Ito palette for color-blind readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h")


def style(index: int) -> tuple[str, str]:
    """Color and marker of the series number ``index``."""
    return COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]


def make_panels(rows: int, columns: int, inches: tuple[float, float], margin: float) -> tuple[Figure, np.ndarray]:
    """A figure and its (rows, columns) panels of ``inches`` each, with a ``margin`` of inches in height."""
    figure = Figure(figsize=(inches[0] * columns, inches[1] * rows + margin), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def finish_panel(panel: Axes) -> None:
    """Give a panel its grid and a vertical axis in percent."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    panel.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    panel.set_axisbelow(True)


def save_picture(figure: Figure, title: str, path: Path, color: str = "black") -> None:
    """Write the picture as PNG, the same bytes for the same numbers; ``title`` may hold any text."""
    figure.suptitle(title, parse_math=False, fontsize="medium", color=color)
    figure.savefig(path, dpi=150, metadata={"Software": None})
