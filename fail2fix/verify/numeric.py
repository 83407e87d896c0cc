r"""Compare values of two plain expressions with floats, in microseconds.

Knows: numbers, names, `+ - * / ^`, `\frac`, `\sqrt`, brackets, `\pi` and functions of round brackets; other text has no
value here. Must not know: sympy. It only refuses: expressions with equal values go to the symbolic rung. A name before
a bracket is read as a factor, which is wrong for `f(x)`, but equal wherever the right reading is equal.

>>> differ("x+1", "x+2"), differ(r"\frac{x+1}{2}", "(1+x)/2"), differ(r"\sin x", "x")
(True, False, False)
"""

import cmath
import math
import re
from collections.abc import Mapping
from fractions import Fraction

POINTS = (0.731, 1.377)
"""Values of the first name; each further name has another one."""

DIFFERENT = 1e-6
"""Relative difference that rounding cannot explain: nine digits above the precision of floats in so short a text."""

COARSE = 0.05
"""Relative difference between a value and its rounding: 3 stands for pi, but 8 is not 7."""

MAX_CHARS = 400
MAX_MAGNITUDE = 1e100

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<name>\\(?:alpha|beta|gamma|delta|theta|phi|lambda|mu|omega|sigma|tau|rho)"
    r"(?![a-zA-Z])(?:_\{[a-zA-Z0-9]{1,6}\}|_[a-zA-Z0-9])?|[a-zA-Z](?:_\{[a-zA-Z0-9]{1,6}\}|_[a-zA-Z0-9])?)"
    r"|(?P<other>\\(?:frac|sqrt|pi|cdot|sin|cos|tan|ln|exp)(?![a-zA-Z])|[-+*/^(){}\[\]]))"
)
_MIXED = re.compile(r"\d\s*\\frac\s*\{\d+\}\s*\{\d+\}|\d\s+\d|'|\*\*|(?<![\\a-zA-Z])[a-zA-Z]{3,}")
"""Mixed numbers, adjacent numbers and words, which are ambiguous here."""

_NAME = re.compile(r"[a-zA-Z]|\\(?!(?:frac|sqrt|pi|cdot|sin|cos|tan|ln|exp)\Z)[a-z]")
_FUNCTIONS = {r"\sin": cmath.sin, r"\cos": cmath.cos, r"\tan": cmath.tan, r"\ln": cmath.log, r"\exp": cmath.exp}
_CONSTANTS = {"e": math.e, "i": 1j, r"\pi": math.pi}


class _NoValue(ValueError):
    """The text is not of this module's kind, or its value is out of bounds."""


def differ(gold: str, pred: str) -> bool:
    """Whether both have values that differ at some point; both in the spelling of `latex_text.clean`."""
    try:
        tokens = [_tokens(text) for text in (gold, pred)]
        names = sorted({token for some in tokens for token in some if _NAME.match(token)})
        return any(_differ_at(tokens, names, point) for point in POINTS)
    except (ValueError, ArithmeticError, RecursionError):
        return False


def is_near(text: str, rounded: Fraction) -> bool:
    """Whether a constant has a value here that rounds to a number, however coarsely."""
    try:
        value = _Reader(_tokens(text), _CONSTANTS).value()
    except (ValueError, ArithmeticError, RecursionError):
        return False
    near = float(rounded)
    return abs(value - near) <= COARSE * max(abs(value), abs(near))


def _differ_at(tokens: list[list[str]], names: list[str], point: float) -> bool:
    values = {name: point + 0.618 * number for number, name in enumerate(names)} | _CONSTANTS
    one, two = (_Reader(some, values).value() for some in tokens)
    return abs(one - two) > DIFFERENT * max(1.0, abs(one), abs(two))


def _tokens(text: str) -> list[str]:
    """The tokens, names without the braces around a subscript."""
    if len(text) > MAX_CHARS or _MIXED.search(text):
        raise _NoValue
    found = list(_TOKEN.finditer(text))
    if "".join(match[0] for match in found) != text.rstrip():
        raise _NoValue
    return [match["number"] or re.sub("[{}]", "", match["name"] or "") or match["other"] for match in found]


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, tokens: list[str], values: Mapping[str, complex]) -> None:
        self._tokens, self._values, self._place = tokens, values, 0

    def value(self) -> complex:
        found = self._sum()
        if self._place != len(self._tokens):
            raise _NoValue
        return found

    def _next(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self, token: str) -> bool:
        if self._next() != token:
            return False
        self._place += 1
        return True

    def _sum(self) -> complex:
        total = self._product()
        while self._next() in ("+", "-"):
            sign = 1 if self._take("+") else -1 * self._take("-")
            total += sign * self._product()
        return total

    def _product(self) -> complex:
        sign = -1 if self._take("-") else 1
        total = sign * self._power()
        while self._next() not in ("", "+", "-", ")", "}", "]"):
            if self._take("/"):
                total /= self._power()
            else:
                if not self._take("*"):
                    self._take(r"\cdot")
                total *= self._power()
        return _bounded(total)

    def _power(self) -> complex:
        base = self._atom()
        if self._take("^"):
            base = _bounded(complex(base) ** self._atom())
            if self._next() == "^":
                raise _NoValue
        return base

    def _atom(self) -> complex:
        token = self._next()
        self._place += 1
        if token == "(":
            return self._until(")")
        if token == "{":
            return self._until("}")
        if token == r"\frac":
            return self._enclosed("{", "}") / self._enclosed("{", "}")
        if token == r"\sqrt":
            root = self._until("]") if self._take("[") else 2
            return complex(self._enclosed("{", "}")) ** (1 / root)
        if token in _FUNCTIONS:
            return self._function(token)
        if token in self._values:
            return self._values[token]
        if token[:1].isdigit() or token[:1] == ".":
            return float(token)
        raise _NoValue

    def _function(self, name: str) -> complex:
        found = _FUNCTIONS[name](self._enclosed("(", ")"))
        # Is `\sin(x)y` a product or the sine of one? Not told apart here.
        if self._next() not in ("", "+", "-", ")", "}", "]"):
            raise _NoValue
        return found

    def _enclosed(self, opening: str, closing: str) -> complex:
        if not self._take(opening):
            raise _NoValue
        return self._until(closing)

    def _until(self, closing: str) -> complex:
        found = self._sum()
        if not self._take(closing):
            raise _NoValue
        return found


def _bounded(value: complex) -> complex:
    if not cmath.isfinite(value) or abs(value) > MAX_MAGNITUDE:
        raise _NoValue
    return value
