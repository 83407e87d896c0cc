r"""Compare values of two plain expressions with floats, in microseconds.

Knows: expressions that `plain_expression` reads; other text has no value here. Must not know: sympy. It only refuses:
expressions with equal values go to `identity` and the symbolic rung. A name before a bracket is read as a factor, which
is wrong for `f(x)`, but equal wherever the right reading is equal.

>>> differ("x+1", "x+2"), differ(r"\frac{x+1}{2}", "(1+x)/2"), differ(r"\sum x", "x")
(True, False, False)
"""

import cmath
import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from fail2fix.verify.plain_expression import ERRORS, NoValueError, Reader, base_of, is_name, tokens

POINTS = (0.731, 1.377)
"""Values of the first name; each further name has another one."""

DIFFERENT = 1e-6
"""Relative difference that rounding cannot explain: nine digits above the precision of floats in so short a text."""

COARSE = 0.05
"""Relative difference between a value and its rounding: 3 stands for pi, but 8 is not 7."""

MAX_MAGNITUDE = 1e100

_FUNCTIONS = {
    r"\sin": cmath.sin, r"\cos": cmath.cos, r"\tan": cmath.tan, r"\ln": cmath.log, r"\exp": cmath.exp,
    r"\arcsin": cmath.asin, r"\arccos": cmath.acos, r"\arctan": cmath.atan,
}  # fmt: skip
_OF_REALS: dict[str, Callable[[float], float]] = {
    r"\lfloor": math.floor, r"\lceil": math.ceil, "!": lambda value: math.gamma(value + 1),
}  # fmt: skip
_INVERTED = {r"\csc": cmath.sin, r"\sec": cmath.cos, r"\cot": cmath.tan}
_CONSTANTS = {"e": math.e, "i": 1j, r"\pi": math.pi}


def differ(gold: str, pred: str) -> bool:
    """Whether both have values that differ at some point; both in the spelling of `latex_text.clean`."""
    try:
        both = tokens(gold), tokens(pred)
        names = sorted({token for some in both for token in some if is_name(token)})
        return any(_differ_at(*both, names, point) for point in POINTS)
    except ERRORS:
        return False


def is_near(text: str, rounded: Fraction) -> bool:
    """Whether a constant has a value here that rounds to a number, however coarsely."""
    try:
        value = _Floats(tokens(text), _CONSTANTS).value()
    except ERRORS:
        return False
    near = float(rounded)
    return abs(value - near) <= COARSE * max(abs(value), abs(near))


def _differ_at(gold: list[str], pred: list[str], names: list[str], point: float) -> bool:
    values = {name: point + 0.618 * number for number, name in enumerate(names)} | _CONSTANTS
    one, two = (_Floats(some, values).value() for some in (gold, pred))
    return abs(one - two) > DIFFERENT * max(1.0, abs(one), abs(two))


class _Floats(Reader[complex]):
    """The value at one point."""

    def __init__(self, read: list[str], values: Mapping[str, complex]) -> None:
        super().__init__(read)
        self._values = values

    def literal(self, digits: str) -> complex:
        return float(digits)

    def named(self, name: str) -> complex:
        if name not in self._values:
            raise NoValueError
        return self._values[name]

    def quotient(self, one: complex, two: complex) -> complex:
        return one / two

    def power(self, base: complex, exponent: complex) -> complex:
        return self.bounded(complex(base) ** exponent)

    def root(self, value: complex, degree: complex) -> complex:
        return complex(value) ** (1 / degree)

    def applied(self, function: str, value: complex) -> complex:
        if function.startswith(r"\log"):
            return cmath.log(value) / math.log(base_of(function))
        if function in _OF_REALS:
            return self.bounded(_OF_REALS[function](_real(value)))
        return _FUNCTIONS[function](value) if function in _FUNCTIONS else 1 / _INVERTED[function](value)

    def bounded(self, value: complex) -> complex:
        if not cmath.isfinite(value) or abs(value) > MAX_MAGNITUDE:
            raise NoValueError
        return value


def _real(value: complex) -> float:
    """A real number that is not so near a whole one that rounding could move it across."""
    real = complex(value).real
    if complex(value).imag or (real != round(real) and abs(real - round(real)) < DIFFERENT):
        raise NoValueError
    return real
