"""Two evaluations of the same problems: paired differences with intervals, a picture, and a page.

    python -m fail2fix.evaluate compare DIR_A DIR_B --out DIR

Differences are B - A, problem by problem. Knows the files that `fail2fix.evaluate` leaves; must not know engines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fail2fix.console.command_line import OneLineParser
from fail2fix.console.markup import shown
from fail2fix.data.files import require_writable
from fail2fix.evaluate import intervals, scores
from fail2fix.evaluate.scores import Bools, Records
from fail2fix.evaluate.store import RESULT, read_records, write_json
from fail2fix.method.errors import InputError
from fail2fix.report.statistics import Interval

ById = dict[str, list[Mapping[str, Any]]]
"""{id: its records}."""

PAIRED = ("endpoint", "engine", "dtype", "tensor_parallel", "engine_options", "model", "batch", "seed")
"""Settings in which two evaluations may differ without a word: who answered, not what was asked."""


@dataclass(frozen=True)
class Side:
    """One evaluation: its folder, the fields of its JSON, and {benchmark: records}."""

    folder: Path
    result: Mapping[str, Any]
    records: Mapping[str, Records]


@dataclass(frozen=True)
class Round:
    """One round of one benchmark, on the problems that both sides answered.

    `a`, `b`: each side's own scores there. `differences`: {measure: B - A}, pass@k as "pass@4".
    """

    benchmark: str
    number: int
    questions: int
    a: Mapping[str, Any]
    b: Mapping[str, Any]
    differences: Mapping[str, Interval | None]


def load_side(folder: Path) -> Side:
    """A finished evaluation. Raises `InputError` where it is none."""
    path = folder / RESULT
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        names = [name for name, each in result["benchmarks"].items() if each["rounds"]]
        missing = set(names) - result["settings"]["sampling"].keys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no finished evaluation ({error}): run it, or run it again to the end") from error
    if missing:
        raise InputError(f"{path}: its settings lack {', '.join(sorted(missing))}: run the evaluation again")
    return Side(folder, result, {name: read_records(folder, name) for name in names})


def compare(a: Side, b: Side) -> tuple[list[Round], list[str]]:
    """Every round that both sides have, and what to know of the comparison.

    Raises:
        InputError: they have no benchmark in common, or a benchmark's questions are others.
    """
    shared = [name for name in a.records if name in b.records]
    if not shared:
        raise InputError(f"{a.folder} and {b.folder} have no benchmark in common: nothing to compare")
    warnings = _warnings(a, b, shared)
    rounds = []
    for name in shared:
        for number in range(min(len(side.result["benchmarks"][name]["rounds"]) for side in (a, b))):
            corrected = "transition" in a.result["benchmarks"][name]["rounds"][number]
            rounds.append(_round(name, number, _of_round(a, name, number), _of_round(b, name, number), corrected))
    return rounds, warnings


def _warnings(a: Side, b: Side, shared: Sequence[str]) -> list[str]:
    found = []
    for key in dict.fromkeys([*a.result["settings"], *b.result["settings"]]):
        one, two = (side.result["settings"].get(key) for side in (a, b))
        if key == "sampling":
            one, two = ({name: given[name] for name in shared} for given in (one, two))
        if key not in PAIRED and one != two:
            found.append(f"they were asked with another {key}: {json.dumps(one)} and {json.dumps(two)}")
    for name in shared:
        ids = [{record["id"] for record in side.records[name]} for side in (a, b)]
        if ids[0] != ids[1]:
            found.append(
                f"{name}: {len(ids[0] & ids[1]):,} problems are compared; A has {len(ids[0]):,}, B {len(ids[1]):,}"
            )
    missing = sorted({*a.records, *b.records} - set(shared))
    return found + ([f"only one of them has {', '.join(missing)}"] if missing else [])


def _of_round(side: Side, name: str, number: int) -> ById:
    found: ById = {}
    for record in side.records[name]:
        if record["round"] == number:
            found.setdefault(record["id"], []).append(record)
    return found


def _round(name: str, number: int, a: ById, b: ById, corrected: bool) -> Round:
    both = [key for key in a if key in b]
    if not both:
        raise InputError(
            f"{name}: the two evaluations have no problem in common: prepare the same set, and give both the same "
            "--limit and --seed"
        )
    sides = [[record for key in both for record in side[key]] for side in (a, b)]
    correct = [scores.verdicts(records, len(both)) for records in sides]
    attempts = [scores.attempts(records, len(both)) if corrected else None for records in sides]
    own = [_own(each, before) for each, before in zip(correct, attempts, strict=True)]
    differences = _differences(*correct) | _rate_differences(*correct, *attempts)
    return Round(name, number, len(both), own[0], own[1], differences)


def _own(correct_NS: Bools, attempts_NS: Bools | None) -> dict[str, Any]:
    curve = {k: scores.mean(values) for k, values in scores.pass_curve(correct_NS).items()}
    found: dict[str, Any] = {"accuracy": scores.accuracy(correct_NS), "pass_at_k": curve}
    return found if attempts_NS is None else found | scores.transition(correct_NS, attempts_NS)


def _differences(a_NS: Bools, b_NS: Bools) -> dict[str, Interval | None]:
    ones = np.ones(len(a_NS))
    a_curve, b_curve = scores.pass_curve(a_NS), scores.pass_curve(b_NS)
    found = {"accuracy": intervals.difference(b_NS.mean(axis=1), ones, a_NS.mean(axis=1), ones)}
    for k in sorted(a_curve.keys() & b_curve.keys() - {1}):
        found[f"pass@{k}"] = intervals.difference(b_curve[k], ones, a_curve[k], ones)
    return found


def _rate_differences(
    a_NS: Bools, b_NS: Bools, a_before: Bools | None, b_before: Bools | None
) -> dict[str, Interval | None]:
    if a_before is None or b_before is None:
        return {}
    sums = {"fix_rate": scores.fix_sums, "break_rate": scores.break_sums}
    return {name: intervals.difference(*of(b_NS, b_before), *of(a_NS, a_before)) for name, of in sums.items()}


def main(argv: Sequence[str]) -> int:
    """The command line. Raises `InputError`."""
    from rich.console import Console

    from fail2fix.evaluate.page import write_page
    from fail2fix.evaluate.picture import draw_picture

    parser = OneLineParser(prog="python -m fail2fix.evaluate compare", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("a", type=Path, metavar="DIR_A", help="a finished evaluation: the reference")
    parser.add_argument("b", type=Path, metavar="DIR_B", help="another of the same problems")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets comparison.json, .png and .html")
    given = parser.parse_args(argv)
    require_writable(given.out, "--out")
    a, b = load_side(given.a), load_side(given.b)
    rounds, warnings = compare(a, b)
    given.out.mkdir(parents=True, exist_ok=True)
    fields = {"a": str(a.folder), "b": str(b.folder), "warnings": warnings, "rounds": [asdict(each) for each in rounds]}
    write_json(given.out / "comparison.json", fields)
    draw_picture(a, b, rounds, given.out / "comparison.png")
    write_page(a, b, rounds, warnings, given.out)
    console = Console()
    print_rounds(rounds, warnings, console)
    console.print(shown(given.out / "comparison.html"), soft_wrap=True)
    return 0


def print_rounds(rounds: Sequence[Round], warnings: Sequence[str], console: Any) -> None:
    """The differences as a table, and what to know of them."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("benchmark", "measure", "problems", "A", "B", "B - A"):
        table.add_column(heading, justify="left" if heading in ("benchmark", "measure") else "right")
    for each in rounds:
        for row in table_rows(each):
            table.add_row(*map(shown, row))
    console.print(table)
    for warning in warnings:
        console.print(shown(f"warning: {warning}"), style="yellow", soft_wrap=True)


def table_rows(each: Round) -> list[tuple[str, ...]]:
    """A round as texts: benchmark, measure, problems, A, B, difference in points."""
    found = []
    for measure, difference in each.differences.items():
        own = [_value(side, measure) for side in (each.a, each.b)]
        name = each.benchmark if each.number == 0 else f"{each.benchmark}, correction {each.number}"
        found.append((name, measure.replace("_", " "), f"{each.questions:,}", *own, points(difference)))
    return found


def _value(side: Mapping[str, Any], measure: str) -> str:
    found = side["pass_at_k"][int(measure[5:])] if measure.startswith("pass@") else side[measure]
    value = found.value if isinstance(found, Interval) else None if found is None else found["value"]
    return "-" if value is None else f"{100 * value:.1f} %"


def points(difference: Interval | None) -> str:
    """ "+4.2 [+1.0, +7.4]" in points; "-" where there is none."""
    if difference is None:
        return "-"
    value = f"{100 * difference.value:+.1f}"
    if difference.low is None or difference.high is None:
        return value
    return f"{value} [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
