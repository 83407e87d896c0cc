"""The report that a run leaves in its folder when it ends.

Imports the plotting library only when it draws: a run must start, and keep its exit status, where that library fails.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from fail2fix.console.printable import one_line

PAGE = "report.html"


def draw_at_end(run: Path) -> None:
    """Write the report into the folder of an ended run, and print where it is, or why there is none, in one line.

    Raises nothing. A run without a training step gets no report.
    """
    try:
        from fail2fix.report.page import read_runs, write_page

        if not (run / "metrics.jsonl").exists() or not (runs := read_runs([run]))[0].steps:
            return
        write_page(runs, run / PAGE)
        line = f"report: {run / PAGE}"
    except (Exception, KeyboardInterrupt) as error:
        reason = f"{type(error).__name__}: {error}"
        line = f"no report ({reason}); to draw it: python -m fail2fix.report {run} --out {PAGE}"
    with suppress(OSError, ValueError):
        print(f"fail2fix: {one_line(line)}", flush=True)
