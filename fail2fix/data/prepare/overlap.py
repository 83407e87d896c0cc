"""Find problems of one set in another: exactly, by hashes that are shipped; nearly, by shared n-grams of words.

Knows: texts of problems. Must not know: files of sets, rules that drop rows.

Exact: the same letters and digits in the same order, or the same name at LeetCode (`cleaning.marks`). Near: not exact,
and at least `NEAR` of the evaluation problem's n-grams of `RUN` words occur in the other problem.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fail2fix.data.prepare.cleaning import Marks, marks
from fail2fix.data.sets.spec import Problem

RUN = 8
NEAR = 0.5
HASHES = "evaluation_hashes"
"""Folder beside this file: one text file per evaluation set, one line per problem with its marks."""

TRAINED_ON = "math-test"
"""A test split whose problems may be trained on, because MATH500 is an evaluation set of its own."""


@dataclass(frozen=True)
class Near:
    """A problem's row and the evaluation problem it resembles; `share`: of the latter's n-grams, in [NEAR, 1]."""

    place: str
    evaluated: str
    share: float


@cache
def shipped_hashes() -> dict[str, frozenset[Marks]]:
    """{evaluation set: the marks of its problems}."""
    paths = sorted(Path(__file__).with_name(HASHES).glob("*.txt"), key=lambda path: path.stem)
    return {path.stem: frozenset(tuple(line.split()) for line in path.read_text().splitlines()) for path in paths}


def exact_overlaps(problems: Sequence[Problem], evaluated: Mapping[str, frozenset[Marks]]) -> dict[str, int]:
    """{evaluation set: number of its problems found among `problems`}."""
    present = {mark for each in problems for mark in marks(each)}
    return {name: sum(not present.isdisjoint(each) for each in known) for name, known in evaluated.items()}


def near_overlaps(problems: Sequence[Problem], evaluated: Sequence[Problem]) -> list[Near]:
    """Near pairs, most similar first."""
    found = [runs(each.text) for each in evaluated]
    where: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, own in enumerate(found):
        for run in own:
            where[run].append(index)
    near = []
    for each in problems:
        shared = Counter(index for run in runs(each.text) for index in where.get(run, ()))
        for index, count in shared.items():
            share = count / len(found[index])
            exact = set(marks(evaluated[index])) & set(marks(each))
            if share >= NEAR and not exact:
                near.append(Near(each.place, evaluated[index].place, round(share, 3)))
    return sorted(near, key=lambda pair: (-pair.share, pair.place, pair.evaluated))


def runs(text: str) -> set[tuple[str, ...]]:
    """N-grams of `RUN` words of a text; a word is letters and digits."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}
