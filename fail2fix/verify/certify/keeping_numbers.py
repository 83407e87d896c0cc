r"""Re-spellings of a gold answer that is a number: fractions, decimals, mixed numbers, units, percent, choices."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction

from fail2fix.verify.certify.pieces import NUMBER, Change, Kind, framed, is_whole, matched, replaced

_FRAC = r"\\[dt]?frac(?![a-zA-Z])"
_SIDES = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
_FRACTION = rf"{_FRAC} ?{_SIDES} ?{_SIDES}"
_INTEGERS = rf"(-?)(?:{_FRAC} ?\{{(-?\d+)\}} ?\{{(\d+)\}}|(\d+)/(\d+))"
_DECIMAL = re.compile(r"-?\d+\.\d*[1-9]")
_QUANTITY = r"-?[\d.,]+|-?\\frac\{\d+\}\{\d+\}"
_UNIT = rf"({_QUANTITY}) ?(?:\\[,; ] ?)*\\(?:text|mbox|mathrm) ?\{{ ?([a-z ]{{1,20}}?) ?\}}"
_MONEY = r"\\\$ ?(\d+(?:,\d{3})*(?:\.\d\d)?)"
_DEGREES = r"(\d+(?:\.\d+)?) ?\^ ?(?:\\circ|\{\\circ\})"
_PERCENT = r"(-?\d+(?:\.\d+)?) ?\\?%"
_BASED = r"(\d+)_ ?\{?(\d{1,2})\}?"
_CHOICE = r"(?:\\text ?\{ ?)?\(?([A-J])\)?\}?"
_GROUPED = r"-?\d{1,3}(?:(?:,|\{,\}|,\\!)\d{3})+"


def _of_value(spelled: Callable[[Fraction], str]) -> Change:
    """A spelling of the value of a decimal or of a fraction in lowest terms."""
    return lambda gold, _: spelled(value) if (value := _exact(gold)) is not None else ""


def _exact(gold: str) -> Fraction | None:
    if NUMBER.fullmatch(gold):
        return Fraction(gold)
    found = re.fullmatch(_INTEGERS, gold)
    if not found:
        return None
    top, bottom = int(found[2] or found[4]), int(found[3] or found[5])
    if bottom == 0 or math.gcd(top, bottom) > 1 or (found[1] and top < 0):
        return None
    return Fraction(top, bottom) * (-1 if found[1] else 1)


def _decimal(value: Fraction) -> str:
    ends = 10**6 % value.denominator == 0 and value.denominator > 1 and abs(value) < 10**6
    return f"{float(value):.6f}".rstrip("0") if ends else ""


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


def _percent(value: Fraction) -> str:
    share = 100 * value
    written = str(share) if share.denominator == 1 else _decimal(share)
    return rf"{written}\%" if 0 < value < 1 and written else ""


def _grouped(comma: str) -> Change:
    def change(gold: str, _: object) -> str:
        long = is_whole(gold) and abs(int(gold)) >= 1000 and gold.lstrip("-")[0] != "0"
        return f"{int(gold):,}".replace(",", comma) if long else ""

    return change


def _is_positive(gold: str) -> bool:
    return NUMBER.fullmatch(gold) is not None and gold[0] not in "-0"


def _is_decimal(gold: str) -> bool:
    return _DECIMAL.fullmatch(gold) is not None


def _in_line(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2] or found[4]}/{found[3] or found[5]}"


_FONTS = ("A", "(A)", r"\text{A}", r"\text{(A)}", r"\textbf{(A)}", r"\mathrm{A}", "A.")

FRACTIONS = (
    *(Kind(f"{size}", "its size says nothing", replaced(_FRAC, rf"\\{size}")) for size in ("dfrac", "tfrac", "cfrac")),
    Kind("over", "the infix form of a fraction", replaced(_FRACTION, r"{\1 \\over \2}")),
    Kind("frac without braces", "a digit needs none", replaced(rf"{_FRAC}\{{(\d)\}}\{{(\d)\}}", r"\\frac\1\2")),
    Kind("frac with half its braces", "a digit needs none", replaced(rf"{_FRAC}\{{(\d)\}}\{{", r"\\frac\1{")),
    Kind("frac with blanks", "blanks before braces say nothing", replaced(_FRACTION, r"\\frac {\1} {\2}")),
    Kind("slash", "a fraction of integers in a line", matched(_INTEGERS, _in_line)),
    Kind("slash of sides", "a fraction in a line", matched(_FRACTION, r"(\1)/(\2)")),
    Kind("sign above", "-(a/b) is (-a)/b", replaced(rf"\A-{_FRAC}\{{(\d+)\}}(?=\{{\d+\}}\Z)", r"\\frac{-\1}")),
    Kind("sign in front", "(-a)/b is -(a/b)", replaced(rf"\A{_FRAC}\{{-(\d+)\}}(?=\{{\d+\}}\Z)", r"-\\frac{\1}")),
    Kind("decimal of a fraction", "the same value, exactly", _of_value(_decimal)),
    Kind(
        "fraction of a decimal",
        "the same value, in lowest terms",
        lambda gold, _: _fraction(Fraction(gold)) if _is_decimal(gold) else "",
    ),
    Kind("mixed number", "a whole number and a fraction", _of_value(_mixed)),
    Kind("percent of a share", "p percent is p/100", _of_value(_percent)),
    Kind("power of ten", "the same value in scientific form", _of_value(_power_of_ten)),
)
DIGITS = (
    Kind("zeros after the point", "zeros at the end of a decimal", framed("", ".00", is_whole)),
    Kind("zero at the end", "zeros at the end of a decimal", framed("", "0", _is_decimal)),
    Kind("no zero before the point", "a point begins a decimal", replaced(r"\A(-?)0\.(?=\d+(?!\d|_| ?_))", r"\1.")),
    Kind("zero before the point", "a point begins a decimal", replaced(r"\A(-?)\.(?=\d)", r"\g<1>0.")),
    Kind("plus", "the sign of a positive number", framed("+", "", _is_positive)),
    *(Kind(f"thousands '{c}'", "groups of three digits", _grouped(c)) for c in (",", "{,}", r"\,", r",\!", " ")),
    Kind("no thousands", "groups of three", matched(_GROUPED, lambda found: re.sub(r"[^\d-]", "", found[0]))),
    Kind("base in braces", "a digit needs none", matched(_BASED, r"\1_{\2}")),
    Kind("base in text", "the font of a base says nothing", matched(_BASED, r"\1_{\\text{\2}}")),
    Kind("digits in brackets", "brackets around digits", matched(_BASED, r"(\1)_{\2}")),
)
UNITS = (
    Kind("no unit", "the problem states the unit", matched(_UNIT, r"\1")),
    Kind("unit in roman", "the font of a unit says nothing", matched(_UNIT, r"\1\\ \\mathrm{\2}")),
    Kind("unit in text", "the font of a unit says nothing", matched(_UNIT, r"\1 \\text{ \2}")),
    Kind("unit in words", "a unit outside of commands", matched(_UNIT, r"\1 \2")),
    Kind("unit added", "the gold answer leaves the unit to the problem", framed("", r" \text{ units}", is_whole)),
    Kind("degrees with braces", "the sign in braces", matched(_DEGREES, r"\1^{\\circ}")),
    Kind("degrees of Unicode", "the same sign in Unicode", matched(_DEGREES, r"\1°")),
    Kind("degrees in words", "the unit's name", matched(_DEGREES, r"\1 \\text{ degrees}")),
    Kind("no degrees", "the problem states the unit", matched(_DEGREES, r"\1")),
    Kind("percent without backslash", "the same sign", matched(_PERCENT, r"\1%")),
    Kind("percent in words", "the sign's name", matched(_PERCENT, r"\1\\text{ percent}")),
    Kind("no percent", "the problem asks for percent", matched(_PERCENT, r"\1")),
    Kind("no dollar", "the problem states the unit", matched(_MONEY, r"\1")),
    Kind("dollars in words", "the sign's name", matched(_MONEY, r"\1 \\text{ dollars}")),
    Kind("dollar and blank", "blanks say nothing", matched(_MONEY, r"\\$ \1")),
)
CHOICES = tuple(
    Kind(f"choice as {said}", "the same option", matched(_CHOICE, said.replace("\\", r"\\").replace("A", r"\1")))
    for said in _FONTS
)
KINDS = (*FRACTIONS, *DIGITS, *UNITS, *CHOICES)
