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

from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy, latex2sympy
from latex2sympy2_extended.math_normalization import NormalizationConfig, normalize_latex
from math_verify import verify
from math_verify.grader import should_treat_as_complex
from sympy import Basic, Eq, Expr, Float, MatrixBase, Rational, Symbol, cancel, expand, solve

from fail2fix.verify.identity import decided
from fail2fix.verify.plain_expression import in_radians

Reading: TypeAlias = Basic | MatrixBase

_NORMAL = NormalizationConfig(basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none")
"""Units are taken off by `units`: the parser's own list would take the last letter of `m+n` or `\\cos 3t`."""

_CASE_KEPT = ConversionConfig(lowercase_symbols=False)
_PRIMES = re.compile(r"(?<=[a-zA-Z])'+")
_MISREAD = re.compile(r"\\?(gamma|I)(?![a-zA-Z_])")
"""Names that the parser takes for the gamma function and the imaginary unit."""

_LITERAL = re.compile(r"\d*\.?\d*(?:[eE][+-]?\d{1,3})?")

POINTS = ((37, 119), (173, 61))
"""Points for the numeric comparison before simplifying: first value and step from name to name, in hundredths."""

DIGITS, CLOSE = 90, Rational(1, 10**70)
"""Numbers of at most 30 digits (`cost.MAX_DIGITS`) cannot form a fraction this close to a different value."""


def equal(gold: str, pred: str) -> bool:
    """Whether `pred` equals `gold` mathematically; False unless both texts are small, plain and finished.

    Both are in the spelling of `latex_text.clean`.

    Raises:
        MemoryError: the memory limit was hit; the pool must handle it.
    """
    found = decided(gold, pred)
    return computed(gold, pred) if found is None else found


def computed(gold: str, pred: str) -> bool:
    """Whether math-verify takes two tame texts as equal; False too if the libraries raise an error on a text.

    Expressions with different numeric values are never simplified, which is slow; nearly all wrong answers end there.

    Raises:
        MemoryError: the memory limit was hit.
    """
    try:
        one, two = _read(gold), _read(pred)
        if isinstance(one, Symbol) or isinstance(two, Symbol):
            return isinstance(one, Symbol) and isinstance(two, Symbol) and one.name == two.name
        if isinstance(one, Eq) and isinstance(two, Eq) and not _may_be_one_equation(one, two):
            return False
        return not _differ(one, two) and not _leaves_a_rest(one, two) and bool(verify(one, two, timeout_seconds=None))
    except MemoryError:
        raise
    except Exception:
        return False


def _leaves_a_rest(one: Reading, two: Reading) -> bool:
    """Whether two expressions differ by a rational number, which may be below all precision: `3^{-999}`."""
    difference = expand(one - two) if isinstance(one, Expr) and isinstance(two, Expr) else 0
    return isinstance(difference, Rational) and difference != 0


def _may_be_one_equation(one: Eq, two: Eq) -> bool:
    """False for equations that only agree in having no solution: `verify` takes their empty lists as equal."""
    if one.free_symbols != two.free_symbols:
        return False
    sides = (one.lhs, two.lhs), (one.rhs, two.rhs)
    if not one.free_symbols or not all(isinstance(side, Expr) for pair in sides for side in pair):
        return not any(_differ(*pair) for pair in sides)
    return bool(cancel((one.lhs - one.rhs) / (two.lhs - two.rhs)).is_number or solve(one, *one.free_symbols))


def _exact_number(_: object, text: str) -> Rational:
    """The value of a number literal; replaces sympy's reading, which evaluates the text as Python code."""
    literal = text.replace(",", "")
    if not _LITERAL.fullmatch(literal):
        raise ValueError(f"not a number: {literal!r:.40}")
    return Rational(*Fraction(literal).as_integer_ratio())


_Latex2Sympy.parse_number = _exact_number


@lru_cache(maxsize=4096)
def _read(text: str) -> Reading:
    """The library's reading of a text, in which names keep their case and primes are part of a name."""
    text = _PRIMES.sub(lambda primes: f"_{{{'prime' * len(primes[0])}}}", in_radians(text))
    text = normalize_latex(_MISREAD.sub(r"N_{\1}", text), _NORMAL)
    real = not should_treat_as_complex(text)
    return latex2sympy(text, is_real=real, normalization_config=None, conversion_config=_CASE_KEPT)


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
