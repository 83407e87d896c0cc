"""Paired differences of two evaluations of the same problems, with intervals. A difference is B - A."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fail2fix.evaluate import scores
from fail2fix.evaluate.scores import AnswerRecords
from fail2fix.evaluate.store import RESULT, read_records
from fail2fix.method.errors import InputError, reading
from fail2fix.report.statistics import Interval, share_difference

PAIRED = ("endpoint", "engine", "dtype", "tensor_parallel", "engine_options", "model", "batch", "seed")
"""Settings that say who answered, not what was asked: they may differ without a warning."""


@dataclass(frozen=True)
class Side:
    """One evaluation: its folder, the fields of its JSON, and {benchmark: records}."""

    folder: Path
    result: Mapping[str, Any]
    records: Mapping[str, AnswerRecords]

    def of_round(self, benchmark: str, number: int) -> dict[str, list[Mapping[str, Any]]]:
        """{id: its records} of one round of a benchmark, samples in order."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for record in self.records[benchmark]:
            if record["round"] == number:
                found.setdefault(record["id"], []).append(record)
        return found


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

    Raises `InputError`: they have no benchmark in common, or no problem of a shared one.
    """
    shared = [name for name in a.records if name in b.records]
    if not shared:
        raise InputError(f"{a.folder} and {b.folder} have no benchmark in common: nothing to compare")
    numbers = {name: [len(side.result["benchmarks"][name]["rounds"]) for side in (a, b)] for name in shared}
    rounds = [_round(a, b, name, number) for name in shared for number in range(min(numbers[name]))]
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


def _round(a: Side, b: Side, name: str, number: int) -> Round:
    ones, twos = a.of_round(name, number), b.of_round(name, number)
    both = [key for key in ones if key in twos]
    if not both:
        raise InputError(
            f"{name}: the two evaluations have no problem in common: prepare the same set, and give both the same "
            "--limit and --seed"
        )
    corrected = "transition" in a.result["benchmarks"][name]["rounds"][number]
    tables = []
    for side in (ones, twos):
        records = [record for key in both for record in side[key]]
        attempts = scores.attempts(records, len(both)) if corrected else None
        tables.append((scores.verdicts(records, len(both)), attempts))
    one, two = (scores.measures(*table) for table in tables)
    differences = {measure: share_difference(*two[measure], *one[measure]) for measure in one if measure in two}
    figures = [scores.figures(*table) for table in tables]
    return Round(name, number, len(both), figures[0], figures[1], differences)
