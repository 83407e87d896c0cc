"""Rules that drop rows of a set on the way to training.

Knows: problems and answers. Must not know: files, sets. Every function counts what it drops, with the reason.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fail2fix.data.sets.spec import Ability, Problem, SourceRow, UnusableRowError, unusable
from fail2fix.method.errors import InputError
from fail2fix.verify.answer_text import AnswerText
from fail2fix.verify.errors import GroundTruthError
from fail2fix.verify.gold import parse_gold
from fail2fix.verify.math_answer import judge
from fail2fix.verify.math_verifier import accepts_itself
from fail2fix.verify.registry import ground_truth_problem

Marks = tuple[str, ...]
"""Hashes that identify a problem in other sets; one shared hash is enough."""


@dataclass
class Dropped:
    """The places of the dropped rows, by reason."""

    places: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def counts(self) -> Counter[str]:
        return Counter({reason: len(places) for reason, places in self.places.items()})

    def without(self, problems: Iterable[Problem], reason_of: Callable[[Problem], str]) -> list[Problem]:
        """The problems that have no reason to drop them ("")."""
        kept = []
        for each in problems:
            if reason := reason_of(each):
                self.places[reason].append(each.place)
            else:
                kept.append(each)
        return kept


def read_all(
    rows: Iterable[SourceRow], read: Callable[[SourceRow], Problem], ability: Ability, dropped: Dropped
) -> list[Problem]:
    """Problems of the rows, without rows that have no usable gold answer: it must be right when a policy gives it."""
    found = []
    for row in rows:
        try:
            problem = replace(read(row), place=row.place)
            kind = problem.ability or ability
            if kind == "math":
                with unusable("its answer cannot be read", GroundTruthError):
                    gold = parse_gold(problem.answer).answer
                if not accepts_itself(gold):
                    raise UnusableRowError("its answer is no answer to itself")
            elif ground_truth_problem(kind, problem.answer):
                raise UnusableRowError("its tests cannot be read" if kind == "code" else "its answer cannot be read")
        except UnusableRowError as reason:
            dropped.places[str(reason)].append(row.place)
        else:
            found.append(problem)
    return found


def without_repeats(problems: Sequence[Problem], ability: Ability, dropped: Dropped) -> list[Problem]:
    """Keep each problem once; drop problems that occur with different answers, since either may be wrong.

    Answers that the verifier accepts as equal count as one. Programs have tests instead: the first row is kept.
    """
    groups: dict[str, list[Problem]] = {}
    for each in problems:
        groups.setdefault(problem_key(each.text), []).append(each)
    kept = []
    for first, *others in groups.values():
        reason = "a repeat of another row"
        if ability == "code" or all(same_answer(first.answer, other.answer) for other in others):
            kept.append(first)
        else:
            others, reason = [first, *others], "its problem has different answers"
        for each in others:
            dropped.places[reason].append(each.place)
    return kept


def same_answer(one: str, two: str) -> bool:
    """Whether two gold answers are equal, as far as the verifier can tell without computing."""
    return one == two or judge(AnswerText(one), two) is True or judge(AnswerText(two), one) is True


def without_overlap(
    problems: Sequence[Problem], evaluated: Mapping[str, frozenset[Marks]], dropped: Dropped
) -> list[Problem]:
    """Drop the problems of evaluation sets. `evaluated`: {set: the marks of its problems}."""
    hashes = {name: frozenset(mark for one in known for mark in one) for name, known in evaluated.items()}

    def overlap(problem: Problem) -> str:
        own = marks(problem)
        return next((f"a problem of {name}" for name, known in hashes.items() if not known.isdisjoint(own)), "")

    return dropped.without(problems, overlap)


def hold_out(problems: Sequence[Problem], count: int) -> tuple[list[Problem], list[Problem]]:
    """(train, test): hold out the `count` problems with the smallest hash, whatever the order of rows.

    Raises:
        InputError: there are at most `count` problems.
    """
    if len(problems) <= count:
        raise InputError(f"{len(problems)} problems, {count} to hold out: the source is incomplete")
    chosen = set(sorted((each.text for each in problems), key=_order)[:count])
    kept = [each for each in problems if each.text not in chosen]
    return kept, [each for each in problems if each.text in chosen]


def problem_key(text: str) -> str:
    """Letters, digits and operators of a problem, equal for two copies of it.

    Operators stay: "the least x + y" is another problem than "the least xy".
    """
    return re.sub(r"[^\w+\-*/=<>^!|%]|_", "", text.lower())


def problem_id(each: Problem) -> str:
    """Identifier of a problem that has none in its source, independent of the order of rows."""
    return _order(each.text).hex()[:12]


def marks(problem: Problem) -> Marks:
    """Hashes of a problem's text and, if known, of LeetCode's name for it, since wordings differ."""
    text = overlap_hash(problem.text)
    return (text, overlap_hash(f"leetcode {problem.slug}")) if problem.slug else (text,)


def overlap_hash(text: str) -> str:
    """Twelve hexadecimal digits that do not reveal the problem.

    They are of its letters and digits alone, which rather drops a problem too many; of the whole text if it has none.
    """
    plain = re.sub(r"[^a-z0-9]", "", text.lower())
    return hashlib.sha256((plain or text).encode()).hexdigest()[:12]


def _order(text: str) -> bytes:
    return hashlib.sha256(problem_key(text).encode()).digest()
