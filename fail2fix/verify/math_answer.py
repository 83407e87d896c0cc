r"""Compare an answer with the gold answer in rungs: same text, same number, same form and members, same expression.

A rung runs only if the previous one cannot decide. Knows: which answers are the same. Must not know: deadlines,
processes, training. The last rung asks math-verify and belongs in a worker process; `judge` stops before it.

Decisions:
- A gold number wants a number: `3+4`, `\sqrt{49}` and `\int_0^7 1\,dx` are not answers to 7.
- A fraction of integers is in lowest terms, as MATH asks, unless the gold answer is not.
- Values are exact: 7.004 is not 7, .333 is not 1/3. A data set states a tolerance row by row (`gold`).
- Computations are not done: a power, a sum of like terms, a product of two numbers, the root of a square is wrong
  (`4^2\pi-4\pi`, `3\sqrt{5}-\sqrt{5}`), unless the gold answer has the same kind.
- Names keep their case. Words and orders of letters (`CAB`, `HTH`) are equal as text; `pqr` is a product.
- A power of ten is a number (`10^6`). Small binomials, remainders and divisors of the gold answer are evaluated.
- A number in a stated base equals the same digits in that base; the base may be left out, another one is wrong.
- A chain of equations counts by its last side, and only if all sides agree: `x=6=7` is wrong, `\sqrt{12}=2\sqrt3` is
  no hedge; two chains end alike. Working with names that nothing here evaluates (`\sum_k k = 55`) may stand before
  the last side.
- A decimal after `\approx` illustrates; a whole number there must be near: `7\approx 8` is wrong.
- A congruence names a class of numbers: `x\equiv 7\pmod{10}` is not an answer to 7.
- The left side of an equation is only a name or a sum of names (`m+n = 7`): negation, doubt or a second value in words
  (`\text{6 or }x=7`) is wrong. If both answers name the value, the names agree (`f(x)` is y, `f(t)=x` is not
  `f(x)=x`); named members of a tuple are in alphabetical order.
- Text that math-verify would not read never reaches it: it might retract the text before it.
- A choice may be followed by its text (`choice`); forms of one meaning are listed in `equivalence`.
- Sums are equal by their terms and equations by their sides, in any order, before any algebra.
- `[0,1]` in the gold answer is an interval, not a list of its ends; in an answer it may be a list in brackets.
- A gold equation wants the whole equation that prose ends with, other golds its right side.
- Several values are a list: equal to a gold list with the same members in any order, to a tuple in its order.
- `p%` is p (without a sign in the gold answer, the problem asks for percent); for a gold answer between 0 and 1 without
  the sign it is only p/100. If only the gold answer has the sign, p and p/100 are right.
- A unit may be left out; another unit of length, mass, time, angle or money, or another power or quotient of them, is
  wrong.

>>> judge(find_answer(r"So it is \boxed{\frac{1}{2}}."), "0.5")
True
"""

import re
from collections.abc import Callable

from fail2fix.verify import answer_form as form
from fail2fix.verify import equivalence, names, units
from fail2fix.verify.answer_text import AnswerText, find_answer
from fail2fix.verify.choice import same_choice
from fail2fix.verify.exact_number import Number, based, number
from fail2fix.verify.finished import is_finished
from fail2fix.verify.identity import decided
from fail2fix.verify.latex_text import clean, is_word, key
from fail2fix.verify.numeric import is_near
from fail2fix.verify.periodic import same_families

Symbolic = Callable[[str, str], bool]

MAX_ANSWER_CHARS = 1000
"""A longer answer is compared as text only."""

MAX_ITEMS = 64
"""A longer list is not compared by members."""

_MARKS_OF_LETTERS = re.compile(r"[\s(){}]|\\(?:angle|triangle|overline)(?![a-zA-Z])")


class Undecided(Exception):
    """The verdict needs the symbolic rung."""


def judge(answer: AnswerText, gold: str) -> bool | None:
    """The verdict by text, numbers and forms, in microseconds; None if the symbolic rung must decide."""
    try:
        return verdict(answer, gold, _undecided)
    except Undecided:
        return None


def verdict(answer: AnswerText, gold: str, symbolic: Symbolic) -> bool:
    """Whether the answer, and every other answer in the response, equals the gold answer."""
    gold = bare_gold(gold)
    if not answer.text or answer.hedged:
        return False
    said = answer.equation if answer.equation and "=" in gold else answer.text
    return all(same(gold, text, symbolic) for text in (said, *answer.others))


def bare_gold(gold: str) -> str:
    """The gold answer without a solution around it."""
    if r"\boxed" not in gold and r"\fbox" not in gold:
        return gold
    return find_answer(gold).text or re.sub(r"^\s*\\+f?boxed\{", "", gold)


def same(gold: str, pred: str, symbolic: Symbolic) -> bool:
    """Whether two bare answers are the same."""
    if len(pred) > MAX_ANSWER_CHARS or len(gold) > MAX_ANSWER_CHARS:
        return gold.strip() == pred.strip()
    return _same(clean(gold), clean(pred), symbolic)


def _same(gold: str, pred: str, symbolic: Symbolic) -> bool:
    if not pred or not gold:
        return False
    if gold == pred or key(gold) == key(pred):
        return True
    value = number(gold)
    if value is not None:
        return _same_number(value, pred, symbolic)
    if digits := based(gold):
        # The base may be left out.
        return all((based(side) or (side, digits[1])) == digits for side in values(pred) or [""])
    chosen = same_choice(form.words(gold), form.words(pred))
    if chosen is not None:
        return chosen
    return _same_form(gold, pred, symbolic)


def _same_number(gold: Number, pred: str, symbolic: Symbolic) -> bool:
    """Whether `pred` is a number, or a consistent chain of equations ending in one, with gold's value."""
    *before, last = values(pred) or [""]
    found = number(last)
    if found is None or not _equals(gold, found):
        return False
    return all(_agrees(equivalence.evaluated(side), last, found, symbolic) for side in before)


def _equals(gold: Number, found: Number) -> bool:
    if (gold.reduced and not found.reduced) or units.different(gold.unit, found.unit):
        return False
    if gold.percent and not found.percent:
        return found.value in (gold.value, gold.value / 100)
    as_share = found.percent and not gold.percent and 0 < gold.value < 1
    return found.value == (100 * gold.value if as_share else gold.value)


def _agrees(side: str, last: str, found: Number, symbolic: Symbolic) -> bool:
    """Whether an earlier side of a chain has the last side's value: as a number, or as working to evaluate."""
    value = number(side)
    if value is not None:
        return value.value == found.value
    # The working before the answer may be unfinished, so it takes the gold answer's place.
    return form.is_unreadable_working(side) or symbolic(side, last)


def values(pred: str) -> list[str]:
    r"""Values in an answer, in the spelling of `clean`: the sides of a chain `name = a = b` without a name in front.

    `\approx` is followed by an approximation of the exact value before it.
    """
    sides = form.sides(pred)
    if not sides:
        return []
    if form.is_approximate(pred) and (len(sides) > 2 or not form.is_name(sides[0])):
        *sides, approximation = sides
        if not sides or not _is_rounded(sides[-1], approximation):
            return []
    if len(sides) > 1 and (form.is_name(sides[0]) or form.is_term(sides[0])):
        sides = sides[1:]
    return sides


def _is_rounded(exact: str, approximation: str) -> bool:
    r"""Whether an approximation is a decimal, or a whole number near the exact value: `7 \approx 8` says two things."""
    rounded = number(approximation)
    if rounded is None:
        return False
    if rounded.value.denominator > 1:
        return True
    value = number(exact)
    plain = str(float(value.value)) if value is not None else units.split(exact)[0]
    return is_near(plain, rounded.value) or (rounded.percent and is_near(plain, rounded.value / 100))


def _same_form(gold: str, pred: str, symbolic: Symbolic) -> bool:
    """Compare lists, tuples, sets, unions and intervals by members, the rest as expressions."""
    equation = gold
    if form.is_approximate(gold):
        gold = (values(gold) or [gold])[-1]  # the exact value is the answer
    if _ends_differently(gold, pred, symbolic):
        return False
    (gold, _, range_of_gold), (pred, letter, range_of_pred) = map(equivalence.without_remark, (gold, pred))
    if range_of_gold and range_of_pred and range_of_gold != range_of_pred:
        return False
    pred = equivalence.renamed(gold, pred, letter)
    if not names.is_equation(gold) and not names.is_equation(pred):
        if names.named_apart(gold, pred):
            return False
        gold, pred = names.unnamed(gold), names.unnamed(pred)
    gold, pred = equivalence.plain_set(gold), equivalence.plain_set(pred)
    if form.bracketed(gold) or form.bracketed(pred):
        gold, pred = equivalence.as_tuple(gold), equivalence.as_tuple(pred)
    if key(gold) == key(pred):
        return True
    gold_parts, pred_parts = form.union(gold), form.union(pred)
    if len(gold_parts) > 1 or len(pred_parts) > 1:
        return _same_members(gold_parts, pred_parts, symbolic)
    bounds = [form.interval_of(text) for text in (gold, pred)]
    gold, pred = bounds[0] or gold, bounds[1] or pred
    gold_group, pred_group = form.bracketed(gold), form.bracketed(pred)
    if (any(bounds) or _is_interval(gold_group) or _is_half_open(pred_group)) and not (gold_group and pred_group):
        return False  # an interval is no list of its ends
    if gold_group and pred_group and (len(gold_group[1]) > 1 or gold_group[0] == "{"):
        return _same_groups(gold_group, pred_group, symbolic)
    if {range_of_gold, range_of_pred} <= {"", "Z"} and _repeat_alike(gold, pred):
        return True
    return _same_lists(gold, pred, symbolic) or _solves(equation, pred, symbolic)


def _repeat_alike(gold: str, pred: str) -> bool:
    """Whether two lists of values of one name repeat at the same places."""
    lists = [_expanded(form.items(text)) for text in (gold, pred)]
    named = {names.name(member) for members in lists for member in members} - {""}
    return len(named) < 2 and same_families(*([names.unnamed(member) for member in members] for members in lists))


def _ends_differently(gold: str, pred: str, symbolic: Symbolic) -> bool:
    """Whether two chains of equations have different last sides: `i^6=i^4i^2=-1` is not `i^6=i^4i^2=-9`."""
    chains = [form.sides(text) if len(form.items(text)) == 1 else [] for text in (gold, pred)]
    return all(len(chain) > 2 for chain in chains) and not _same(chains[0][-1], chains[1][-1], symbolic)


def _solves(equation: str, pred: str, symbolic: Symbolic) -> bool:
    """Whether `pred` is the one letter of an equation that it lacks: `\\frac{6}{x}` is y in `xy = 6`."""
    sides = form.sides(equation)
    if len(sides) != 2 or len(form.sides(pred)) != 1 or not is_finished(pred, equation):
        return False
    # The right side of `name = value` has been compared; `xy` may be a product.
    if form.is_name(sides[0]) and (len(sides[0]) == 1 or not sides[0].isalpha() or is_word(sides[0])):
        return False
    solved = equivalence.solved_for(equation, pred)
    return solved is not None and symbolic(*solved)


def _is_interval(group: tuple[str, list[str], str] | None) -> bool:
    """Whether a gold answer in brackets may be an interval; an answer may have the brackets of a list."""
    return _is_half_open(group) or (group is not None and group[0] == "[" and len(group[1]) == 2)


def _is_half_open(group: tuple[str, list[str], str] | None) -> bool:
    return group is not None and group[0] + group[2] in ("[)", "(]")


def _same_groups(gold: tuple[str, list[str], str], pred: tuple[str, list[str], str], symbolic: Symbolic) -> bool:
    if "{" in (gold[0], pred[0]):
        return gold[0] == pred[0] and _same_members(_expanded(gold[1]), _expanded(pred[1]), symbolic)
    return (gold[0], gold[2]) == (pred[0], pred[2]) and _same_in_order(gold[1], pred[1], symbolic)


def _same_lists(gold: str, pred: str, symbolic: Symbolic) -> bool:
    """Compare lists in any order; if one has brackets around all of it, the order counts."""
    golds, preds = form.items(gold), form.items(pred)
    all_golds, all_preds = _expanded(golds), _expanded(preds)
    for members, other, text in ((golds, all_preds, gold), (preds, all_golds, pred)):
        group = form.bracketed(text) if len(members) == 1 else None
        inside = group[1] if group and group[0] == "(" else _expanded(group[1]) if group else []
        if group and len(inside) == len(other) and not (group[0] == "(" and r"\pm" in text):
            pair = (inside, other) if members is golds else (other, inside)
            return (_same_in_order if group[0] == "(" else _same_members)(*pair, symbolic)
    if len(all_golds) == len(all_preds) == 1:
        return _same_expression(golds[0], preds[0], symbolic)
    return _same_members(all_golds, all_preds, symbolic)


def _expanded(members: list[str]) -> list[str]:
    return [one for member in members for one in form.alternatives(member)]


def _same_in_order(golds: list[str], preds: list[str], symbolic: Symbolic) -> bool:
    if _all_named(golds) != _all_named(preds):
        golds, preds = (
            sorted(members, key=names.name) if _all_named(members) else members for members in (golds, preds)
        )
    return len(golds) == len(preds) <= MAX_ITEMS and all(
        _same_member(gold, pred, symbolic) for gold, pred in zip(golds, preds, strict=True)
    )


def _all_named(members: list[str]) -> bool:
    """Whether each member of a tuple has its own name; their order is then alphabetical."""
    return all(map(names.name, members)) and len(set(map(names.name, members))) == len(members)


def _same_members(golds: list[str], preds: list[str], symbolic: Symbolic) -> bool:
    """Whether each gold member equals its own predicted member, in any order."""
    if len(golds) != len(preds):  # a repeated value counts once if the gold answer repeats none
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
    gold, (pred, letter, _) = equivalence.without_remark(gold)[0], equivalence.without_remark(pred)
    pred = equivalence.renamed(gold, pred, letter)
    return not names.named_apart(gold, pred) and _same(names.unnamed(gold), names.unnamed(pred), symbolic)


def _same_expression(gold: str, pred: str, symbolic: Symbolic) -> bool:
    if is_word(_MARKS_OF_LETTERS.sub("", form.words(gold))):
        return key(re.sub("[{}]", "", gold)) == key(re.sub("[{}]", "", pred))
    if ":" in gold or ":" in pred:
        return _same_ratio(gold, pred, symbolic)
    plain = equivalence.evaluated(gold)
    if plain != gold:
        return _same(plain, equivalence.evaluated(pred), symbolic)
    if form.arranged(gold) == form.arranged(pred):
        return True
    gold_sides, pred_sides = form.sides(gold), form.sides(pred)
    if len(gold_sides) == 1 and len(pred_sides) > 1:
        label = form.is_term(pred_sides[0]) and not set.intersection(*map(equivalence.letters, pred_sides))
        is_working = label or form.is_constant(pred_sides[0]) or form.is_unreadable_working(pred_sides[0])
        if len(pred_sides) == 2 and not form.is_approximate(pred) and not is_working:
            return False  # an equation is not an expression
        *before, last = values(pred) or [""]
        return _same(gold, last, symbolic) and all(_leads_to(side, last, symbolic) for side in before)
    (gold, gold_unit), (pred, pred_unit) = units.split(gold, trusted=True), units.split(pred)
    return not units.different(gold_unit, pred_unit) and symbolic(gold, pred)


def _same_ratio(gold: str, pred: str, symbolic: Symbolic) -> bool:
    """Compare a ratio with a ratio or fraction; a longer ratio term by term."""
    fractions = equivalence.as_fraction(gold), equivalence.as_fraction(pred)
    if fractions[0] != gold:
        return not re.search("[:%]", fractions[1]) and _same(*fractions, symbolic)
    golds, preds = gold.split(":"), pred.split(":")
    return len(golds) == len(preds) > 2 and _same_in_order(golds, preds, symbolic)


def _leads_to(side: str, last: str, symbolic: Symbolic) -> bool:
    """Whether a side of a chain may stand before its last one: a name, unreadable working, or an equal value."""
    if form.is_name(side) or form.is_unreadable_working(side):
        return True
    # The working may be unfinished, so it takes the gold answer's place.
    return _same(equivalence.evaluated(side), last, symbolic)


def _undecided(gold: str, pred: str) -> bool:
    found = decided(gold, pred)
    if found is None:
        raise Undecided
    return found
