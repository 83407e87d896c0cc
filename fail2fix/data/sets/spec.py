"""What describes a public set, and what its rows become.

Knows: rows as their source gives them, problems as verl needs them. Must not know: any one set, files, networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fail2fix.method.errors import InputError

Ability = Literal["math", "code", "text"]
"""What judges an answer: mathematics, programs against tests, or short answers in words."""

MATH = "\nPlease reason step by step, and put your final answer within \\boxed{}."
CODE = "\nThink it through, then give the whole program in one ```python code block at the end."
INSTRUCTIONS: Mapping[Ability, str] = {"math": MATH, "code": CODE, "text": MATH}


class UnusableRowError(Exception):
    """A row that no policy could be judged by. Its text is the reason, one of few: rows are counted by it."""


@dataclass(frozen=True)
class Record:
    """One row as its source gives it, and where it stands: "gsm8k: train.jsonl.gz, row 17"."""

    place: str
    fields: Mapping[str, object]

    def get(self, *paths: str) -> object:
        """The value of the first column that is there; `a.0.b` reads into mappings and lists.

        Raises:
            InputError: none of them is; the first is named, for the others are mirrors' names for it.
        """
        for path in paths:
            value: object = self.fields
            for step in path.split("."):
                value = _inside(value, step)
            if value is not _ABSENT:
                return value
        known = ", ".join(self.fields)
        raise InputError(f"{self.place}: no column {paths[0]!r} (there are: {known}): is this the right set?")

    def text(self, *paths: str) -> str:
        """The same, a text that is not empty, stripped."""
        value = self.get(*paths)
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{self.place}: column {paths[0]!r} is {value!r:.80}, not a text: repair the row")
        return value.strip()


_ABSENT = object()


def _inside(value: object, step: str) -> object:
    if isinstance(value, Mapping):
        return value.get(step, _ABSENT)
    if isinstance(value, list) and step.isdigit() and int(step) < len(value):
        return value[int(step)]
    return _ABSENT


@dataclass(frozen=True)
class Attempt:
    """Somebody's solution of a problem, to be corrected, and whether it is right."""

    text: str
    correct: bool


@dataclass(frozen=True)
class Problem:
    """`text` without any instruction; `answer`: the ground truth for the verifier; `id`: the source's name for it, ""
    where it has none; `tags`: what figures are broken down by (category, date, difficulty).

    `form`: what a prompt shows behind the text that is no part of the problem (a starter to complete).
    `slug`: LeetCode's name of the problem, by which two sets' wordings of it are told to be one problem.
    `reference`: the source's own solution, or its own spelling of the answer, as a policy would give it; of code the
    program alone; "" where there is none.
    `ability`: where a set has several, this problem's.
    """

    text: str
    answer: str
    id: str = ""
    attempt: Attempt | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    form: str = ""
    slug: str = ""
    reference: str = ""
    ability: Ability | None = None


@dataclass(frozen=True)
class Join:
    """Where a set without ground truths finds them: `ground_truth` makes them of the rows of a split of the set called
    `name`, found by `key`, whose value a problem has for its answer."""

    name: str
    split: str
    key: str
    ground_truth: Callable[[Record], str]


@dataclass(frozen=True)
class Beside:
    """Columns that a mirror's rows lack: those of the row with the same `key` in another file of the mirror."""

    files: str
    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class PublicSet:
    """Where a set is and what it is for.

    `splits`: of the source, and the rows each has at `revision`, the hub's commit ("": none is known, and the rows are
    not counted). `mirror`: where a folder of local copies keeps each split, as patterns under that folder;
    `mirror_split` tells the splits of one file apart, `beside` finds what a mirror keeps elsewhere.
    `hub_files`: JSON lines that are read as the one split, where the hub's loader does not serve. `held_out`: so many
    problems of a set with one split are kept for validation. `evaluated`: the problems that figures are taken on, where
    these are not all. `runs_references`: only problems are kept whose tests accept the reference and refuse an attempt
    that is said to be wrong, which takes a sandbox. `traps`: what its rows get wrong.
    """

    name: str
    hub_id: str
    licence: str
    splits: Mapping[str, int]
    read: Callable[[Record], Problem]
    mirror: Mapping[str, tuple[str, ...]]
    use: Literal["training", "evaluation"]
    ability: Ability = "math"
    hub_config: str | None = None
    revision: str = ""
    hub_files: tuple[str, ...] = ()
    held_out: int = 0
    mirror_split: Callable[[Record], str] | None = None
    beside: Beside | None = None
    join: Join | None = None
    evaluated: Callable[[Problem], bool] = lambda problem: True
    runs_references: bool = False
    traps: tuple[str, ...] = field(default_factory=tuple)

    @property
    def instruction(self) -> str:
        """What stands behind every problem of the set."""
        return INSTRUCTIONS[self.ability]

    @property
    def pinned(self) -> str:
        """The revision, in words."""
        return f"revision {self.revision}" if self.revision else "no pinned revision"

    def ability_of(self, problem: Problem) -> Ability:
        return problem.ability or self.ability
