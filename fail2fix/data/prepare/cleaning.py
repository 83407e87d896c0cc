"""What a set loses on its way to training, by rule, each row with its reason.

Knows: problems and answers. Must not know: files, sets. Nothing is dropped silently: every function says what it
dropped and why.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fail2fix.data.sets.spec import Ability, Problem, Record, UnusableRowError
from fail2fix.method.errors import InputError
from fail2fix.verify.answer_text import AnswerText
from fail2fix.verify.code.verifier import ground_truth_problem as code_problem
from fail2fix.verify.errors import GroundTruthError
from fail2fix.verify.gold import parse_gold
from fail2fix.verify.math_answer import judge
from fail2fix.verify.math_verifier import accepts_itself
from fail2fix.verify.text_verifier import ground_truth_problem as text_problem

Marks = tuple[str, ...]
"""By what a problem is known in other sets: hashes, of which one shared is enough."""

EXAMPLES = 20
"""Dropped rows of a reason that a card names."""


@dataclass
class Dropped:
    """How many rows went for each reason, and the places of the first of them."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, place: str) -> None:
        self.counts[reason] += 1
        named = self.examples.setdefault(reason, [])
        if len(named) < EXAMPLES:
            named.append(place)


@dataclass(frozen=True)
class Placed:
    """A problem, and the row it came from."""

    problem: Problem
    place: str


def read_all(
    rows: Iterable[Record], read: Callable[[Record], Problem], ability: Ability, dropped: Dropped
) -> list[Placed]:
    """The problems of the rows, without those whose gold answer cannot be judged by."""
    found = []
    for row in rows:
        try:
            problem = read(row)
            _refuse_bad_gold(problem.answer, problem.ability or ability)
        except UnusableRowError as reason:
            dropped.add(str(reason), row.place)
        else:
            found.append(Placed(problem, row.place))
    return found


def _refuse_bad_gold(answer: str, ability: Ability) -> None:
    """A gold answer must be right when a policy gives it."""
    if ability == "code":
        if code_problem(answer):
            raise UnusableRowError("its tests cannot be read")
        return
    if ability == "text":
        if text_problem(answer):
            raise UnusableRowError("its answer cannot be read")
        return
    try:
        gold = parse_gold(answer).answer
    except GroundTruthError:
        raise UnusableRowError("its answer cannot be read") from None
    if not accepts_itself(gold):
        raise UnusableRowError("its answer is no answer to itself")


def without_repeats(problems: Sequence[Placed], ability: Ability, dropped: Dropped) -> list[Placed]:
    """Each problem once; one that occurs with different answers not at all, since nothing tells which is right.

    Two spellings of an answer are one answer: the verifier decides where it can without computing. Other tests are no
    other answer: of programs the first row is kept.
    """
    groups: dict[str, list[Placed]] = {}
    for each in problems:
        groups.setdefault(problem_key(each.problem.text), []).append(each)
    kept = []
    for first, *others in groups.values():
        if ability == "code" or all(same_answer(first.problem.answer, other.problem.answer) for other in others):
            kept.append(first)
            for other in others:
                dropped.add("a repeat of another row", other.place)
        else:
            for each in (first, *others):
                dropped.add("its problem has different answers", each.place)
    return kept


def same_answer(one: str, two: str) -> bool:
    """Whether two gold answers are the same answer, in whatever spelling."""
    return one == two or judge(AnswerText(one), two) is True or judge(AnswerText(two), one) is True


def without_overlap(
    problems: Sequence[Placed], evaluated: Mapping[str, frozenset[Marks]], dropped: Dropped
) -> list[Placed]:
    """Without the problems of evaluation sets. `evaluated` {set: the marks of its problems}."""
    hashes = {name: frozenset(mark for one in known for mark in one) for name, known in evaluated.items()}
    kept = []
    for each in problems:
        own = marks(each.problem)
        found = [name for name, known in hashes.items() if not known.isdisjoint(own)]
        if found:
            dropped.add(f"a problem of {found[0]}", each.place)
        else:
            kept.append(each)
    return kept


def hold_out(problems: Sequence[Placed], count: int) -> tuple[list[Placed], list[Placed]]:
    """(train, test): the `count` problems with the smallest hash are held out, in any order of rows.

    Raises:
        InputError: there are no more problems than that.
    """
    if len(problems) <= count:
        raise InputError(f"{len(problems)} problems, {count} to hold out: the source is incomplete")
    chosen = set(sorted((each.problem.text for each in problems), key=_order)[:count])
    return (
        [each for each in problems if each.problem.text not in chosen],
        [each for each in problems if each.problem.text in chosen],
    )


def problem_key(text: str) -> str:
    """What two copies of a problem share: letters, digits and operators.

    Spaces, dollar signs, braces and punctuation go. Operators stay: "the least x + y" is another problem than
    "the least xy".
    """
    return re.sub(r"[^\w+\-*/=<>^!|%]|_", "", text.lower())


def problem_id(each: Placed) -> str:
    """A name for a problem whose source has none: the same in every run and order of rows."""
    return _order(each.problem.text).hex()[:12]


def marks(problem: Problem) -> Marks:
    """By what a problem is known in other sets: its text, and LeetCode's name for it, for wordings differ."""
    text = overlap_hash(problem.text)
    return (text, overlap_hash(f"leetcode {problem.slug}")) if problem.slug else (text,)


def overlap_key(text: str) -> str:
    """What a problem shares with one of an evaluation set: letters and digits alone, to rather drop one too many."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def overlap_hash(text: str) -> str:
    """Twelve hexadecimal digits of `overlap_key`, or of a text that has none, which tell nobody the problem."""
    return hashlib.sha256((overlap_key(text) or text).encode()).hexdigest()[:12]


def _order(text: str) -> bytes:
    return hashlib.sha256(problem_key(text).encode()).digest()
