"""Several evaluations as one table of accuracies, beside the published figures.

    python -m fail2fix.evaluate table start=DIR grpo=DIR cipo=DIR --out DIR

Each DIR is a finished evaluation. The table, as Markdown, is printed and written to table.md; table.json has intervals.
The average is over the paper's six sets, and only of an evaluation that has them all. Published figures stand below a
row of the same name where it has one of those sets; what the paper does not give is a dash. Lines below the table say
whose the published figures are, how many figures the evaluations lack, and which evaluations have a limit of problems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fail2fix.console.command_line import OneLineParser
from fail2fix.data.atomic import write_json, write_whole
from fail2fix.data.files import require_writable
from fail2fix.evaluate.compare import load_side
from fail2fix.method.errors import InputError, reading

PAPER_SETS = ("aime24", "aime25", "amc23", "math500", "minerva", "olympiadbench")
AVERAGE = "average"
PUBLISHED = {
    "start": {"aime24": 23.54, AVERAGE: 46.82},
    "grpo": {"aime24": 42.08, AVERAGE: 59.83},
    "grpo_bs256": {AVERAGE: 59.66},
    "cipo": {"aime24": 47.50, AVERAGE: 64.38},
}
"""Percent, for Qwen3-4B (METHOD.md, "What is compared")."""

Figures = Mapping[str, Mapping[str, float | None]]
"""{set: an interval}."""


def main(argv: Sequence[str]) -> None:
    """The command line. Raises `InputError`."""
    parser = OneLineParser(prog="python -m fail2fix.evaluate table", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("named", nargs="+", metavar="NAME=DIR", help="a name, and its finished evaluation")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets table.md and table.json")
    given = parser.parse_args(argv)
    require_writable(given.out, "--out")
    folders = dict(map(split, given.named))
    results = {name: figures_of(Path(folder)) for name, folder in folders.items()}
    limits = {name: load_side(Path(folder)).result["settings"]["limit"] for name, folder in folders.items()}
    text = markdown(results, limits)
    averages = {name: average(found) for name, found in results.items()}
    given.out.mkdir(parents=True, exist_ok=True)
    fields = {"evaluations": results, "averages": averages, "limits": limits, "published": PUBLISHED}
    write_json(given.out / "table.json", fields)
    write_whole(given.out / "table.md", text)
    print(text, end="")


def split(named: str) -> tuple[str, str]:
    """Name and folder. Raises `InputError`."""
    name, equals, folder = named.partition("=")
    if not (name and equals and folder):
        raise InputError(f"{named}: want NAME=DIR, a name and the folder of its evaluation")
    return name, folder


def figures_of(folder: Path) -> dict[str, dict[str, float | None]]:
    """The accuracies of a finished evaluation: {set: an interval}. Raises `InputError`."""
    benchmarks: Mapping[str, Any] = load_side(folder).result["benchmarks"]
    with reading(f"{folder}: a benchmark without accuracy", hint="run the evaluation again"):
        return {name: dict(found["rounds"][0]["accuracy"]) for name, found in benchmarks.items()}


def markdown(results: Mapping[str, Figures], limits: Mapping[str, int | None] | None = None) -> str:
    """Rows are evaluations, columns sets; a published row stands below the row it belongs to.

    `limits`: {evaluation: the most problems of a set, None for all}.
    """
    sets = list(dict.fromkeys(name for found in results.values() for name in found))
    paper = any(name in PAPER_SETS for name in sets)
    columns = [*sets, AVERAGE] if paper else sets
    lines = [_row("accuracy, %", columns), _row("---", ["---:"] * len(columns))]
    notes = ["Published figures are the paper's, for Qwen3-4B."] if paper and PUBLISHED.keys() & results.keys() else []
    if missing := sum(name not in found for found in results.values() for name in sets):
        notes.append(f"The evaluations lack {missing} of {len(results) * len(sets)} figures.")
    if limited := [f"{name} {limit}" for name, limit in (limits or {}).items() if limit is not None]:
        notes.append(f"Not on whole sets, most problems of each: {', '.join(limited)}.")
    for name, found in results.items():
        lines.append(_row(name, [_shown(value) for value in with_average(found, columns)]))
        if paper and name in PUBLISHED:
            values = [PUBLISHED[name].get(column) for column in columns]
            lines.append(_row(f"{name}, published", ["-" if value is None else f"{value:.2f}" for value in values]))
    return "\n".join([*lines, *(f"\n{note}" for note in notes)]) + "\n"


def average(found: Figures) -> float | None:
    """The mean accuracy of the paper's six sets, in [0, 1]; None where one is missing."""
    values = [found[name]["value"] for name in PAPER_SETS if name in found]
    return sum(value or 0.0 for value in values) / len(values) if len(values) == len(PAPER_SETS) else None


def with_average(found: Figures, columns: Sequence[str]) -> list[float | None]:
    """The values of the columns, in percent; None where there is none."""
    values = {name: interval["value"] for name, interval in found.items()} | {AVERAGE: average(found)}
    return [None if (value := values.get(column)) is None else 100 * value for column in columns]


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _row(label: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join([label, *cells]) + " |"
