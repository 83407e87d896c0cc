r"""Read a text that is one number as an exact value: integers, decimals, fractions, mixed and scientific notation.

Knows: number literals, percent signs and units after them. Must not know: expressions. `3+4`, `\sqrt{49}` and `7!` are
not numbers here: an answer that must be computed is not an answer. Sizes are bounded, so the cost is linear.

>>> number(r"-\frac{3}{4}").value
Fraction(-3, 4)
>>> number("7,425,000").value, number(r"17.5\%").percent, number(r"8 \text{ cm}").unit
(Fraction(7425000, 1), True, 'cm')
>>> number("3+4") is None
True
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from fail2fix.verify import units
from fail2fix.verify.latex_text import clean, words

MAX_CHARS = 120
"""A longer text is not a number here, which keeps exact arithmetic cheap."""

MAX_EXPONENT = 400
"""Largest power of ten that is written out."""

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,3}(?: \d{3})+(?!\d)|\d+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d*)?|\.\d+)"
_REPEATING = re.compile(r"(\d*)\.(\d*)\\overline\{(\d+)\}")
_FRACTION = re.compile(
    rf"(?:(?P<whole>\d+)(?: ?(?=\\frac)| (?=\d+ ?/)))?(?:\\frac\{{(?P<n1>-?{_DECIMAL})\}}\{{(?P<d1>-?{_DECIMAL})\}}"
    rf"|(?P<n2>{_DECIMAL}) ?/ ?(?P<d2>-?{_DECIMAL}|\(-{_DECIMAL}\)))"
)
_SCIENTIFIC = re.compile(
    rf"(?:(?:(?P<mantissa>{_DECIMAL}) ?(?:\\cdot|\*|x) ?)?10 ?\^ ?(?:\{{(?P<e1>[+-]?\d+)\}}|(?P<e2>\d))"
    rf"|(?P<before>{_DECIMAL})[eE](?P<e3>[+-]?\d+))"
)
_PLAIN = re.compile(_DECIMAL)
_PERCENT = re.compile(r"%|percent(?:age)?(?: points?)?|pct")
_DEGREES = re.compile(r"\^\\circ ?[CF]?")
_ORDINAL = re.compile(r"\^ ?\{? ?(?:\\text ?\{ ?)?(st|nd|rd|th) ?\}{0,2}")
_UNIT = re.compile(
    r"(?:[a-zA-Z]{2,}|[€£¥]|(?![a-zA-Z])[^\W\d_])(?:[a-zA-Z ./*-]|\^\{?\d\}?|(?![a-zA-Z])[^\W\d_](?! )){0,40}"
)
_TEXT_UNIT = re.compile(r"\\text ?\{ ?([a-zA-Z. /-]{1,40})\}(?: ?\^ ?\{?\d\}?)?")
HEDGE = re.compile(
    r"\b(?:x?or|ou|oder|and|if|when|where|whether|either|neither|nor|not|never|no|none|but|except|unless|without"
    r"|instead|wrong|false|incorrect|maybe|perhaps|possibly|probably|alternatively|otherwise|vs|versus|\w{2,6}n't)\b",
    re.IGNORECASE,
)
"""Words that offer another answer beside the one before or after them, or take it back."""

NO_UNIT = re.compile(
    HEDGE.pattern + r"|\b(?:to|point|negative|inverse|zero|one|two|three|four|five|six|seven"
    r"|eight|nine|ten|eleven|twelve|\w{3,5}teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|plus|minus|times|over|divided|squared|cubed|factorial|roots?|power|mod|modulo|k"
    r"|dozens?|hundreds?|thousands?|[mbt]r?illions?|(?-i:[MB])|[mb]n|lakhs?|crores?|hal(?:f|ves)|thirds?|quarters?|(?:four|fif|six|seven|eigh|nin|ten"
    r"|hundred|thousand|[mbtr]+illion)ths?)\b|[半零一二三四五六七八九十百千万萬億亿兆]",
    re.IGNORECASE,
)
"""Words that change the number before them, or make it a choice of two."""

_BASED = re.compile(r"(-?)\(?(?=[A-F]*\d)([0-9A-F, ]{1,60})\)?_\{?(\d{1,2})\}?")

_CURRENCY = re.compile(r"[$€£¥] ?|(?:USD|Rs\.?) ?")


@dataclass(frozen=True)
class Number:
    """An exact value, whether a percent sign follows, the unit or "", whether a fraction is in lowest terms."""

    value: Fraction
    percent: bool = False
    unit: str = ""
    reduced: bool = True


def number(text: str) -> Number | None:
    """The number that `text` is, or None."""
    if len(text) > MAX_CHARS:
        return None
    text = clean(text)
    signs = ""
    while text[:1] in ("+", "-") or text.startswith("("):
        if text[0] == "(":
            if not text.endswith(")"):
                return None
            text = text[1:-1].strip()
            continue
        signs, text = signs + text[0], text[1:].lstrip()
    text = _CURRENCY.sub("", text, count=1) if _CURRENCY.match(text) else text
    if text[:1] == "-":
        signs, text = signs + "-", text[1:].lstrip()
    read = _literal(text)
    # Two signs are a computation: -(-7) is not yet 7.
    if read is None or len(signs) > 1:
        return None
    value, reduced, end = read
    return _with_tail(-value if signs == "-" else value, reduced, text[end:].strip())


def based(text: str) -> tuple[str, int] | None:
    """Digits and base of a number in a stated base, or None.

    >>> based("4210_5"), based("(1,011)_{2}"), based("a_5")
    (('4210', 5), ('1011', 2), None)
    """
    found = _BASED.fullmatch(clean(text))
    return (found[1] + re.sub("[, ]", "", found[2]), int(found[3])) if found else None


def _with_tail(value: Fraction, reduced: bool, rest: str) -> Number | None:
    """The number with its tail, which may only be a percent sign, degrees, a unit, or the ending of an ordinal.

    A single letter is a unit only inside a text command: `5m` is five times m.
    """
    said = words(rest)
    if not said:
        return Number(value, reduced=reduced)
    if _PERCENT.fullmatch(said):
        return Number(value, percent=True, reduced=reduced)
    if _DEGREES.fullmatch(said):
        return Number(value, unit="degree", reduced=reduced)
    if (ordinal := _ORDINAL.fullmatch(rest)) and ordinal[1] == _ending(value):
        return Number(value)
    if (_TEXT_UNIT.fullmatch(rest) or _UNIT.fullmatch(said)) and not NO_UNIT.search(said):
        return Number(value, unit=units.name_of(said), reduced=reduced)
    return None


def _ending(value: Fraction) -> str:
    """The ending of an ordinal number: `12^{th}`, but `2^{th}` is a power."""
    if value.denominator > 1:
        return ""
    return "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(int(value % 10), "th")


def _literal(text: str) -> tuple[Fraction, bool, int] | None:
    """The literal that `text` begins with: its value, whether it is in lowest terms, and its end."""
    if match := _REPEATING.match(text):
        whole, fixed, again = match[1] or "0", match[2], match[3]
        period = Fraction(int(again), (10 ** len(again) - 1) * 10 ** len(fixed))
        return Fraction(_decimal(f"{whole}.{fixed}")) + period, True, match.end()
    if match := _FRACTION.match(text):
        return _fraction(match)
    if match := _SCIENTIFIC.match(text):
        exponent = int(match["e1"] or match["e2"] or match["e3"])
        if abs(exponent) > MAX_EXPONENT:
            return None
        return _decimal(match["mantissa"] or match["before"] or "1") * Fraction(10) ** exponent, True, match.end()
    if match := _PLAIN.match(text):
        return _decimal(match[0]), True, match.end()
    return None


def _fraction(match: re.Match[str]) -> tuple[Fraction, bool, int] | None:
    numerator, denominator = (_decimal(match[f"{part}1"] or match[f"{part}2"]) for part in "nd")
    whole = int(match["whole"] or 0)
    if denominator == 0 or (whole and denominator < 0):
        return None
    integers = numerator.denominator == denominator.denominator == 1
    reduced = not integers or math.gcd(int(numerator), int(denominator)) == 1
    return whole + numerator / denominator, reduced, match.end()


def _decimal(text: str) -> Fraction:
    return Fraction(re.sub("[, ()]", "", text) or "0")
