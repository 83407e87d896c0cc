r"""Read a plain expression with any arithmetic: floats (`numeric`) or residues (`identity`).

Knows: numbers, names, `+ - * / ^`, `\frac`, `\sqrt`, brackets, `\pi` and functions of round brackets; other text has no
value here. Must not know: sympy, what values mean. A name before a bracket is read as a factor.

>>> tokens(r"\frac{x_{1}+1}{2}")
['\\frac', '{', 'x_1', '+', '1', '}', '{', '2', '}']
"""

import re
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Generic, TypeVar

Value = TypeVar("Value", int, complex)

MAX_CHARS = 400

_NAMES = r"\\(?:alpha|beta|gamma|delta|theta|phi|lambda|mu|omega|sigma|tau|rho|[cl]?dots)(?![a-zA-Z])"
FUNCTIONS = frozenset(
    rf"\{name}" for name in re.findall(r"\w+", "sin cos tan cot sec csc arcsin arccos arctan ln log exp")
)
_COMMANDS = "|".join(sorted(name[1:] for name in FUNCTIONS - {r"\log"}))
_TOKEN = re.compile(
    rf"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<name>(?:{_NAMES}|[a-zA-Z])(?:_\{{[a-zA-Z0-9]{{1,6}}\}}|_[a-zA-Z0-9])?)"
    rf"|(?P<other>\\(?:frac|sqrt|pi|cdot|[lr](?:floor|ceil)|{_COMMANDS})(?![a-zA-Z])"
    r"|\\log(?: ?_ ?(?:\{\d{1,4}\}|\d)|(?![a-zA-Z]| ?_))|[-+*/^!(){}\[\]]))"
)
_MIXED = re.compile(r"\d\s*\\frac\s*\{\d+\}\s*\{\d+\}|\d\s+\d|'|\*\*|(?<![\\a-zA-Z])[a-zA-Z]{3,}")
"""Mixed numbers, adjacent numbers and words, which are ambiguous here."""

_NAME = re.compile(rf"[a-zA-Z]|{_NAMES}")
_DEGREES = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*\^\s*\\circ")
_FUNCTION_STARTS = tuple(FUNCTIONS)
ENDS = frozenset(("", "+", "-", ")", "}", "]", r"\rfloor", r"\rceil"))
"""Tokens that end a product."""

_OPERATORS = frozenset(("*", "/", r"\cdot"))

ERRORS = (ValueError, ArithmeticError, RecursionError)
"""What reading raises for a text without a value."""


class NoValueError(ValueError):
    """The text is not of this module's kind, or its value is out of bounds."""


@lru_cache(maxsize=1024)
def tokens(text: str) -> list[str]:
    """The tokens of a text in the spelling of `latex_text.clean`, names without the braces around a subscript.

    Raises:
        NoValueError: other text, or ambiguous text: a mixed number, adjacent numbers, words.
    """
    text = in_radians(text)
    if len(text) > MAX_CHARS or _MIXED.search(text):
        raise NoValueError
    found = list(_TOKEN.finditer(text))
    if "".join(match[0] for match in found) != text.rstrip():
        raise NoValueError
    return [match["number"] or re.sub("[{}]", "", match["name"] or "") or match["other"] for match in found]


def in_radians(text: str) -> str:
    """`text` with degrees as fractions of pi."""
    return _DEGREES.sub(r"\\frac{\1\\pi}{180}", text) if r"\circ" in text else text


def base_of(logarithm: str) -> int:
    r"""The base of `\log_{2}`, or 10."""
    return int(re.sub(r"\D", "", logarithm) or 10)


def is_name(token: str) -> bool:
    """Whether a token is the name of an unknown or a constant other than pi."""
    return _NAME.match(token) is not None


class Reader(ABC, Generic[Value]):
    """Recursive descent over the tokens of one expression; a subclass says how values are computed.

    `value` raises one of `ERRORS` for a text without a value.
    """

    def __init__(self, read: list[str]) -> None:
        self._tokens, self._place = read, 0

    def value(self) -> Value:
        found = self._sum()
        if self._place != len(self._tokens):
            raise NoValueError
        return found

    @abstractmethod
    def literal(self, digits: str) -> Value:
        """The value of a number."""

    @abstractmethod
    def named(self, name: str) -> Value:
        r"""The value of a name or `\pi`; raises `NoValueError` for another token."""

    @abstractmethod
    def quotient(self, one: Value, two: Value) -> Value: ...

    @abstractmethod
    def power(self, base: Value, exponent: Value) -> Value: ...

    @abstractmethod
    def root(self, value: Value, degree: Value) -> Value: ...

    @abstractmethod
    def applied(self, function: str, value: Value) -> Value: ...

    @abstractmethod
    def bounded(self, value: Value) -> Value:
        """The value after a sum or product, in one spelling."""

    def unclear(self) -> None:
        """Called for `a/bc`, which is read as `(a/b)c`; may raise `NoValueError`."""

    def _next(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self, token: str) -> bool:
        if self._next() != token:
            return False
        self._place += 1
        return True

    def _sum(self) -> Value:
        total = self._product()
        while self._next() in ("+", "-"):
            if self._take("+"):
                total += self._product()
            else:
                self._place += 1
                total -= self._product()
        return self.bounded(total)

    def _product(self) -> Value:
        negative = self._take("-")
        total = -self._power() if negative else self._power()
        while self._next() not in ENDS:
            if self._take("/"):
                total = self.quotient(total, self._power())
                if self._next() not in ENDS | _OPERATORS:
                    self.unclear()
            else:
                if not self._take("*"):
                    self._take(r"\cdot")
                total *= self._power()
        return self.bounded(total)

    def _power(self) -> Value:
        base = self._atom()
        if self._take("!"):
            base = self.applied("!", base)
        if self._take("^"):
            base = self.power(base, self._atom())
        if self._next() in ("^", "!"):
            raise NoValueError
        return base

    def _atom(self) -> Value:
        token = self._next()
        self._place += 1
        if token == "(":
            return self._until(")")
        if token == "{":
            return self._until("}")
        if token in (r"\lfloor", r"\lceil"):
            return self.applied(token, self._until(token.replace("l", "r", 1)))
        if token == r"\frac":
            return self.quotient(self._enclosed("{", "}"), self._enclosed("{", "}"))
        if token == r"\sqrt":
            degree = self._until("]") if self._take("[") else self.literal("2")
            return self.root(self._enclosed("{", "}"), degree)
        if token.startswith(_FUNCTION_STARTS):
            return self._function(token)
        if token[:1].isdigit() or token[:1] == ".":
            return self.literal(token)
        return self.named(token)

    def _function(self, name: str) -> Value:
        inverse = self._tokens[self._place : self._place + 5] == ["^", "{", "-", "1", "}"]
        if inverse:
            if name not in (r"\sin", r"\cos", r"\tan"):
                raise NoValueError
            self._place, name = self._place + 5, rf"\arc{name[1:]}"
        exponent = self._atom() if self._take("^") else None
        found = self.applied(name, self._argument())
        return found if exponent is None else self.power(found, exponent)

    def _argument(self) -> Value:
        r"""The argument of a function: a bracket, or factors up to a sum, a product sign or another function.

        Is `\sin(x)y` a product or the sine of one? Not told apart here.
        """
        if self._next() in ("(", "{"):
            found = self._atom()
            if self._next() not in ENDS and not self._next().startswith("\\"):
                raise NoValueError
            return found
        found = self._power()
        while self._next() not in ENDS and not self._at_function():
            if self._next() in "(/*" or self._next() == r"\cdot":
                raise NoValueError
            found *= self._power()
        return self.bounded(found)

    def _at_function(self) -> bool:
        return self._next().startswith(_FUNCTION_STARTS)

    def _enclosed(self, opening: str, closing: str) -> Value:
        if not self._take(opening):
            raise NoValueError
        return self._until(closing)

    def _until(self, closing: str) -> Value:
        found = self._sum()
        if not self._take(closing):
            raise NoValueError
        return found
