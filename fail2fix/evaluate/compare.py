"""Paired differences of two evaluations of the same problems, with intervals. A difference is B - A."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fail2fix.evaluate import scores
from fail2fix.evaluate.scores import AnswerRecords, Bools
from fail2fix.evaluate.store import RESULT, read_records
from fail2fix.method.errors import InputError, reading
from fail2fix.report.console_table import NOTHING, bounds, percent
from fail2fix.report.statistics import Interval, share_difference

ById = dict[str, list[Mapping[str, Any]]]
"""{id: its records}."""

PAIRED = ("endpoint", "engine", "dtype", "tensor_parallel", "engine_options", "model", "batch", "seed")
"""Settings that say who answered, not what was asked: they may differ without a warning."""


@dataclass(frozen=True)
class Side:
    """One evaluation: its folder, the fields of its JSON, and {benchmark: records}."""

    folder: Path
    result: Mapping[str, Any]
    records: Mapping[str, AnswerRecords]


@dataclass(frozen=True)
class Round:
    """One round of one benchmark, on the problems that both sides answered.

    `a`, `b`: each side's own figures there. `differences`: {measure: B - A}, pass@k as "pass@4".
    """

    benchmark: str
    number: int
    questions: int
    a: Mapping[str, Any]
    b: Mapping[str, Any]
    differences: Mapping[str, Interval | None]

    @property
    def name(self) -> str:
        return self.benchmark if self.number == 0 else f"{self.benchmark}, correction {self.number}"


def load_side(folder: Path) -> Side:
    """Read a finished evaluation. Raises `InputError` where it is missing or damaged."""
    path = folder / RESULT
    with reading(f"{path}: no finished evaluation", hint="run it, or run it again to the end"):
        result = json.loads(path.read_text(encoding="utf-8"))
        names = [name for name, each in result["benchmarks"].items() if each["rounds"]]
        missing = set(names) - result["settings"]["sampling"].keys()
    if missing:
        raise InputError(f"{path}: its settings lack {', '.join(sorted(missing))}: run the evaluation again")
    return Side(folder, result, {name: read_records(folder, name) for name in names})


def compare(a: Side, b: Side) -> tuple[list[Round], list[str]]:
    """Every round that both sides have, and warnings about the comparison.

    Raises `InputError`: they have no benchmark in common, or a benchmark's questions are others.
    """
    shared = [name for name in a.records if name in b.records]
    if not shared:
        raise InputError(f"{a.folder} and {b.folder} have no benchmark in common: nothing to compare")
    rounds = []
    for name in shared:
        own = [side.result["benchmarks"][name]["rounds"] for side in (a, b)]
        for number, fields in enumerate(own[0][: len(own[1])]):
            one, two = of_round(a, name, number), of_round(b, name, number)
            rounds.append(_round(name, number, one, two, "transition" in fields))
    return rounds, _warnings(a, b, shared)


def _warnings(a: Side, b: Side, shared: Sequence[str]) -> list[str]:
    found = []
    for key in dict.fromkeys([*a.result["settings"], *b.result["settings"]]):
        one, two = (side.result["settings"].get(key) for side in (a, b))
        if key == "sampling":
            one, two = ({name: given[name] for name in shared} for given in (one, two))
        if key not in PAIRED and one != two:
            found.append(f"the two evaluations used different {key}: {json.dumps(one)} and {json.dumps(two)}")
    for name in shared:
        one, two = ({record["id"] for record in side.records[name]} for side in (a, b))
        if one != two:
            found.append(f"{name}: {len(one & two):,} problems are compared; A has {len(one):,}, B {len(two):,}")
    missing = sorted({*a.records, *b.records} - set(shared))
    return found + ([f"only one of them has {', '.join(missing)}"] if missing else [])


def of_round(side: Side, name: str, number: int) -> ById:
    """The records of one round of a benchmark, samples in order."""
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
    one, two = (_tables([record for key in both for record in side[key]], len(both), corrected) for side in (a, b))
    sums, others = scores.measures(*two), scores.measures(*one)
    differences = {measure: share_difference(*sums[measure], *others[measure]) for measure in others if measure in sums}
    return Round(name, number, len(both), scores.figures(*one), scores.figures(*two), differences)


def _tables(records: AnswerRecords, questions: int, corrected: bool) -> tuple[Bools, Bools | None]:
    return scores.verdicts(records, questions), scores.attempts(records, questions) if corrected else None


def table_rows(each: Round) -> list[tuple[str, ...]]:
    """A round as texts: benchmark, measure, problems, A, B, difference in points."""
    return [
        (
            each.name,
            measure.replace("_", " "),
            f"{each.questions:,}",
            *(_value(side, measure) for side in (each.a, each.b)),
            points(difference),
        )
        for measure, difference in each.differences.items()
    ]


def _value(side: Mapping[str, Any], measure: str) -> str:
    found = side["pass_at_k"][measure[5:]] if measure.startswith("pass@") else side[measure]
    return NOTHING if found is None else percent(found["value"])


def points(difference: Interval | None) -> str:
    """ "+4.2 [+1.0, +7.4]" in points; "-" where there is none."""
    if difference is None:
        return NOTHING
    found = bounds(difference.low, difference.high, "+.1f").removeprefix(NOTHING)
    return f"{100 * difference.value:+.1f} {found}".rstrip()
