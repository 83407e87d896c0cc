"""The HTML report of runs: one self-contained page without scripts and requests.

Names, settings and answers are untrusted text: control characters are escaped, lengths bounded, and the template engine
escapes markup. Pictures hold numbers and words of ours only.

Example::

    write_page(read_runs([Path("outputs/quickstart/20260101-120000")]), Path("report.html"))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fail2fix.data.atomic import write_whole
from fail2fix.method.errors import InputError, reading
from fail2fix.report.curves import LETTERS, MAX_RUNS, panels, run_color, seconds_picture, transition_picture
from fail2fix.report.examples import examples
from fail2fix.report.figures import STREAMS
from fail2fix.report.findings import findings
from fail2fix.report.run_data import RunData, read_run
from fail2fix.report.summary import accounting, matrices, percent, settings, summary
from fail2fix.report.template import render
from fail2fix.report.transitions import PICTURE_COLORS

KIND_TITLES = {
    "fixed": "Fixed: a wrong attempt, a correct correction",
    "broken": "Broken: a correct attempt, a wrong correction",
    "still_wrong": "Still wrong: both are wrong",
}
CALLED = (run_color, findings, transition_picture, seconds_picture, matrices, accounting, panels, percent)


def read_runs(folders: Sequence[Path]) -> list[RunData]:
    """The runs of a page; letters name several. Raises ``InputError``: too many runs, or as ``read_run``."""
    if not 1 <= len(folders) <= MAX_RUNS:
        raise InputError(f"{len(folders)} runs: a report shows 1 to {MAX_RUNS}; name fewer")
    letters = LETTERS if len(folders) > 1 else [""]
    return [read_run(folder, letter) for folder, letter in zip(folders, letters, strict=False)]


def write_page(runs: Sequence[RunData], out: Path) -> None:
    """Write the report of one run, or of several beside each other.

    Raises:
        InputError: a file that cannot be read, or ``out`` cannot be written, in one line.
    """
    html = make_page(runs)
    with reading(f"{out}: cannot be written", OSError, hint="give another file with --out"):
        write_whole(out.resolve(), html)


def make_page(runs: Sequence[RunData]) -> str:
    """The report as HTML. Raises ``InputError``: a file that cannot be read."""
    values = {function.__name__: function for function in CALLED} | {  # by the template, after all files are read
        "runs": runs,
        "summary": summary(runs),
        "settings": settings(runs),
        "examples": {run.folder: examples(run) for run in runs},
        "streams": STREAMS,
        "colors": PICTURE_COLORS,
        "kind_titles": KIND_TITLES,
    }
    return render("fail2fix.report", "page.html.jinja", values, escape=True)
