r"""Small changes of a gold answer that alter its value: another digit, sign, letter, order, end, member, exponent."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from fail2fix.verify.certify.pieces import (
    NUMBER,
    Change,
    Kind,
    is_expression,
    is_formula,
    is_value,
    is_whole,
    joined,
    members,
    phrase,
    terms,
)

_TEXT = re.compile(
    r"\\(?:text|mbox|mathrm|textbf|mathbb|mathcal) ?\{[^{}]*\}(?:\^\{?\d\}?)?"
    r"|\\(?:begin|end) ?\{\w+\}(?:\{[^{}]*\})?|\\[a-zA-Z]+"
)
_VAGUE = re.compile(
    r"\\(?:approx|sim|pmod|forall|quad|text|mbox|in|ldots|dots|cdots)(?![a-zA-Z])|\([a-zA-Z]\) ?=|[a-zA-Z]' ?=|_|!|\\%"
    r"|\\(?:sin|cos|tan|ln|log|sqrt|frac|begin)(?![a-zA-Z])[^,]*=|=[^,]*="
    r"|[a-z]\^\{?\d\}? ?\(.*= ?0\Z"
)
"""Illustrations, remarks, working, names of functions and of terms: another letter or digit may say the same there, and
a power times a bracket is zero where the name is."""

_OPPOSITE = {"+": "-", "-": "+"}
_UNITS = {
    **{"cm": "m", "m": "cm", "inches": "feet", "feet": "inches", "meters": "feet", "miles": "feet"},
    **{"minutes": "hours", "hours": "minutes", "seconds": "minutes", "days": "hours"},
    **{"degrees": "radians", "cents": "dollars", "dollars": "cents"},
}


def _one(pattern: str, replacement: str, where: re.Pattern[str] | None = None) -> Change:
    """The text with one match changed, outside of words; "" where none is, or the text is vague."""
    compiled = re.compile(pattern)

    def change(gold: str, random: Random) -> str:
        found = _matches(compiled, gold)
        if not found or not is_formula(gold) or _VAGUE.search(gold) or (where and not where.search(gold)):
            return ""
        one = random.choice(found)
        return gold[: one.start()] + one.expand(replacement) + gold[one.end() :]

    return change


def _matches(pattern: re.Pattern[str], gold: str) -> list[re.Match[str]]:
    """Matches that begin outside of words, commands and names of environments."""
    inside = {place for text in _TEXT.finditer(gold) for place in range(text.start() + 1, text.end())}
    return [found for found in pattern.finditer(gold) if found.start() not in inside]


def _digit(gold: str, random: Random) -> str:
    # Any even power of minus one is one, and a multiple of zero is zero.
    if not is_formula(gold) or _VAGUE.search(gold) or re.search(r"-1\)?\^|(?<!\d)[01]\^|\^ ?\{?0", gold):
        return ""
    found = _matches(re.compile(r"\d"), gold)
    if not found:
        return ""
    place = random.choice(found).start()
    others = [digit for digit in "123456789" if digit != gold[place]]
    return gold[:place] + random.choice(others) + gold[place + 1 :]


def _number(changed: str) -> Change:
    """A template of a whole number, on a gold answer that is one."""
    return lambda gold, _: changed.format(gold, int(gold)) if is_whole(gold) and int(gold) > 1 else ""


def _negated(gold: str, _: Random) -> str:
    if not is_value(gold) or re.fullmatch(r"-?[0.]+", gold) or len(terms(gold)) > 1:
        return ""
    return gold[1:] if gold[0] == "-" else f"-{gold}"


def _sign(gold: str, random: Random) -> str:
    found = terms(gold)
    if not found or re.search(r"(?<!\d)0(?!\d)|\\infty", gold):
        return ""
    place = random.randrange(1, len(found))
    found[place] = _OPPOSITE[found[place][0]] + found[place][1:]
    return joined(found)


_LETTER = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z](?![a-zA-Z])")


def _letters(gold: str) -> list[re.Match[str]]:
    """Single letters of an expression in which every letter stands for itself."""
    plain = is_expression(gold) and not _VAGUE.search(gold) and not re.search(r"\\pi ?[j-n]|[j-n] ?\\pi|C", gold)
    return _matches(_LETTER, gold) if plain and not re.fullmatch(r"\W*\w\W*", gold) else []


def _letter(gold: str, random: Random) -> str:
    found = _letters(gold)
    if not found:
        return ""
    one = random.choice(found)
    other = random.choice([letter for letter in "abcmpqrstuvwyz" if letter not in gold.lower()])
    return gold[: one.start()] + other + gold[one.end() :]


def _case(gold: str, random: Random) -> str:
    found = [one for one in _letters(gold) if one[0].swapcase() not in gold and one[0] not in "Ie"]
    if not found:
        return ""
    one = random.choice(found)
    return gold[: one.start()] + one[0].swapcase() + gold[one.end() :]


def _members(gold: str) -> tuple[str, list[str], str]:
    """Members of a tuple, a set or a list that are different, and the brackets around them."""
    for brackets in (("(", ")"), (r"\{", r"\}"), ("", "")):
        found = members(gold, *brackets)
        if found and len(set(found)) == len(found):
            return brackets[0], found, brackets[1]
    return "", [], ""


def _order(gold: str, random: Random) -> str:
    opening, found, closing = _members(gold)
    # Named members say their order themselves.
    if opening != "(" or "=" in gold:
        return ""
    one, two = random.sample(range(len(found)), 2)
    found[one], found[two] = found[two], found[one]
    return f"({', '.join(found)}{closing}"


def _dropped(gold: str, random: Random) -> str:
    opening, found, closing = _members(gold)
    if not found or "=" in gold:
        return ""
    found.pop(random.randrange(len(found)))
    return opening + ", ".join(found) + closing


def _added(gold: str, _: Random) -> str:
    opening, found, closing = _members(gold)
    more = "97" if all(NUMBER.fullmatch(member) for member in found) else found[0] + "+97" if found else ""
    return opening + ", ".join([*found, more]) + closing if found and "=" not in gold else ""


_ENDS = re.compile(r"[(\[](?= ?[^-\\(\[]| ?-\d| ?-?\\frac)|(?<!infty)(?<!infty )(?<!right)[)\]]")


def _end(gold: str, random: Random) -> str:
    """An interval with one end open for closed; only of texts that must be intervals."""
    if not re.search(r"\\infty|\[[^\[\]()]*\)|\([^\[\]()]*\]", gold) or not is_formula(gold):
        return ""
    ends = _ENDS.finditer(gold)
    found = [one for one in ends if not re.search(r"(?:[a-zA-Z}]|\d) ?\Z", gold[: one.start()]) or one[0] in ")]"]
    if not found or gold.count("(") + gold.count("[") > 1 + gold.count(r"\cup"):
        return ""
    one = random.choice(found)
    return gold[: one.start()] + {"(": "[", "[": "(", ")": "]", "]": ")"}[one[0]] + gold[one.end() :]


def _unit(gold: str, _: Random) -> str:
    found = re.fullmatch(r"(-?[\d.,]+ ?(?:\\[,; ] ?)*\\(?:text|mbox|mathrm) ?\{ ?)([a-z]+)( ?\}.*)", gold)
    return found[1] + _UNITS[found[2]] + found[3] if found and found[2] in _UNITS else ""


def _word(gold: str, _: Random) -> str:
    return rf"\text{{not {said}}}" if (said := phrase(gold)) else ""


def _choice(gold: str, random: Random) -> str:
    found = re.fullmatch(r"(\\text ?\{ ?)?(\(?)([A-E])(\)?)(\}?)", gold)
    return gold.replace(found[3], random.choice([c for c in "ABCDE" if c != found[3]])) if found else ""


def _on(holds: Callable[[str], bool], template: str) -> Change:
    """A template of the text, where a test of it holds."""
    return lambda gold, _: template.replace("GOLD", gold) if holds(gold) else ""


def _is_finite(gold: str) -> bool:
    """Whether a gold answer is a value that is hardly zero: an unevaluated sum of numbers may be."""
    zero = r"[-0.]+|\W*[A-Z]\W*|[\d.+*/() -]*\d ?[+(-][\d.+*/() -]*"
    return is_expression(gold) and r"\infty" not in gold and not re.fullmatch(zero, gold)


KINDS = (
    Kind("one digit", "a digit says what the value is", _digit),
    Kind(
        "last digit dropped",
        "the value is a tenth",
        lambda gold, _: gold[:-1] if is_whole(gold) and abs(int(gold)) > 9 else "",
    ),
    Kind("digit added", "the value is ten times as large", _number("{0}3")),
    Kind("zero added", "the value is ten times as large", _number("{0}0")),
    Kind("decimals added", "the value is larger", _number("{0}.5")),
    Kind(
        "point moved",
        "the value is a tenth",
        lambda gold, _: re.sub(r"(\d)\.(\d)", r".\1\2", gold) if re.fullmatch(r"-?\d\.\d+", gold) else "",
    ),
    Kind(
        "factorial", "n! is n for 1 and 2 only", lambda gold, _: f"{gold}!" if is_whole(gold) and int(gold) > 2 else ""
    ),
    Kind("power of a number", "the value is a square", _number("{0}^2")),
    Kind("root of a number", "the value is a root", _number(r"\sqrt{{{0}}}")),
    Kind("reciprocal", "the value is 1/n", _number(r"\frac{{1}}{{{0}}}")),
    Kind("mixed number of a whole one", "the value is larger", _number(r"{0}\frac{{1}}{{2}}")),
    Kind("multiple of pi", "the value is another", _number(r"{0}\pi")),
    Kind("imaginary unit", "the value is imaginary", _number("{0}i")),
    Kind("sign of the value", "the value is not zero", _negated),
    Kind("sign of a term", "the term is not zero", _sign),
    Kind(
        "plus or minus",
        "two values for one",
        _on(lambda gold: is_value(gold) and _is_finite(gold) and gold[0] != "-", r"\pm GOLD"),
    ),
    Kind("one of two values", "one value for two", _one(r"\\pm ?", "")),
    Kind("one letter", "a letter names something", _letter),
    Kind("case of a letter", "symbols keep their case", _case),
    Kind("order of a tuple", "a tuple has an order", _order),
    Kind("member dropped", "a set lacks a member", _dropped),
    Kind("member added", "a set has another member", _added),
    Kind("end of an interval", "the end belongs to it or not", _end),
    Kind("sign of infinity", "the other end of the line", _one(r"(?<![-+])\\infty", r"-\\infty")),
    Kind("strict inequality", "the end belongs to it or not", _one(r"\\(?:leq?|leqslant)(?![a-zA-Z])", "<")),
    Kind("weak inequality", "the end belongs to it or not", _one("<(?!=)", r"\\leq ")),
    Kind("direction of an inequality", "the other side", _one("<(?!=)", ">", re.compile(r"\A[^<>]*<[^<>]*\Z"))),
    Kind("equation denied", "the value is excluded", _one("=", r"\\neq ")),
    Kind("intersection", "not the union", _one(r"\\cup(?![a-zA-Z])", r"\\cap")),
    Kind("other exponent", "another power", _one(r"(?<=[a-z])\^(?:2|\{2\})(?!\d)", "^{3}")),
    Kind("negative exponent", "the reciprocal", _one(r"(?<=[a-z])\^(?:([2-9])|\{([2-9])\})", r"^{-\1\2}")),
    Kind(
        "exponent added",
        "another power",
        _one(r"(?<![\\a-zA-Z])[a-df-z](?![\w^a-zA-Z(])", r"\g<0>^2", re.compile(r"[-+]")),
    ),
    Kind("factor added", "twice the value", _on(lambda gold: _is_finite(gold) and not is_whole(gold), r"2(GOLD)")),
    Kind("summand added", "the value is larger", _on(_is_finite, r"GOLD+1")),
    Kind("divisor added", "half the value", _on(_is_finite, r"\frac{GOLD}{2}")),
    Kind(
        "squared",
        "values other than zero and one change",
        _on(lambda gold: _is_finite(gold) and gold not in "1", r"(GOLD)^2"),
    ),
    Kind("pi dropped", "the factor is not one", _one(r"(?<=\d) ?\\pi(?![a-zA-Z])", "")),
    Kind("root dropped", "a number is not its root", _one(r"\\sqrt\{(?!1\})(\d+)\}", r"\1")),
    Kind("imaginary unit dropped", "a real number is not imaginary", _one(r"(?<=\d)i(?![a-zA-Z])", "")),
    Kind("fraction inverted", "the reciprocal", _one(r"\\frac\{(\d+)\}\{((?!\1\})\d+)\}", r"\\frac{\2}{\1}")),
    Kind("other function", "sine is not cosine", _one(r"\\sin(?![a-zA-Z])", r"\\cos")),
    Kind(
        "other base",
        "the digits mean another number",
        lambda gold, _: re.sub(r"_\{?\d\}?$", "_{9}", gold) if re.fullmatch(r"\d{2,}_ ?\{?[2-8]\}?", gold) else "",
    ),
    Kind("other unit", "another length, time or amount", _unit),
    Kind(
        "radians",
        "degrees are no radians",
        lambda gold, _: (
            re.sub(r" ?\^ ?\{?\\circ\}?", r" \\text{ radians}", gold)
            if re.fullmatch(r"[1-9]\d* ?\^ ?\{?\\circ\}?", gold)
            else ""
        ),
    ),
    Kind("denied word", "a denial", _word),
    Kind("other choice", "another option", _choice),
    Kind("second answer", "two answers for one", _on(is_whole, r"GOLD \text{ or } 97")),
    Kind("denied answer", "the value is excluded", _on(is_whole, r"\text{not } GOLD")),
    Kind("bounded answer", "a bound is no value", _on(is_whole, r"\leq GOLD")),
)
