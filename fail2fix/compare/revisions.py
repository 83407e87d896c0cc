"""What revisions of own answers give, beside a majority vote that costs as many tokens, from a run's dumps.

All numbers are per held-out problem. Tokens are generated ones; prompts are not counted.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from math import comb, floor
from pathlib import Path

import numpy as np

from fail2fix.method.metrics import confirmed
from fail2fix.report.reading import NUMBER, TEXT, FieldType, Row, is_right, read_lines
from fail2fix.report.statistics import Measure

TITLES = {
    "revised": "after a revision",
    "majority": "majority at its tokens",
    "confirmed": "after revisions that agree",
    "majority_confirmed": "majority at their tokens",
    "own_fix_rate": "own answers: fix rate",
    "own_break_rate": "own answers: break rate",
    "repeated": "own wrong answers repeated",
}
FOLDER = "own_answers"
_TRUTH: FieldType = ("true or false", lambda value: value in (0, 1))
FIELDS = {
    "place": NUMBER, "attempt_correct": _TRUTH, "attempt_answer": TEXT, "attempt_tokens": NUMBER,
    "correct": _TRUTH, "answer": TEXT, "tokens": NUMBER,
}  # fmt: skip
MOST_SUBSETS = 200  # of a problem's samples; more are drawn at random


@dataclass(frozen=True)
class Revisions:
    """A validation's own answers.

    Attributes:
        problems: {problem: (first right, right revisions, revisions, right if confirmed, repeated wrong answers)}.
        majority: {problem: expected verdicts of the majority of 1, 2, ... samples}.
        tokens: mean tokens of a first answer, and of all revisions of one.
        count: revisions of an answer.
    """

    problems: dict[str, tuple[int, int, int, int, int]]
    majority: dict[str, tuple[float, ...]]
    tokens: tuple[float, float]
    count: int

    @classmethod
    def of(cls, part: Row) -> Revisions:
        """From a record's JSON."""
        problems, majority = (
            {name: tuple(values) for name, values in part[key].items()} for key in ("problems", "majority")
        )
        return cls(problems, majority, tuple(part["tokens"]), part["count"])


def read_revisions(folder: Path, step: int, names: Sequence[str], rows: Sequence[Row]) -> Revisions | None:
    """The own answers of a validation; None where it has none, or a problem stands twice in the validation set.

    Args:
        names: of the problems, in the order of the validation set.
        rows: the validation's answers; those to one problem follow each other.
    """
    path = folder / FOLDER / f"{step}.jsonl"
    samples = [list(group) for _, group in groupby(rows, key=lambda row: row["input"])]
    once = len(samples) == len(names) and len(set(map(len, samples))) == 1
    if not path.exists() or not once or not all("pred" in row for row in rows):
        return None
    lines = [line for line in read_lines(path, FIELDS) if line.get("status") != "error"]
    problems = {
        names[int(place)]: _counts(list(group)) for place, group in groupby(lines, key=lambda line: line["place"])
    }
    majority = {
        name: expected_majority([str(row["pred"]) for row in group], [bool(is_right(row)) for row in group])
        for name, group in zip(names, samples, strict=True)
    }
    count = max(n for _, _, n, _, _ in problems.values())
    first = float(np.mean([line["attempt_tokens"] for line in lines]))
    return Revisions(problems, majority, (first, count * float(np.mean([line["tokens"] for line in lines]))), count)


def _counts(lines: Sequence[Row]) -> tuple[int, int, int, int, int]:
    first, before = bool(lines[0]["attempt_correct"]), lines[0]["attempt_answer"]
    right = [bool(line["correct"]) for line in lines]
    answers = [[line["answer"] for line in lines]]
    agreed = confirmed(np.array([first]), [before], np.array([right]), answers)
    repeated = 0 if first else sum(line["answer"] == before for line in lines)
    return int(first), sum(right), len(right), int(agreed[0]), repeated


def expected_majority(answers: Sequence[str], right: Sequence[bool]) -> tuple[float, ...]:
    """The chance that the most frequent answer of m samples is right, for m from 1 to all; ties go to the earliest.

    Averaged over subsets of the samples, in their order. No answer ("") is an answer like others.
    """
    return tuple(
        float(np.mean([right[_vote(answers, subset)] for subset in _subsets(len(answers), m)]))
        for m in range(1, len(answers) + 1)
    )


def _vote(answers: Sequence[str], subset: Sequence[int]) -> int:
    votes = Counter(answers[sample] for sample in subset)
    most = max(votes.values())
    return next(sample for sample in subset if votes[answers[sample]] == most)


def _subsets(samples: int, size: int) -> Iterable[Sequence[int]]:
    if comb(samples, size) <= MOST_SUBSETS:
        return combinations(range(samples), size)
    generator = random.Random(size)
    return [sorted(generator.sample(range(samples), size)) for _ in range(MOST_SUBSETS)]


def majority_at(expected: Sequence[float], samples: float) -> float:
    """Expected verdict of a majority of ``samples``, between two whole numbers on a line; at most of all there are."""
    bounded = min(max(samples, 1.0), float(len(expected)))
    low = floor(bounded)
    high = min(low + 1, len(expected))
    return expected[low - 1] + (bounded - low) * (expected[high - 1] - expected[low - 1])


def measures(seeds: Sequence[Revisions | None], problems: Sequence[str]) -> Mapping[str, Measure | None]:
    """The measures of `TITLES` for validations, one a seed; None where a seed has no own answers."""
    found = [each for each in seeds if each is not None]
    if len(found) < len(seeds):
        return dict.fromkeys(TITLES)
    nothing = (0, 0, 0, 0, 0)
    table = np.array([[each.problems.get(problem, nothing) for problem in problems] for each in found], dtype=float)
    first, right, n, agreed, repeated = np.moveaxis(table, -1, 0)
    revised = (n > 0).astype(float)

    def majority(revisions: Sequence[float]) -> Measure:
        values = [
            [majority_at(each.majority[problem], 1 + share * each.tokens[1] / each.tokens[0]) for problem in problems]
            for each, share in zip(found, revisions, strict=True)
        ]
        return Measure(np.array(values), np.ones(revised.shape))

    both = any(each.count > 1 for each in found)
    return {
        "revised": Measure(right, n),
        "majority": majority([1 / each.count for each in found]),
        "confirmed": Measure(agreed, revised) if both else None,
        "majority_confirmed": majority([1.0] * len(found)) if both else None,
        "own_fix_rate": Measure(right * (1 - first), n * (1 - first)),
        "own_break_rate": Measure((n - right) * first, n * first),
        "repeated": Measure(repeated, n * (1 - first)),
    }
