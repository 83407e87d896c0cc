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

from fail2fix.method.errors import reading
from fail2fix.method.metrics import confirmed
from fail2fix.method.shaping import same_answer
from fail2fix.report.reading import NUMBER, TEXT, FieldType, Row, is_right, read_lines
from fail2fix.report.statistics import Measure

TITLES = {
    "revised": "after a revision",
    "majority": "majority at its tokens",
    "confirmed": "after revisions that agree",
    "majority_confirmed": "majority at their tokens",
    "own_fix_rate": "own answers: fix rate",
    "own_keep_rate": "own answers: keep rate",
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
            An answer without room for a revision has none and stands. Without any verdict a problem is left out.
        majority: {problem: expected verdicts of the majority of 1, 2, ... samples}.
        tokens: mean over problems of a first answer's tokens, and of those of all its revisions.
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

    def votes(self, share: float) -> float:
        """Samples that cost as many tokens as a first answer and a ``share`` of its revisions."""
        return 1 + share * self.tokens[1] / self.tokens[0]

    @property
    def samples(self) -> int:
        """Samples of each problem that can vote."""
        return len(next(iter(self.majority.values())))


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
    groups = [list(group) for _, group in groupby(read_lines(path, FIELDS), key=lambda line: line["place"])]
    with reading(f"{path}: names a place outside of the validation set", IndexError, hint="run the run again"):
        problems = {names[int(group[0]["place"])]: _counts(group) for group in groups if not all(map(_failed, group))}
    if not problems:
        return None
    majority = {
        name: expected_majority([str(row["pred"]) for row in group], [bool(is_right(row)) for row in group])
        for name, group in zip(names, samples, strict=True)
    }
    first = float(np.mean([group[0]["attempt_tokens"] for group in groups]))
    revising = float(np.mean([sum(line["tokens"] for line in group) for group in groups]))
    return Revisions(problems, majority, (first, revising), max(map(len, groups)))


def _counts(lines: Sequence[Row]) -> tuple[int, int, int, int, int]:
    first, before = bool(lines[0]["attempt_correct"]), lines[0]["attempt_answer"]
    # A revision without a verdict agrees with none.
    answers = ["" if _failed(line) else line["answer"] for line in lines]
    agreed = confirmed(np.array([first]), [before], np.array([[bool(line["correct"]) for line in lines]]), [answers])
    judged = [line for line in lines if line.get("status") not in ("error", "skipped")]
    repeated = 0 if first else sum(same_answer(before, line["answer"]) for line in judged)
    return int(first), sum(bool(line["correct"]) for line in judged), len(judged), int(agreed[0]), repeated


def _failed(line: Row) -> bool:
    return line.get("status") == "error"


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


def revised_share(own: Revisions) -> float:
    """Accuracy after one revision."""
    found = measures([own], list(own.problems))["revised"]
    assert found is not None
    return float(found.num_SP.sum() / found.den_SP.sum())


def measures(seeds: Sequence[Revisions | None], problems: Sequence[str]) -> Mapping[str, Measure | None]:
    """The measures of `TITLES` for validations, one a seed; None where a seed has no own answers."""
    found = [each for each in seeds if each is not None]
    if len(found) < len(seeds):
        return dict.fromkeys(TITLES)
    nothing = (0, 0, 0, 0, 0)
    table = np.array([[each.problems.get(problem, nothing) for problem in problems] for each in found], dtype=float)
    first, right, n, agreed, repeated = np.moveaxis(table, -1, 0)
    # Revisions and majority count the same problems: those whose outcome is known. An answer without a revision stands.
    known = np.array([[float(problem in each.problems) for problem in problems] for each in found])
    weight = np.where(n > 0, n, known * np.array([[each.count] for each in found]))

    def majority(revisions: Sequence[float]) -> Measure:
        values = [
            [majority_at(each.majority[problem], each.votes(share)) for problem in problems]
            for each, share in zip(found, revisions, strict=True)
        ]
        return Measure(np.array(values) * known, known)

    both = any(each.count > 1 for each in found)
    return {
        "revised": Measure(np.where(n > 0, right, first * weight), weight),
        "majority": majority([1 / each.count for each in found]),
        "confirmed": Measure(agreed, known) if both else None,
        "majority_confirmed": majority([1.0] * len(found)) if both else None,
        "own_fix_rate": Measure(right * (1 - first), n * (1 - first)),
        "own_keep_rate": Measure(right * first, n * first),
        "own_break_rate": Measure((n - right) * first, n * first),
        "repeated": Measure(repeated, n * (1 - first)),
    }
