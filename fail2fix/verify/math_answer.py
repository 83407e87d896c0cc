r"""Is the answer of a response equal to the gold answer? A ladder: the same text, the same number, the same form and
members, the same expression. A rung is climbed only where the one before cannot tell.

Knows: what counts as the same answer. Must not know: deadlines, processes, training. The last rung asks math-verify
and belongs into a worker process; `judge` stops before it.

Decided on purpose:
- A gold answer that is a number wants a number: `3+4`, `\sqrt{49}` and `\int_0^7 1\,dx` are no answers to 7.
- A fraction of integers is in lowest terms, as MATH asks for it, unless the gold answer is not.
- Values are exact: 7.004 is not 7, .333 is not 1/3. A data set that allows a tolerance says so row by row (`gold`).
- A chain of equations counts by its last side, and only if all its numbers agree: `x=6=7` is wrong.
- Several values are a list: it equals a gold list of the same members in any order, a tuple in its order.
- `p%` is p (a gold answer without the sign: the problem asked for percent); where a gold answer without the sign lies
  between 0 and 1, it is p/100 and nothing else.
- A unit may be left out; a different unit of length, mass or time is wrong.

>>> check(r"So it is \boxed{\frac{1}{2}}.", "0.5")
MathCheck(correct=True, pred='\\frac{1}{2}')
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from fail2fix.verify import answer_form as form
from fail2fix.verify.answer_text import AnswerText, find_answer
from fail2fix.verify.cost import may_be_equal
from fail2fix.verify.exact_number import Number, number
from fail2fix.verify.latex_text import clean, key
from fail2fix.verify.numeric import differ

Symbolic = Callable[[str, str], bool]

MAX_ANSWER_CHARS = 1000
"""A longer answer is compared as text only."""

MAX_ITEMS = 64
"""Members of a longer list are not compared one by one."""

_UNITS = frozenset(
    re.findall(
        r"\w+",
        """
    m cm mm km in inch inche ft feet foot yard mile kg g mg lb pound ounce s sec second min minute h hour day week
    year meter centimeter millimeter kilometer gram kilogram
    """,
    )
)
_UNIT_WORDS = frozenset({"square", "cubic", "unit", "degree", "dollar", "cent", "per", "sq", "cu"})
_UNIT_BEHIND = re.compile(r"\s[a-zA-Z]{3,20}(?:[. ]{1,3}[a-zA-Z]{2,20}){0,3}(?: ?\^ ?\{?\d\}?)?\Z")
_CHOICE = re.compile(r"\(?([A-J])\)?(?:[.:)]? (.*))?")
_OTHER_CHOICE = re.compile(r"\b[A-HJ]\b|\b(?:or|and) \(?I\b")


class MathCheck(NamedTuple):
    """A verdict and the answer text it is about ("" when no answer was found)."""

    correct: bool
    pred: str


class Undecided(Exception):
    """The verdict needs the symbolic rung, which this process does not climb."""


def check(response: str, gold: str) -> MathCheck:
    r"""Extract the answer of `response` and compare it with `gold`, the bare answer, in LaTeX or plain.

    Raises:
        MemoryError: the process's memory limit was hit and the libraries did not swallow it.
    """
    from fail2fix.verify.symbolic import careful_equal

    answer = find_answer(response)
    return MathCheck(verdict(answer, gold, careful_equal), answer.text)


def judge(answer: AnswerText, gold: str) -> bool | None:
    """The verdict where text, numbers and forms decide it, in microseconds; None where the symbolic rung must."""
    try:
        return verdict(answer, gold, _undecided)
    except Undecided:
        return None


def verdict(answer: AnswerText, gold: str, symbolic: Symbolic) -> bool:
    """Whether the answer, and every other answer the response offers elsewhere, equals the gold answer."""
    gold = bare_gold(gold)
    return bool(answer.text) and not answer.hedged and all(
        same(gold, text, symbolic) for text in (answer.text, *answer.others)
    )  # fmt: skip


def bare_gold(gold: str) -> str:
    r"""The gold answer without the solution around it, where a data set gives one."""
    found = find_answer(gold) if r"\boxed" in gold or r"\fbox" in gold else None
    return found.text if found and found.text else re.sub(r"^\s*\\+f?boxed\{", "", gold)


def same(gold: str, pred: str, symbolic: Symbolic) -> bool:
    """Whether two bare answers are the same."""
    if len(pred) > MAX_ANSWER_CHARS or len(gold) > MAX_ANSWER_CHARS:
        return gold.strip() == pred.strip()
    return _same(clean(gold), clean(pred), symbolic)


def _same(gold: str, pred: str, symbolic: Symbolic) -> bool:
    if not pred or not gold:
        return False
    if key(gold) == key(pred):
        return True
    value = number(gold)
    if value is not None:
        return _same_number(value, pred, symbolic)
    if choice := re.fullmatch(r"([A-J])|\(([A-J])\).{0,80}", form.words(gold)):
        named = _CHOICE.fullmatch(form.words(pred))
        return (
            named is not None
            and named[1] == (choice[1] or choice[2])
            and not _OTHER_CHOICE.search(re.sub(rf"\b{named[1]}\b", "", named[2] or ""))
        )
    return _same_form(gold, pred, symbolic)


def _same_number(gold: Number, pred: str, symbolic: Symbolic) -> bool:
    """Whether `pred` is a number, or a consistent chain of equations that ends in one, with gold's value."""
    *before, last = _values(pred) or [""]
    found = number(last)
    if found is None or not _equals(gold, found):
        return False
    return all(_agrees(side, last, found, symbolic) for side in before)


def _equals(gold: Number, found: Number) -> bool:
    if not found.reduced and gold.reduced:
        return False
    if different_units(gold, found):
        return False
    as_share = found.percent and not gold.percent and 0 < gold.value < 1
    return found.value == (100 * gold.value if as_share else gold.value)


def different_units(gold: Number, found: Number) -> bool:
    """Whether both have a unit of length, mass or time, not the same one."""
    return gold.unit != found.unit and {gold.unit, found.unit} <= _UNITS


def _agrees(side: str, last: str, found: Number, symbolic: Symbolic) -> bool:
    """Whether an earlier side of a chain has the value of the last: as a number, or as a working to evaluate."""
    value = number(side)
    # The working in front of the answer may be unfinished, so it takes the gold answer's place.
    return value.value == found.value if value is not None else symbolic(side, last)


def values(pred: str) -> list[str]:
    """What an answer gives as values: the sides of a chain of equations, the text itself where it is none."""
    return _values(clean(pred))


def _values(pred: str) -> list[str]:
    r"""The sides of a chain `name = a = b` that are values, all but a name in front.

    After `\approx` stands an approximation of the exact value before it.
    """
    sides = form.sides(pred)
    if not sides:
        return []
    if form.is_approximate(pred) and (len(sides) > 2 or not form.is_name(sides[0])):
        sides = sides[:-1]
    if len(sides) > 1 and (form.is_name(sides[0]) or (len(sides) == 2 and form.is_term(sides[0]))):
        sides = sides[1:]
    return sides


def _same_form(gold: str, pred: str, symbolic: Symbolic) -> bool:
    """Lists, tuples, sets, unions and intervals by their members; the rest as expressions."""
    gold, pred = form.unqualified(gold), form.unqualified(pred)
    if not _is_equation(gold) and not _is_equation(pred):
        gold, pred = _unnamed(gold), _unnamed(pred)
    if key(gold) == key(pred):
        return True
    gold_parts, pred_parts = form.union(gold), form.union(pred)
    if len(gold_parts) > 1 or len(pred_parts) > 1:
        return _same_members(gold_parts, pred_parts, symbolic)
    bounds = [form.interval_of(text) for text in (gold, pred)]
    gold, pred = bounds[0] or gold, bounds[1] or pred
    gold_group, pred_group = form.bracketed(gold), form.bracketed(pred)
    if (any(bounds) or _is_half_open(gold_group) or _is_half_open(pred_group)) and not (gold_group and pred_group):
        return False  # an interval is no list of its ends
    if gold_group and pred_group and (len(gold_group[1]) > 1 or gold_group[0] == "{"):
        return _same_groups(gold_group, pred_group, symbolic)
    return _same_lists(gold, pred, symbolic)


def _is_half_open(group: tuple[str, list[str], str] | None) -> bool:
    return group is not None and group[0] + group[2] in ("[)", "(]")


def _same_groups(gold: tuple[str, list[str], str], pred: tuple[str, list[str], str], symbolic: Symbolic) -> bool:
    if "{" in (gold[0], pred[0]):
        return gold[0] == pred[0] and _same_members(gold[1], pred[1], symbolic)
    if (gold[0], gold[2]) != (pred[0], pred[2]):
        return False
    return _same_in_order(gold[1], pred[1], symbolic)


def _same_lists(gold: str, pred: str, symbolic: Symbolic) -> bool:
    """Lists in any order. Brackets round the whole of one of them are no difference: then the order counts."""
    golds, preds = form.items(gold), form.items(pred)
    if len(golds) == len(preds) == 1:
        return _same_expression(golds[0], preds[0], symbolic)
    for members, other, text in ((golds, preds, gold), (preds, golds, pred)):
        group = form.bracketed(text) if len(members) == 1 else None
        if group and len(group[1]) == len(other):
            ordered = group[0] == "("
            pair = (group[1], other) if members is golds else (other, group[1])
            return (_same_in_order if ordered else _same_members)(*pair, symbolic)
    return _same_members(_expanded(golds), _expanded(preds), symbolic)


def _expanded(members: list[str]) -> list[str]:
    return [one for member in members for one in form.alternatives(member)]


def _same_in_order(golds: list[str], preds: list[str], symbolic: Symbolic) -> bool:
    return len(golds) == len(preds) <= MAX_ITEMS and all(
        _same_member(gold, pred, symbolic) for gold, pred in zip(golds, preds, strict=True)
    )


def _same_members(golds: list[str], preds: list[str], symbolic: Symbolic) -> bool:
    """Whether each gold member has a predicted member of its own, whatever the order."""
    if len(golds) != len(preds):  # a value listed twice is one value, where the gold answer lists each once
        golds, preds = _distinct(golds), _distinct(preds)
    if len(golds) != len(preds) or len(golds) > MAX_ITEMS:
        return False
    left = list(preds)
    for gold in golds:
        found = next((pred for pred in left if _same_member(gold, pred, symbolic)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def _distinct(members: list[str]) -> list[str]:
    return list({key(member): member for member in members}.values())


def _same_member(gold: str, pred: str, symbolic: Symbolic) -> bool:
    gold_sides, pred_sides = form.sides(gold), form.sides(pred)
    # Both name what they give a value to: `a_3 = 2` is not `a_{37} = 2`.
    if len(gold_sides) == len(pred_sides) == 2 and all(form.is_name(s[0]) for s in (gold_sides, pred_sides)):
        # The letter of a function's argument is no part of its name.
        names = [re.sub(r"\([a-zA-Z]\)$", "", key(named[0])) for named in (gold_sides, pred_sides)]
        if names[0] != names[1]:
            return False
    return _same(_unnamed(gold), _unnamed(pred), symbolic)


def _is_equation(text: str) -> bool:
    """Whether `text` relates two expressions, neither of them a name."""
    sides = form.sides(text)
    return len(sides) == 2 and not form.is_name(sides[0]) and len(form.items(text)) == 1


def _unnamed(text: str) -> str:
    """The right side of `name = value`; `text` itself for anything else."""
    sides = form.sides(text)
    named = len(sides) == 2 and form.is_name(sides[0])
    # `(p,q) = (3,2)` names one pair; `x, y = 2` names nothing.
    return sides[1] if named and (len(form.items(sides[0])) < 2 or form.bracketed(sides[0])) else text


def _same_expression(gold: str, pred: str, symbolic: Symbolic) -> bool:
    if (":" in gold) != (":" in pred):
        return False
    pred_sides = form.sides(pred)
    if len(form.sides(gold)) == 1 and len(pred_sides) > 1:
        if len(pred_sides) == 2 and not form.is_approximate(pred):
            return False  # an equation is not an expression
        last = pred_sides[-2 if form.is_approximate(pred) else -1]
        return _same(gold, last, symbolic) and all(_same(s, last, symbolic) for s in pred_sides if not form.is_name(s))
    bare = [_without_unit(text) for text in (gold, pred)]
    # A unit may be left out; where both have one, the symbolic rung compares them too.
    return symbolic(*bare) if (bare[0] == gold) != (bare[1] == pred) else symbolic(gold, pred)


def _without_unit(text: str) -> str:
    """`text` without known units behind it; other words may say anything."""
    found = _UNIT_BEHIND.search(text)
    names = re.findall("[a-z]+", found[0].lower()) if found and found.start() else []
    known = bool(names) and all(name in _UNITS or name.removesuffix("s") in _UNITS | _UNIT_WORDS for name in names)
    return text[: found.start()].strip() if found and known else text


def _undecided(gold: str, pred: str) -> bool:
    if may_be_equal(gold, pred) and not differ(gold, pred):
        raise Undecided
    return False
