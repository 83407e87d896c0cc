"""Do problems of one set stand in another? Exactly, by hashes that are shipped; nearly, by shared runs of words.

Knows: texts of problems. Must not know: files of sets, rules of dropping.

Exact: the same letters and digits in the same order, or the same name at LeetCode (`cleaning.marks`). Near: at least
`NEAR` of an evaluation problem's runs of `RUN` words stand in the other problem, and it is not exact; a problem of
fewer words has no runs.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fail2fix.data.prepare.cleaning import Marks, Placed, marks

RUN = 8
NEAR = 0.5
HASHES = "evaluation_hashes"
"""A folder beside this file: a text file an evaluation set, a line a problem, which holds its marks."""

TEST_SPLITS = {"gsm8k": "gsm8k-test", "math": "math-test", "leetcode": "leetcode-test", "mbpp": "mbpp-test"}
"""Of training sets, under names of their own."""

EVALUATED_SPLITS = ("gsm8k-test", "leetcode-test", "mbpp-test")
"""Those on which models are compared; of MATH's, 500 problems are, which are a set of their own."""

SAME_PROBLEMS = {"humanevalfix": "humaneval"}
"""A set whose problems are another's, and have its file."""


@dataclass(frozen=True)
class Near:
    """A problem, by its row, that nearly is the evaluation problem called `evaluated`; `share` of its runs."""

    place: str
    evaluated: str
    share: float


@cache
def shipped_hashes() -> dict[str, frozenset[Marks]]:
    """{evaluation set: the marks of its problems}, of the copies that the product was made with."""
    folder = files(__package__) / HASHES
    texts = {
        path.name.removesuffix(".txt"): path.read_text() for path in folder.iterdir() if path.name.endswith(".txt")
    }
    return {name: frozenset(tuple(line.split()) for line in texts[name].splitlines()) for name in sorted(texts)}


def exact_overlaps(problems: Sequence[Placed], evaluated: Mapping[str, frozenset[Marks]]) -> dict[str, int]:
    """{evaluation set: how many of its problems stand among `problems`}."""
    present = {mark for each in problems for mark in marks(each.problem)}
    return {name: sum(not present.isdisjoint(each) for each in known) for name, known in evaluated.items()}


def near_overlaps(problems: Sequence[Placed], evaluated: Sequence[Placed]) -> list[Near]:
    """Pairs that are near and not exact, nearest first."""
    where: dict[tuple[str, ...], list[int]] = defaultdict(list)
    sizes = []
    for index, each in enumerate(evaluated):
        found = runs(each.problem.text)
        sizes.append(len(found))
        for run in found:
            where[run].append(index)
    near = []
    for each in problems:
        shared: dict[int, int] = defaultdict(int)
        for run in runs(each.problem.text):
            for index in where.get(run, ()):
                shared[index] += 1
        for index, count in shared.items():
            share = count / sizes[index]
            exact = set(marks(evaluated[index].problem)) & set(marks(each.problem))
            if share >= NEAR and not exact:
                near.append(Near(each.place, evaluated[index].place, round(share, 3)))
    return sorted(near, key=lambda pair: (-pair.share, pair.place, pair.evaluated))


def runs(text: str) -> set[tuple[str, ...]]:
    """Every run of `RUN` words of a text; a word is letters and digits."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}
