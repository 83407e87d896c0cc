"""Report what a run achieved, from its files: one table, or the same numbers as JSON.

python -m fail2fix.report RUN_DIR [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from fail2fix.console.printable import one_line
from fail2fix.method.errors import InputError
from fail2fix.report.figures import make_report
from fail2fix.report.table import print_report


def main(argv: list[str] | None = None) -> int:
    """The command line. Exit status: 0 done, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m fail2fix.report", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="a run's folder: <root>/<experiment>/<run>")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON instead")
    arguments = parser.parse_args(argv)
    try:
        report = make_report(arguments.run)
    except InputError as error:
        print(one_line(str(error)), file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(asdict(report), indent=2))
    else:
        print_report(report, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
