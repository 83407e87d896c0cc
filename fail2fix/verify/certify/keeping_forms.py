r"""Re-spellings of a gold answer that write the same value in another form: fractions, numbers, orders, sets, units."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from random import Random

from fail2fix.verify.certify.pieces import (
    NUMBER,
    Kind,
    framed,
    is_formula,
    is_value,
    is_whole,
    joined,
    members,
    outer,
    replaced,
    terms,
)

_FRAC = r"\\[dt]?frac(?![a-zA-Z])"
_INTEGERS = re.compile(rf"(-?)(?:{_FRAC} ?\{{(-?\d+)\}} ?\{{(\d+)\}}|(\d+)/(\d+))")
_SIDES = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
_FRACTION = rf"{_FRAC} ?{_SIDES} ?{_SIDES}"
_UNIT = re.compile(r"(?P<value>-?[\d.,]+|-?\\frac\{\d+\}\{\d+\}) ?(?:\\[,; ] ?)*\\(?:text|mbox|mathrm) ?\{ ?(?P<unit>[a-z ]{1,20}?) ?\}")
_MONEY = re.compile(r"\\\$ ?(\d+(?:,\d{3})*(?:\.\d\d)?)")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?) ?\^ ?(?:\\circ|\{\\circ\})")
_PERCENT = re.compile(r"(-?\d+(?:\.\d+)?) ?\\?%")
_CHOICE = re.compile(r"(?:\\text ?\{ ?)?\(?([A-J])\)?\}?")
_INTERVAL = re.compile(r"(?:\\left)? ?([(\[]) ?([^,\[\]()]+), ?([^,\[\]()]+?) ?(?:\\right)? ?([)\]])")
_RANGE = re.compile(r"([a-z])( ?)(\\leq?(?![a-zA-Z])|\\geq?(?![a-zA-Z])|[<>])( ?)([^<>=,\\]|-?\d+|-?\\frac\{\d+\}\{\d+\})")
_MIRRORED = {"<": ">", ">": "<", r"\le": r"\ge", r"\leq": r"\geq", r"\ge": r"\le", r"\geq": r"\leq"}
_SIGNS = {"(": "<", ")": "<", "[": r"\leq", "]": r"\leq"}
_EQUATION = re.compile(r"([a-zA-Z]) ?= ?(.+)")
_ROUNDS_UP = re.compile(r"-?\d+\.\d*[1-9]")


def _matched(pattern: re.Pattern[str], spelled: Callable[[re.Match[str]], str]) -> Callable[[str, Random], str]:
    """The text as another one, where it is of this form as a whole."""

    def change(gold: str, _: Random) -> str:
        found = pattern.fullmatch(gold.strip())
        return spelled(found) if found else ""

    return change


def _exact(gold: str) -> Fraction | None:
    """The value of a decimal or a reduced fraction of integers."""
    if NUMBER.fullmatch(gold):
        return Fraction(gold)
    found = _INTEGERS.fullmatch(gold)
    if not found:
        return None
    top, bottom = int(found[2] or found[4]), int(found[3] or found[5])
    if bottom == 0 or math.gcd(top, bottom) > 1 or (found[1] and top < 0):
        return None
    return Fraction(top, bottom) * (-1 if found[1] else 1)


def _of_value(spelled: Callable[[Fraction], str]) -> Callable[[str, Random], str]:
    return lambda gold, _: spelled(value) if (value := _exact(gold)) is not None else ""


def _is_decimal(value: Fraction) -> bool:
    return 10**6 % value.denominator == 0 and value.denominator > 1


def _decimal(value: Fraction) -> str:
    return f"{float(value):.6f}".rstrip("0") if _is_decimal(value) and abs(value) < 10**6 else ""


def _fraction(value: Fraction) -> str:
    sign = "-" if value < 0 else ""
    return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}" if value.denominator > 1 else ""


def _mixed(value: Fraction) -> str:
    whole, part = divmod(abs(value), 1)
    sign = "-" if value < 0 else ""
    return rf"{sign}{whole}\frac{{{part.numerator}}}{{{part.denominator}}}" if whole and part else ""


def _power_of_ten(value: Fraction) -> str:
    digits = str(value)
    zeros = len(digits) - len(digits.rstrip("0"))
    return rf"{digits[:-zeros]} \times 10^{{{zeros}}}" if value.denominator == 1 and value and zeros > 2 else ""


def _grouped(comma: str) -> Callable[[str, Random], str]:
    def change(gold: str, _: Random) -> str:
        return f"{int(gold):,}".replace(",", comma) if is_whole(gold) and abs(int(gold)) >= 1000 and gold.lstrip("-")[0] != "0" else ""

    return change


def _percent(value: Fraction) -> str:
    return _decimal(100 * value).rstrip(".") + r"\%" if 0 < value < 1 and _is_decimal(100 * value) else ""


def _reversed(opening: str = "", closing: str = "", between: str = ", ") -> Callable[[str, Random], str]:
    def change(gold: str, _: Random) -> str:
        found = members(gold, opening, closing)
        return opening + between.join(reversed(found)) + closing if len(set(found)) > 1 else ""

    return change


def _listed(between: str, last: str) -> Callable[[str, Random], str]:
    def change(gold: str, _: Random) -> str:
        found = members(gold)
        return between.join(found[:-1]) + last + found[-1] if found else ""

    return change


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


def _union_reversed(gold: str, _: Random) -> str:
    parts = outer(gold, r"\\cup")
    # Brackets of different shape say nothing about depth: only two plain intervals or sets.
    parts = re.split(r"\\cup(?![a-zA-Z])", gold) if len(parts) < 2 else parts
    return r" \cup ".join(part.strip() for part in reversed(parts)) if len(parts) > 1 and is_formula(gold) else ""


def _inequality(gold: str, _: Random) -> str:
    """A text that must be an interval as inequality: `(1,2)` may be a point."""
    found = _INTERVAL.fullmatch(gold)
    if not found or not is_formula(gold) or (found[1] + found[4] in ("()", "[]") and r"\infty" not in gold):
        return ""
    start, end = found[2].strip(), found[3].strip()
    before = "" if r"\infty" in start else f"{start} {_SIGNS[found[1]]} "
    after = "" if r"\infty" in end else f" {_SIGNS[found[4]]} {end}"
    return f"{before}x{after}" if before or after else ""


def _mirrored(found: re.Match[str]) -> str:
    return f"{found[5]} {_MIRRORED[found[3]]} {found[1]}"


def _sides_swapped(gold: str, _: Random) -> str:
    sides = outer(gold, "=")
    plain = len(sides) == 2 and is_formula(gold) and not re.search(r"[<>:,]|\\(?:approx|leq?|geq?|text|pmod)|\(\w\) ?=", gold)
    return f"{sides[1].strip()} = {sides[0].strip()}" if plain and re.search(r"[a-z].*[a-z]", sides[0]) else ""


def _chosen(said: str, found: re.Match[str]) -> str:
    """The letter of a choice in place of the A of a template."""
    return said.replace("A", found[1])


_BASED = re.compile(r"(\d+)_ ?\{?(\d{1,2})\}?")

KINDS = (
    *(
        Kind(name, "the size of a fraction says nothing", replaced(_FRAC, rf"\\{name}"))
        for name in ("dfrac", "tfrac", "cfrac")
    ),
    Kind("over", "the infix form of a fraction", replaced(_FRACTION, r"{\1 \\over \2}")),
    Kind("fraction without braces", "one digit needs no braces", replaced(rf"{_FRAC}\{{(\d)\}}\{{(\d)\}}", r"\\frac\1\2")),
    Kind("fraction with half its braces", "one digit needs no braces", replaced(rf"{_FRAC}\{{(\d)\}}\{{", r"\\frac\1{")),
    Kind("fraction with blanks", "blanks before braces say nothing", replaced(_FRACTION, r"\\frac {\1} {\2}")),
    Kind("slash", "a fraction of integers in a line", _matched(_INTEGERS, lambda m: f"{m[1]}{m[2] or m[4]}/{m[3] or m[5]}")),
    Kind("slash of sides", "a fraction in a line", replaced(rf"\A{_FRACTION}\Z", r"(\1)/(\2)")),
    Kind("sign in the numerator", "-(a/b) is (-a)/b", replaced(rf"\A-{_FRAC}\{{(\d+)\}}", r"\\frac{-\1}")),
    Kind("sign before the fraction", "(-a)/b is -(a/b)", replaced(rf"\A{_FRAC}\{{-(\d+)\}}", r"-\\frac{\1}")),
    Kind("decimal of a fraction", "the same value, exactly", _of_value(_decimal)),
    Kind("fraction of a decimal", "the same value, in lowest terms", lambda gold, _: _fraction(Fraction(gold)) if _ROUNDS_UP.fullmatch(gold) else ""),
    Kind("mixed number", "a whole number and a fraction", _of_value(_mixed)),
    Kind("percent of a share", "p percent is p/100", _of_value(_percent)),
    Kind("power of ten", "the same value in scientific form", _of_value(_power_of_ten)),
    Kind("zeros behind the point", "zeros at the end of a decimal", lambda gold, _: f"{gold}.00" if is_whole(gold) else ""),
    Kind("zero at the end", "zeros at the end of a decimal", lambda gold, _: f"{gold}0" if _ROUNDS_UP.fullmatch(gold) else ""),
    Kind("no zero before the point", "a point begins a decimal", replaced(r"\A(-?)0\.(?=\d)", r"\1.")),
    Kind("zero before the point", "a point begins a decimal", replaced(r"\A(-?)\.(?=\d)", r"\g<1>0.")),
    Kind("plus", "the sign of a positive number", framed("+", "", lambda gold: bool(NUMBER.fullmatch(gold)) and gold[0] not in "-0")),
    *(Kind(f"thousands{c!r}", "groups of three digits", _grouped(c)) for c in (",", "{,}", r"\,", r",\!", " ")),
    Kind("no thousands", "groups of three digits", _matched(re.compile(r"-?\d{1,3}(?:(?:,|\{,\}|,\\!)\d{3})+"), lambda m: re.sub(r"[^\d-]", "", m[0]))),
    Kind("name in front", "it names the value", framed("x = ", "", is_value)),
    Kind("letter of Greek in front", "it names the value", framed(r"\theta = ", "", is_value)),
    Kind("words in front", "they name the value", framed(r"\text{Area} = ", "", is_value)),
    Kind("no name in front", "it only names the value", _matched(_EQUATION, lambda m: m[2] if is_value(m[2]) else "")),
    Kind("terms reversed", "a sum has no order", _sum_reversed),
    Kind("terms rotated", "a sum has no order", _sum_rotated),
    Kind("minus the opposite", "a-b is -(b-a)", _sum_negated),
    Kind("root before its coefficient", "a product has no order", replaced(r"\A(\d+) ?(\\sqrt\{\d+\})\Z", r"\2 \\cdot \1")),
    Kind("pi before its coefficient", "a product has no order", replaced(r"\A(\d+) ?\\pi\Z", r"\\pi \\cdot \1")),
    Kind("fraction before a factor", "(ab)/c is (1/c) ab", replaced(rf"\A{_FRAC}\{{(\\pi|\\sqrt\{{\d+\}}|[a-z])\}}\{{(\d+)\}}\Z", r"\\frac{1}{\2}\1")),
    Kind("coefficient before the fraction", "(a b)/c is (a/c) b", replaced(rf"\A{_FRAC}\{{(\d+) ?(\\pi|\\sqrt\{{\d+\}}|[a-z])\}}\{{(\d+)\}}\Z", r"\\frac{\1}{\3}\2")),
    Kind("coefficient in the fraction", "(a/c) b is (a b)/c", replaced(rf"\A{_FRAC}\{{(\d+)\}}\{{(\d+)\}} ?(\\pi|\\sqrt\{{\d+\}}|[a-z])\Z", r"\\frac{\1\3}{\2}")),
    Kind("root as power", "a square root is a power of one half", replaced(r"\A\\sqrt\{(\d+|[a-z])\}\Z", r"\1^{1/2}")),
    Kind("root without braces", "one digit needs no braces", replaced(r"\\sqrt\{(\d)\}", r"\\sqrt\1")),
    Kind("root with braces", "one digit needs no braces", replaced(r"\\sqrt ?(\d)", r"\\sqrt{\1}")),
    Kind("root of programs", "a root in ASCII", replaced(r"\\sqrt\{(\w+)\}", r"sqrt(\1)")),
    Kind("pi of programs", "a name in ASCII", replaced(r"(?<=\d)\\pi(?![a-zA-Z])", "*pi")),
    Kind("power with braces", "one digit needs no braces", replaced(r"\^(\w)(?!\w)", r"^{\1}")),
    Kind("power without braces", "one digit needs no braces", replaced(r"\^\{(\w)\}", r"^\1")),
    Kind("power of programs", "a power in ASCII", replaced(r"(?<=[a-z)])\^(?:(\d)|\{(\d)\})", r"**\1\2")),
    Kind("subscript with braces", "one digit needs no braces", replaced(r"_(\w)(?!\w)", r"_{\1}")),
    Kind("subscript without braces", "one digit needs no braces", replaced(r"_\{(\w)\}(?!\w)", r"_\1")),
    Kind("functions of brackets", "brackets around an argument", replaced(r"\\(sin|cos|tan|ln|log) ([a-z])(?![\w(^])", r"\\\1(\2)")),
    Kind("functions of braces", "braces around an argument", replaced(r"\\(sin|cos|tan|ln|log) ([a-z])(?![\w(^])", r"\\\1{\2}")),
    Kind("list reversed", "several values have no order", _reversed()),
    Kind("list with and", "a conjunction ends a list", _listed(", ", r" \text{ and } ")),
    Kind("list with or", "a conjunction ends a list", _listed(", ", r" \text{ or } ")),
    Kind("list with semicolons", "another separator", _listed("; ", "; ")),
    Kind("list with wide spaces", "spaces in a list say nothing", _listed(r",\quad ", r",\quad ")),
    Kind("set reversed", "a set has no order", _reversed(r"\{", r"\}")),
    Kind("set as list", "the members are the answer", lambda gold, _: ", ".join(members(gold, r"\{", r"\}"))),
    Kind("union reversed", "a union has no order", _union_reversed),
    Kind("inequality of an interval", "the same set", _inequality),
    Kind("inequality mirrored", "a < b is b > a", _matched(_RANGE, _mirrored)),
    Kind("sides swapped", "an equation has no order", _sides_swapped),
    Kind("square brackets of a matrix", "two shapes of brackets", replaced(r"\\(begin|end) ?\{pmatrix\}", r"\\\1{bmatrix}")),
    Kind("no unit", "the problem states the unit", _matched(_UNIT, lambda m: m["value"])),
    Kind("unit in roman", "the font of a unit says nothing", _matched(_UNIT, lambda m: rf"{m['value']}\ \mathrm{{{m['unit']}}}")),
    Kind("unit in text", "the font of a unit says nothing", _matched(_UNIT, lambda m: rf"{m['value']} \text{{ {m['unit']}}}")),
    Kind("unit in words", "a unit outside of commands", _matched(_UNIT, lambda m: f"{m['value']} {m['unit']}")),
    Kind("unit added", "the gold answer leaves the unit to the problem", framed("", r" \text{ units}", is_whole)),
    Kind("degrees with braces", "the sign in braces", _matched(_DEGREES, lambda m: rf"{m[1]}^{{\circ}}")),
    Kind("degrees of Unicode", "the same sign in Unicode", _matched(_DEGREES, lambda m: f"{m[1]}°")),
    Kind("degrees in words", "the unit's name", _matched(_DEGREES, lambda m: rf"{m[1]} \text{{ degrees}}")),
    Kind("no degrees", "the problem states the unit", _matched(_DEGREES, lambda m: m[1])),
    Kind("percent without backslash", "the same sign", _matched(_PERCENT, lambda m: f"{m[1]}%")),
    Kind("percent in words", "the sign's name", _matched(_PERCENT, lambda m: rf"{m[1]}\text{{ percent}}")),
    Kind("no percent", "the problem asks for percent", _matched(_PERCENT, lambda m: m[1])),
    Kind("no dollar", "the problem states the unit", _matched(_MONEY, lambda m: m[1])),
    Kind("dollars in words", "the sign's name", _matched(_MONEY, lambda m: rf"{m[1]} \text{{ dollars}}")),
    Kind("dollar and blank", "blanks say nothing", _matched(_MONEY, lambda m: rf"\$ {m[1]}")),
    Kind("base in braces", "one digit needs no braces", _matched(_BASED, lambda m: f"{m[1]}_{{{m[2]}}}")),
    Kind("base in text", "the font of a base says nothing", _matched(_BASED, lambda m: rf"{m[1]}_{{\text{{{m[2]}}}}}")),
    Kind("digits in brackets", "brackets around digits", _matched(_BASED, lambda m: rf"({m[1]})_{{{m[2]}}}")),
    *(Kind(f"choice as {said}", "the same option", _matched(_CHOICE, partial(_chosen, said)))
      for said in ("A", "(A)", r"\text{A}", r"\text{(A)}", r"\textbf{(A)}", r"\mathrm{A}", "A.")),
)  # fmt: skip
