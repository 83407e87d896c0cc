"""Compare two evaluations of the same problems: a table, comparison.json, a picture and a page.

    python -m fail2fix.evaluate compare DIR_A DIR_B --out DIR

The page is one self-contained HTML file, with answers that only one of the two got right. Texts that a model wrote are
escaped by the template engine, and the page allows no script and no request. The picture has a row for each benchmark:
pass@k on the left, transitions on the right.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from rich.console import Console

from fail2fix.console.command_line import OneLineParser
from fail2fix.data.atomic import write_json
from fail2fix.data.files import require_writable
from fail2fix.evaluate.compare import Round, Side, compare, load_side
from fail2fix.report.console_table import NOTHING, bounds, make_table, percent, print_warnings, shown
from fail2fix.report.picture import finish_panel, make_panels, save_picture, style
from fail2fix.report.statistics import Interval
from fail2fix.report.template import render
from fail2fix.report.transitions import PICTURE_COLORS, TRANSITIONS

CASES = 3
"""Problems shown of each benchmark and side."""


def main(argv: Sequence[str]) -> None:
    """The command line. Raises `InputError`."""
    parser = OneLineParser(prog="python -m fail2fix.evaluate compare", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("a", type=Path, metavar="DIR_A", help="a finished evaluation: the reference")
    parser.add_argument("b", type=Path, metavar="DIR_B", help="another of the same problems")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets comparison.json, .png and .html")
    given = parser.parse_args(argv)
    require_writable(given.out, "--out")
    a, b = load_side(given.a), load_side(given.b)
    rounds, warnings = compare(a, b)
    fields = {"a": str(a.folder), "b": str(b.folder), "warnings": warnings, "rounds": rounds}
    write_json(given.out / "comparison.json", fields)
    draw_picture(a, b, rounds, given.out / "comparison.png")
    write_page(a, b, rounds, warnings, given.out)
    console = Console()
    print_rounds(rounds, warnings, console)
    console.print(shown(given.out / "comparison.html"), soft_wrap=True)


def print_rounds(rounds: Sequence[Round], warnings: Sequence[str], console: Console) -> None:
    """Print the differences as a table, and the warnings."""
    table = make_table(("benchmark", "measure", "problems", "A", "B", "B - A"), labels=2)
    for row in _rows(rounds):
        table.add_row(*map(shown, row))
    console.print(table)
    print_warnings(warnings, console)


def _rows(rounds: Sequence[Round]) -> list[tuple[str, ...]]:
    """Each difference as texts: benchmark, measure, problems, A, B, difference in points."""
    return [
        (
            each.name,
            measure.replace("_", " "),
            f"{each.questions:,}",
            *(_value(side, measure) for side in (each.a, each.b)),
            _points(difference),
        )
        for each in rounds
        for measure, difference in each.differences.items()
    ]


def _value(side: Mapping[str, Any], measure: str) -> str:
    found = side["pass_at_k"][measure[5:]] if measure.startswith("pass@") else side[measure]
    return NOTHING if found is None else percent(found["value"])


def _points(difference: Interval | None) -> str:
    """ "+4.2 [+1.0, +7.4]" in points; "-" where there is none."""
    if difference is None:
        return NOTHING
    found = bounds(difference.low, difference.high, "+.1f").removeprefix(NOTHING)
    return f"{100 * difference.value:+.1f} {found}".rstrip()


def write_page(a: Side, b: Side, rounds: Sequence[Round], warnings: Sequence[str], out: Path) -> None:
    """Write OUT/comparison.html, which embeds OUT/comparison.png."""
    values = {
        "a": a.folder.name,
        "b": b.folder.name,
        "sides": [{"name": name, "settings": _settings(side)} for name, side in (("A", a), ("B", b))],
        "rows": _rows(rounds),
        "warnings": warnings,
        "picture": base64.b64encode((out / "comparison.png").read_bytes()).decode(),
        "cases": [case for each in rounds for right in "AB" for case in _cases(a, b, each, right)],
    }
    html = render("fail2fix.evaluate", "page.html.jinja", values, escape=True)
    (out / "comparison.html").write_text(html, encoding="utf-8")


def _settings(side: Side) -> list[tuple[str, str]]:
    packages = side.result["versions"]["packages"]
    fields = {**side.result["settings"], "model_digest": side.result["model_digest"], "packages": packages}
    return [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in fields.items()]


def _cases(a: Side, b: Side, each: Round, right: str) -> list[dict[str, str]]:
    """Problems whose first sample only the side `right` answered correctly."""
    ones, twos = (side.of_round(each.benchmark, each.number) for side in (a, b))
    pairs = [(ones[key][0], twos[key][0]) for key in ones if key in twos]
    return [
        {"benchmark": each.name, "id": one["id"], "right": right, "prompt": one["prompt"]}
        | {"a": one["response"], "b": two["response"]}
        for one, two in pairs
        if one["correct"] != two["correct"] and bool(one["correct"]) == (right == "A")
    ][:CASES]


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
            panel.set_xscale("log", base=2)
        else:
            panel.errorbar(ks, values, [[values[0] - lows[0]], [highs[0] - values[0]]], color=color, capsize=4)
    panel.set_title(f"{each.name}, {each.questions:,} problems", fontsize="medium", loc="left")
    panel.set_xlabel("k")
    panel.set_ylabel("pass@k")
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
