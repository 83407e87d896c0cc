"""Description of a public data set, and of the problems its rows become.

Knows: rows as their source gives them, problems as verl needs them. Must not know: any one set, files, networks.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from fail2fix.method.errors import InputError

Ability = Literal["math", "code", "text"]
"""The kind of answer: mathematics, a program that is run against tests, or a short text."""

MATH = "\nPlease reason step by step, and put your final answer within \\boxed{}."
CODE = "\nThink it through, then give the whole program in one ```python code block at the end."
INSTRUCTIONS: Mapping[Ability, str] = {"math": MATH, "code": CODE, "text": MATH}


class UnusableRowError(Exception):
    """A row without a usable ground truth. Rows are counted by the message, so there are few different ones."""


@contextmanager
def unusable(reason: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn `errors` raised inside the block into an `UnusableRowError`."""
    try:
        yield
    except errors as error:
        raise UnusableRowError(reason) from error


@dataclass(frozen=True)
class SourceRow:
    """One row as its source gives it, and its place: "gsm8k: train.jsonl.gz, row 17"."""

    place: str
    fields: Mapping[str, object]

    def get(self, *paths: str) -> object:
        """Value of the first existing column of `paths`; `a.0.b` reads into mappings and lists.

        Raises:
            InputError: no column exists; names the first one, since the others are names that mirrors use for it.
        """
        for path in paths:
            value: Any = self.fields
            with suppress(LookupError, TypeError, ValueError):
                for step in path.split("."):
                    value = value[int(step) if isinstance(value, list) else step]
                return value
        known = ", ".join(self.fields)
        raise InputError(f"{self.place}: no column {paths[0]!r} (there are: {known}): is this the right set?")

    def text(self, *paths: str) -> str:
        """The same for a column of text: stripped, and refused where it is empty."""
        value = self.get(*paths)
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{self.place}: column {paths[0]!r} is {value!r:.80}, not a text: repair the row")
        return value.strip()

    def optional(self, column: str) -> str:
        """A column as text; "" where it is missing or null."""
        value = self.fields.get(column)
        return "" if value is None else str(value)


@dataclass(frozen=True)
class GivenAttempt:
    """A solution that the set gives with a problem, to be corrected, and its label."""

    text: str
    correct: bool


@dataclass(frozen=True)
class Problem:
    """One problem of a set.

    `text`: without instruction. `answer`: the ground truth for the verifier. `id`: the source's name for it, or "".
    `tags`: groups for figures (category, date, difficulty).
    `form`: shown after the text without being part of the problem (a starter to complete).
    `slug`: LeetCode's name of the problem, which identifies it in sets with different wordings.
    `reference`: the source's own solution, or its spelling of the answer, as a policy would write it; for code the
    program alone; or "".
    `ability`: this problem's, where the problems of a set differ. `place`: of its row.
    `echoes`: expressions of the text that equal the answer, which `answer` lists. `stated`: the text states the answer.
    """

    text: str
    answer: str
    id: str = ""
    attempt: GivenAttempt | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    form: str = ""
    slug: str = ""
    reference: str = ""
    ability: Ability | None = None
    place: str = ""
    echoes: int = 0
    stated: bool = False


@dataclass(frozen=True)
class Join:
    """Ground truths of a set that has none: `ground_truth` makes them from rows of a `split` of the set called `name`.

    A problem's answer is the value of `key` in the row that belongs to it.
    """

    name: str
    split: str
    key: str
    ground_truth: Callable[[SourceRow], str]


@dataclass(frozen=True)
class Beside:
    """Columns that a mirror's rows lack, read from the row with the same `key` in another file of the mirror."""

    files: str
    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class PublicSet:
    """Place and use of a data set.

    `splits`: rows of each split at `revision`, the hub's commit. With revision "" rows are not counted.
    `mirror`: patterns of each split's files below a folder of local copies. `mirror_split` tells the splits of one file
    apart, `beside` finds columns that a mirror keeps elsewhere.
    `hub_files`: JSON lines to read as the only split where the hub's loader cannot read the set.
    `held_out`: problems of a set with one split that are kept for validation.
    `evaluated`: whether figures are computed on a problem, by its tags.
    `runs_references`: keep only problems whose tests accept the reference and refuse an attempt labeled wrong. Needs a
    sandbox. `traps`: known faults of its rows.
    """

    name: str
    hub_id: str
    license: str
    splits: Mapping[str, int]
    read: Callable[[SourceRow], Problem]
    mirror: Mapping[str, tuple[str, ...]]
    use: Literal["training", "evaluation"]
    ability: Ability = "math"
    hub_config: str | None = None
    revision: str = ""
    hub_files: tuple[str, ...] = ()
    held_out: int = 0
    mirror_split: Callable[[SourceRow], str] | None = None
    beside: Beside | None = None
    join: Join | None = None
    evaluated: Callable[[Mapping[str, str]], bool] = lambda tags: True
    runs_references: bool = False
    traps: tuple[str, ...] = ()

    def ability_of(self, problem: Problem) -> Ability:
        return problem.ability or self.ability
