"""Compare two evaluations of the same problems: a table, comparison.json, a picture and a page.

python -m fail2fix.evaluate compare DIR_A DIR_B --out DIR
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from fail2fix.console.command_line import OneLineParser
from fail2fix.data.files import require_writable
from fail2fix.evaluate.compare import Round, compare, load_side, table_rows
from fail2fix.evaluate.page import write_page
from fail2fix.evaluate.picture import draw_picture
from fail2fix.evaluate.store import write_json
from fail2fix.report.console_table import make_table, print_warnings, shown


def main(argv: Sequence[str]) -> int:
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
    return 0


def print_rounds(rounds: Sequence[Round], warnings: Sequence[str], console: Console) -> None:
    """Print the differences as a table, and the warnings."""
    table = make_table(("benchmark", "measure", "problems", "A", "B", "B - A"), labels=2)
    for row in (row for each in rounds for row in table_rows(each)):
        table.add_row(*map(shown, row))
    console.print(table)
    print_warnings(warnings, console)
