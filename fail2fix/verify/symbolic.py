r"""Symbolic equality of two expressions, by math-verify. Runs in a worker process only.

Knows: math-verify and sympy. Must not know: deadlines, processes, how an answer was found. math-verify parses and
simplifies text of a policy, which may never end or exhaust memory: outside tests only `fail2fix.verify.pool` may call
this. Its own timeouts are off: they are signals, which need a main thread and cannot interrupt C code. The pool's
deadline kills the process instead.

>>> equal(r"\frac{x+2}{7}", r"\frac{x}{7}+\frac{2}{7}")
True
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

from latex2sympy2_extended.latex2sympy2 import _Latex2Sympy
from math_verify import LatexExtractionConfig, parse, verify
from sympy import Basic, Expr, Float, MatrixBase, Rational, Symbol

from fail2fix.verify.cost import may_be_equal

Reading: TypeAlias = Basic | MatrixBase

LATEX = LatexExtractionConfig(boxed_match_priority=0)

_DEGREES = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*\^\s*\\circ")

_LITERAL = re.compile(r"\d*\.?\d*(?:[eE][+-]?\d{1,3})?")

POINTS = ((37, 119), (173, 61))
"""Points for the numeric comparison before simplifying: first value and step from name to name, in hundredths."""

DIGITS, CLOSE = 90, Rational(1, 10**70)
"""Numbers of at most 30 digits (`cost.MAX_DIGITS`) cannot form a fraction this close to a different value."""


def equal(gold: str, pred: str) -> bool:
    """Whether `pred` equals `gold` mathematically; False unless both texts are small, plain and finished.

    Both are in the spelling of `latex_text.clean`. Expressions with different numeric values are never simplified,
    which is slow; nearly all wrong answers end there. False too if the libraries raise an error on a text.

    Raises:
        MemoryError: the memory limit was hit; the pool must handle it.
    """
    try:
        if not may_be_equal(gold, pred):
            return False
        one, two = _read(gold), _read(pred)
        if not one or not two or _differ(one[0], two[0]):
            return False
        return bool(verify(list(one), list(two), timeout_seconds=None))
    except MemoryError:
        raise
    except Exception:
        return False


def _exact_number(_: object, text: str) -> Rational:
    """The value of a number literal; replaces sympy's reading, which evaluates the text as Python code."""
    literal = text.replace(",", "")
    if not _LITERAL.fullmatch(literal):
        raise ValueError(f"not a number: {literal!r:.40}")
    return Rational(*Fraction(literal).as_integer_ratio())


_Latex2Sympy.parse_number = _exact_number


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[Reading, ...]:
    """math-verify's readings of a text, without the matched string."""
    radians = _DEGREES.sub(r"\\frac{\1\\pi}{180}", text)
    parsed = parse(rf"\boxed{{{radians}}}", [LATEX], parsing_timeout=None)
    return tuple(reading for reading in parsed if not isinstance(reading, str))


def _differ(gold: Reading, pred: Reading) -> bool:
    """Whether two expressions have different values at some point; False if unknown."""
    if isinstance(gold, MatrixBase) and isinstance(pred, MatrixBase):
        return gold.shape != pred.shape or any(map(_differ, gold, pred))
    if not isinstance(gold, Expr) or not isinstance(pred, Expr):
        return False
    names = sorted(gold.free_symbols | pred.free_symbols, key=str)
    return any(_differ_at(gold, pred, names, *point) for point in POINTS)


def _differ_at(gold: Expr, pred: Expr, names: list[Symbol], first: int, step: int) -> bool:
    at = {name: Float(first + step * number, 2 * DIGITS) / 100 for number, name in enumerate(names)}
    try:
        one, two = (expression.evalf(DIGITS, subs=at) for expression in (gold, pred))
        return bool(abs(one - two) > CLOSE * max(1, abs(one), abs(two)))
    except (TypeError, ValueError, ArithmeticError):
        return False
