"""The HTML report of runs: one self-contained page without scripts and requests.

Names, settings and answers are untrusted text: control characters are escaped, lengths bounded, and the template engine
escapes markup. Pictures hold numbers and words of ours only.

Example::

    write_page([Path("outputs/quickstart/20260101-120000")], Path("report.html"))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from markupsafe import Markup

from fail2fix.data.atomic import write_whole
from fail2fix.method.errors import InputError, reading
from fail2fix.report.curves import MAX_RUNS, Picture, panels, run_color, seconds_picture, transition_picture
from fail2fix.report.examples import examples
from fail2fix.report.figures import STREAMS
from fail2fix.report.findings import findings
from fail2fix.report.run_data import RunData, read_run
from fail2fix.report.summary import accounting, matrices, settings, summary
from fail2fix.report.template import render
from fail2fix.report.transitions import PICTURE_COLORS, TRANSITIONS

KIND_TITLES = {
    "fixed": "Fixed: a wrong attempt, a correct correction",
    "broken": "Broken: a correct attempt, a wrong correction",
    "still_wrong": "Still wrong: both are wrong",
}


def write_page(folders: Sequence[Path], out: Path) -> None:
    """Write the report of one run, or of several beside each other.

    Raises:
        InputError: too many runs, a file that cannot be read, or ``out`` cannot be written, in one line.
    """
    html = make_page(folders)
    with reading(f"{out}: cannot be written", OSError, hint="give another file with --out"):
        write_whole(out, html)


def make_page(folders: Sequence[Path]) -> str:
    """The report as HTML. Raises ``InputError`` as ``write_page``."""
    if not 1 <= len(folders) <= MAX_RUNS:
        raise InputError(f"{len(folders)} runs: a report shows 1 to {MAX_RUNS}; name fewer")
    letters = ascii_uppercase if len(folders) > 1 else [""]
    runs = [read_run(folder, letter) for folder, letter in zip(folders, letters, strict=False)]
    values: dict[str, Any] = {
        "runs": [_run_values(place, run) for place, run in enumerate(runs)],
        "summary": summary(runs),
        "settings": settings(runs),
        "panels": [_inline(picture) for picture in panels(runs)],
        "streams": STREAMS,
        "transitions": TRANSITIONS,
        "colors": PICTURE_COLORS,
        "kind_titles": KIND_TITLES,
    }
    return render("fail2fix.report", "page.html.jinja", values, escape=True)


def _run_values(place: int, run: RunData) -> dict[str, Any]:
    return {
        "letter": run.letter,
        "name": run.name,
        "color": run_color(place),
        "finished": (run.folder / "finished").exists(),
        "findings": findings(run),
        "transitions": _inline(transition_picture(run)),
        "seconds": _inline(seconds_picture(run)),
        "matrices": matrices(run),
        "accounting": accounting(run),
        "examples": examples(run),
    }


def _inline(picture: Picture | None) -> dict[str, Any] | None:
    """A picture for the template: its SVG is the one thing that is not escaped."""
    if picture is None:
        return None
    return {"title": picture.title, "what": picture.what, "svg": Markup(picture.svg)}
