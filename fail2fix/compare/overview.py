"""One picture of several comparisons: how far their configs end from the reference. Computes nothing.

    python -m fail2fix.compare.overview DIR... --configs NAME... --out FILE.png

A line for each DIR/comparison.json and config, right of zero is better. Thick: the 95 % interval over problems, for
these very seeds; thin: over problems and seeds; white: each seed. What lies beyond 40 points is cut off.
Exit status: 0 done; 2 bad input.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from fail2fix.console.command_line import OneLineParser, run_command
from fail2fix.console.printable import one_line
from fail2fix.method.errors import READ_ERRORS, InputError, reading
from fail2fix.report.picture import make_panels, save_picture, style
from fail2fix.report.statistics import Estimate, Interval

MEASURES = {
    "accuracy": "first answer",
    "revised": "after one revision",
    "fix_rate": "wrong attempts fixed",
    "break_rate": "right attempts kept",
}
FEWER_IS_BETTER = frozenset({"break_rate"})  # its difference, turned round, is that of right attempts kept
FARTHEST = 0.4
EACH_SEED: dict[str, Any] = {"s": 9, "color": "white", "edgecolors": "black", "linewidths": 0.5, "zorder": 3}
INCHES_PER_LINE, PANEL_WIDTH, MARGIN = 0.3, 2.3, 1.2


@dataclass(frozen=True)
class Line:
    """A config of a comparison. ``measures``: its difference to the reference in each; no entry where not measured."""

    comparison: str
    reference: str
    config: str
    measures: dict[str, Estimate]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    given = parse(argv)
    configs, folders = list(dict.fromkeys(given.configs)), list(dict.fromkeys(given.folders))
    try:
        if given.out.suffix != ".png":
            raise InputError(f"--out {given.out}: want a name that ends with .png")
        lines = [line for folder in folders for line in differences(folder, configs)]
        if missing := set(configs) - {line.config for line in lines}:
            raise InputError(f"--configs {' '.join(sorted(missing))}: in none of the comparisons")
        draw_overview(lines, configs, given.out)
    except InputError as error:
        print(f"overview: error: {one_line(str(error))}", file=sys.stderr)
        return 2
    print(given.out)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; ends the process with one line and status 2 if they are wrong."""
    parser = OneLineParser(prog="python -m fail2fix.compare.overview", description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="of fail2fix.compare")
    parser.add_argument("--configs", nargs="+", required=True, metavar="NAME", help="which to show, in this order")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    return parser.parse_args(argv)


def differences(folder: Path, configs: Sequence[str]) -> list[Line]:
    """What ``folder``'s comparison says of those ``configs`` that it has, against its own reference.

    Raises ``InputError``: no comparison.json there, or another file's contents; or none of the configs.
    """
    path = folder / "comparison.json"
    hint = "make it with fail2fix.compare"
    with reading(f"{path}: not the file of a comparison", *READ_ERRORS, RecursionError, hint=hint):
        comparison = json.loads(path.read_text())
        reference, seeds = str(comparison["reference"]), len(comparison["configs"][0]["seeds"])
        every = {each["config"]: each["last"] for each in comparison["differences"] if each["reference"] == reference}
        title = f"{folder.resolve().name}, {seeds} seed{'s' if seeds > 1 else ''}"
        found = [Line(title, reference, name, _estimates(every[name])) for name in configs if name in every]
    if not found:
        raise InputError(f"{path}: compares none of {', '.join(configs)} with {reference}")
    return found


def _estimates(measures: Mapping[str, Any]) -> dict[str, Estimate]:
    def interval(part: Mapping[str, Any]) -> Interval:
        unknown = part["low"] is None and part["high"] is None
        return Interval(float(part["value"]), *((None, None) if unknown else (float(part["low"]), float(part["high"]))))

    def estimate(part: Mapping[str, Any]) -> Estimate:
        over = [interval(part[kind]) for kind in ("over_problems_and_seeds", "over_problems", "over_seeds")]
        return Estimate(over[0], over[1], over[2], tuple(map(interval, part["seeds"])))

    return {name: estimate(part) for name in MEASURES if (part := measures.get(name)) is not None}


def draw_overview(lines: Sequence[Line], configs: Sequence[str], path: Path) -> None:
    """Write the picture to ``path`` (PNG). Raises ``InputError``: several references, or it cannot be written."""
    references = sorted({line.reference for line in lines})
    if len(references) > 1:
        raise InputError(f"references differ: {', '.join(references)}: give one picture to each")
    size = PANEL_WIDTH, INCHES_PER_LINE * len(lines)
    figure, panels = make_panels(1, len(MEASURES), size, MARGIN)
    for panel, (measure, title) in zip(panels[0], MEASURES.items(), strict=True):
        for place, line in enumerate(lines):
            if estimate := line.measures.get(measure):
                _draw_difference(panel, -place, estimate, configs.index(line.config), measure in FEWER_IS_BETTER)
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set_title(title, fontsize="medium")
        panel.set_xlim(-FARTHEST, FARTHEST)
        panel.set_ylim(0.5 - len(lines), 0.5)
        panel.set_yticks([])
        panel.xaxis.set_major_formatter(PercentFormatter(1, symbol=""))
        panel.spines[["top", "right", "left"]].set_visible(False)
        panel.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    names = [f"{line.comparison}: {line.config}" for line in lines]
    panels[0, 0].set_yticks([-place for place in range(len(lines))], names, parse_math=False)
    with reading(f"--out {path}: cannot be written"):
        save_picture(figure, f"Points above {references[0]}, with 95 % intervals; right is better", path)


def _draw_difference(panel: Axes, place: float, estimate: Estimate, index: int, turned: bool) -> None:
    color, marker = style(index)
    sign = -1 if turned else 1
    for found, width in ((estimate.over_problems_and_seeds, 1.0), (estimate.over_problems, 3.5)):
        if found.low is not None and found.high is not None:
            panel.plot([sign * found.low, sign * found.high], [place] * 2, color=color, linewidth=width)
    panel.plot([sign * estimate.over_problems_and_seeds.value], [place], color=color, marker=marker)
    panel.scatter([sign * seed.value for seed in estimate.seeds], [place] * len(estimate.seeds), **EACH_SEED)


if __name__ == "__main__":
    run_command(main)
