"""Report what runs achieved, from their files: a table or JSON of one run, or an HTML page of one or several.

    python -m fail2fix.report RUN_DIR [--json]
    python -m fail2fix.report RUN_DIR [RUN_DIR ...] --out report.html

Several runs always make a page; without --out it is report.html in the current folder.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from fail2fix.console.command_line import run_command
from fail2fix.console.printable import one_line
from fail2fix.method.errors import InputError
from fail2fix.report.at_end import PAGE
from fail2fix.report.figures import make_report
from fail2fix.report.page import read_runs, write_page
from fail2fix.report.table import print_report


def main(argv: list[str] | None = None) -> int:
    """The command line. Exit status: 0 done, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m fail2fix.report", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN_DIR", help="a run's folder: <root>/<experiment>/<run>"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers of one run as JSON instead")
    parser.add_argument("--out", type=Path, metavar="FILE.html", help="write an HTML page instead")
    arguments = parser.parse_args(argv)
    several, out = len(arguments.runs) > 1, arguments.out
    if arguments.json and (several or out):
        parser.error("--json prints the numbers of one run: name one, without --out")
    try:
        if several or out:
            write_page(read_runs(arguments.runs), out or Path(PAGE))
            print(f"report: {out or PAGE}")
            return 0
        report = make_report(arguments.runs[0])
    except InputError as error:
        print(one_line(str(error)), file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(asdict(report), indent=2))
    else:
        print_report(report, Console())
    return 0


if __name__ == "__main__":
    run_command(main)
