"""Compare two evaluations of the same problems: a table, comparison.json, a picture and a page.

    python -m fail2fix.evaluate compare DIR_A DIR_B --out DIR

The page is one self-contained HTML file, with answers that only one of the two got right. Texts that a model wrote are
escaped by the template engine, and the page allows no script and no request.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from fail2fix.console.command_line import OneLineParser
from fail2fix.data.files import require_writable
from fail2fix.evaluate.compare import Round, Side, compare, load_side, of_round, table_rows
from fail2fix.evaluate.picture import draw_picture
from fail2fix.evaluate.store import write_json
from fail2fix.report.console_table import make_table, print_warnings, shown
from fail2fix.report.template import render

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
    fields = {"a": str(a.folder), "b": str(b.folder), "warnings": warnings, "rounds": [asdict(each) for each in rounds]}
    write_json(given.out / "comparison.json", fields)
    draw_picture(a, b, rounds, given.out / "comparison.png")
    write_page(a, b, rounds, warnings, given.out)
    console = Console()
    print_rounds(rounds, warnings, console)
    console.print(shown(given.out / "comparison.html"), soft_wrap=True)


def print_rounds(rounds: Sequence[Round], warnings: Sequence[str], console: Console) -> None:
    """Print the differences as a table, and the warnings."""
    table = make_table(("benchmark", "measure", "problems", "A", "B", "B - A"), labels=2)
    for row in (row for each in rounds for row in table_rows(each)):
        table.add_row(*map(shown, row))
    console.print(table)
    print_warnings(warnings, console)


def write_page(a: Side, b: Side, rounds: Sequence[Round], warnings: Sequence[str], out: Path) -> None:
    """Write OUT/comparison.html, which embeds OUT/comparison.png."""
    values = {
        "a": a.folder.name,
        "b": b.folder.name,
        "sides": [{"name": name, "settings": _settings(side)} for name, side in (("A", a), ("B", b))],
        "rows": [row for each in rounds for row in table_rows(each)],
        "warnings": warnings,
        "picture": base64.b64encode((out / "comparison.png").read_bytes()).decode(),
        "cases": [case for each in rounds for right in "AB" for case in _cases(a, b, each, right)],
    }
    html = render("fail2fix.evaluate", "page.html.jinja", values, escape=True)
    (out / "comparison.html").write_text(html, encoding="utf-8")


def _settings(side: Side) -> list[tuple[str, str]]:
    packages = side.result["versions"]["packages"]
    shown = {**side.result["settings"], "model_digest": side.result["model_digest"], "packages": packages}
    return [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in shown.items()]


def _cases(a: Side, b: Side, each: Round, right: str) -> list[dict[str, str]]:
    """Problems whose first sample only the side `right` answered correctly."""
    ones, twos = (of_round(side, each.benchmark, each.number) for side in (a, b))
    pairs = [(ones[key][0], twos[key][0]) for key in ones if key in twos]
    return [
        {"benchmark": each.name, "id": one["id"], "right": right, "prompt": one["prompt"]}
        | {"a": one["response"], "b": two["response"]}
        for one, two in pairs
        if one["correct"] != two["correct"] and bool(one["correct"]) == (right == "A")
    ][:CASES]
