r"""Re-spellings of a gold answer that write one value in another form: sums, roots, powers, lists, sets, equations."""

from __future__ import annotations

import re
from random import Random

from fail2fix.verify.certify.pieces import (
    Change,
    Kind,
    framed,
    is_formula,
    is_value,
    joined,
    matched,
    members,
    outer,
    replaced,
    terms,
)

_FRAC = r"\\[dt]?frac(?![a-zA-Z])"
_FACTOR = r"(\\pi|\\sqrt\{\d+\}|[a-z])"
_INTERVAL = re.compile(r"(?:\\left)? ?([(\[]) ?([^,\[\]()]+), ?([^,\[\]()]+?) ?(?:\\right)? ?([)\]])")
_ENDS = {"(": "<", ")": "<", "[": r"\leq", "]": r"\leq"}
_RANGE = r"([a-z]) ?(\\leq?(?![a-zA-Z])|\\geq?(?![a-zA-Z])|[<>]) ?([^<>=,\\ ]|-?\d+|-?\\frac\{\d+\}\{\d+\})"
_MIRRORED = {"<": ">", ">": "<", r"\le": r"\ge", r"\leq": r"\geq", r"\ge": r"\le", r"\geq": r"\leq"}
_MORE_THAN_SIDES = re.compile(r"[<>:,]|\\(?:approx|leq?|geq?|text|pmod|begin)|\(\w\) ?=")


def _sum_reversed(gold: str, _: Random) -> str:
    found = terms(gold)
    return joined(found[::-1]) if found else ""


def _sum_rotated(gold: str, _: Random) -> str:
    found = terms(gold)
    return joined([*found[1:], found[0]]) if len(found) > 2 else ""


def _sum_negated(gold: str, _: Random) -> str:
    found = terms(gold)
    opposite = [part[1:] if part[0] == "-" else f"-{part.removeprefix('+')}" for part in found]
    return f"-({joined(opposite)})" if len(found) == 2 and found[1][0] == "-" and found[0][0] != "-" else ""


def _reversed(opening: str = "", closing: str = "") -> Change:
    def change(gold: str, _: Random) -> str:
        found = members(gold, opening, closing)
        return opening + ", ".join(reversed(found)) + closing if len(set(found)) > 1 else ""

    return change


def _listed(between: str, last: str) -> Change:
    def change(gold: str, _: Random) -> str:
        found = members(gold)
        return between.join(found[:-1]) + last + found[-1] if found else ""

    return change


def _union_reversed(gold: str, _: Random) -> str:
    parts = re.split(r"\\cup(?![a-zA-Z])", gold)
    return r" \cup ".join(part.strip() for part in reversed(parts)) if len(parts) > 1 and is_formula(gold) else ""


def _inequality(gold: str, _: Random) -> str:
    """A text that must be an interval as inequality: `(1,2)` may be a point."""
    found = _INTERVAL.fullmatch(gold)
    if not found or not is_formula(gold) or (found[1] + found[4] in ("()", "[]") and r"\infty" not in gold):
        return ""
    start, end = found[2].strip(), found[3].strip()
    before = "" if r"\infty" in start else f"{start} {_ENDS[found[1]]} "
    after = "" if r"\infty" in end else f" {_ENDS[found[4]]} {end}"
    return f"{before}x{after}" if before or after else ""


def _mirrored(found: re.Match[str]) -> str:
    return f"{found[3]} {_MIRRORED[found[2]]} {found[1]}"


def _sides_swapped(gold: str, _: Random) -> str:
    """An equation of two names or more. `x = 5` names a value."""
    sides = outer(gold, "=")
    names = len(sides) == 2 and re.search(r"[a-z].*[a-z]", re.sub(r"\\[a-zA-Z]+|_\{?\w+\}?", "", sides[0]))
    plain = is_formula(gold) and not _MORE_THAN_SIDES.search(gold)
    return f"{sides[1].strip()} = {sides[0].strip()}" if names and plain else ""


def _named(found: re.Match[str]) -> str:
    return found[1] if is_value(found[1]) else ""


PRODUCTS = (
    Kind("name in front", "it names the value", framed("x = ", "", is_value)),
    Kind("letter of Greek in front", "it names the value", framed(r"\theta = ", "", is_value)),
    Kind("words in front", "they name the value", framed(r"\text{Area} = ", "", is_value)),
    Kind("no name in front", "it only names the value", matched(r"[a-zA-Z] ?= ?(.+)", _named)),
    Kind("terms reversed", "a sum has no order", _sum_reversed),
    Kind("terms rotated", "a sum has no order", _sum_rotated),
    Kind("minus the opposite", "a-b is -(b-a)", _sum_negated),
    Kind("root in front", "a product has no order", matched(r"(\d+) ?(\\sqrt\{\d+\})", r"\2 \\cdot \1")),
    Kind("pi in front", "a product has no order", matched(r"(\d+) ?\\pi", r"\\pi \\cdot \1")),
    Kind("one in the fraction", "a/c is (1/c) a", matched(rf"{_FRAC}\{{{_FACTOR}\}}\{{(\d+)\}}", r"\\frac{1}{\2}\1")),
    Kind(
        "factor after the fraction",
        "(a b)/c is (a/c) b",
        matched(rf"{_FRAC}\{{(\d+) ?{_FACTOR}\}}\{{(\d+)\}}", r"\\frac{\1}{\3}\2"),
    ),
    Kind(
        "factor in the fraction",
        "(a/c) b is (a b)/c",
        matched(rf"{_FRAC}\{{(\d+)\}}\{{(\d+)\}} ?{_FACTOR}", r"\\frac{\1\3}{\2}"),
    ),
)
POWERS = (
    Kind("root as power", "a square root is a power of one half", matched(r"\\sqrt\{(\d+|[a-z])\}", r"\1^{1/2}")),
    Kind("root without braces", "a digit needs none", replaced(r"\\sqrt\{(\d)\}", r"\\sqrt\1")),
    Kind("root with braces", "a digit needs none", replaced(r"\\sqrt ?(\d)", r"\\sqrt{\1}")),
    Kind("root of programs", "a root in ASCII", replaced(r"(?<![a-zA-Z])\\sqrt\{(\w+)\}", r"sqrt(\1)")),
    Kind("pi of programs", "a name in ASCII", replaced(r"(?<=\d)\\pi(?![a-zA-Z])(?! ?\\sqrt)", "*pi")),
    Kind("power with braces", "a digit needs none", replaced(r"\^(\w)(?!\w)", r"^{\1}")),
    Kind("power without braces", "a digit needs none", replaced(r"\^\{(\w)\}", r"^\1")),
    Kind("power of programs", "a power in ASCII", replaced(r"(?<=[a-z)])\^(?:(\d)|\{(\d)\})", r"**\1\2")),
    Kind("subscript with braces", "a digit needs none", replaced(r"_(\w)(?!\w)", r"_{\1}")),
    Kind("subscript without braces", "a digit needs none", replaced(r"_\{(\w)\}(?!\w)", r"_\1")),
    *(
        Kind(
            f"argument in {name}", "it encloses an argument", replaced(r"\\(sin|cos|tan|ln|log) ([a-z])(?![\w(^])", to)
        )
        for name, to in (("brackets", r"\\\1(\2)"), ("braces", r"\\\1{\2}"))
    ),
)
SETS = (
    Kind("list reversed", "several values have no order", _reversed()),
    Kind("list with and", "a conjunction ends a list", _listed(", ", r" \text{ and } ")),
    Kind("list with or", "a conjunction ends a list", _listed(", ", r" \text{ or } ")),
    Kind("list with semicolons", "another separator", _listed("; ", "; ")),
    Kind("list with wide spaces", "spaces in a list say nothing", _listed(r",\quad ", r",\quad ")),
    Kind("set reversed", "a set has no order", _reversed(r"\{", r"\}")),
    Kind("set as list", "the members are the answer", lambda gold, _: ", ".join(members(gold, r"\{", r"\}"))),
    Kind("union reversed", "a union has no order", _union_reversed),
    Kind("inequality of an interval", "the same set", _inequality),
    Kind("inequality mirrored", "a < b is b > a", matched(_RANGE, _mirrored)),
    Kind("sides swapped", "an equation has no order", _sides_swapped),
    Kind("bmatrix", "two shapes of brackets", lambda gold, _: gold.replace("pmatrix", "bmatrix")),
)
KINDS = (*PRODUCTS, *POWERS, *SETS)
