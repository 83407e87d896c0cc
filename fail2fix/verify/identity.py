r"""Decide exactly that two plain expressions are one: their values agree in the integers modulo a large prime.

Knows: expressions that `plain_expression` reads. Must not know: sympy. Names, `\pi`, `e`, functions and powers that are
not rational have values drawn by a hash, so any identity of rational functions in them holds; a false one holds with a
chance of 2^-100. Roots of positive rational numbers are computed: all primes below 100 are squares modulo this prime,
which makes roots of products the products of roots. Other expressions go to the symbolic rung.

What could be accepted wrongly: a coefficient that was chosen to be one modulo this prime. It needs more than 36 digits,
and by `numeric` its value is that of the gold answer to six digits.

>>> identical(r"\frac{x+1}{x^2-1}", r"\frac{1}{x-1}"), identical(r"\sqrt{12}\pi", r"2\pi\sqrt{3}"), identical("x", "-x")
(True, True, False)
"""

import math
import re
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b

from fail2fix.verify.cost import may_be_equal
from fail2fix.verify.numeric import differ
from fail2fix.verify.plain_expression import ERRORS, NoValueError, Reader, base_of, is_name, tokens

SMALL_PRIMES = [n for n in range(2, 100) if all(n % divisor for divisor in range(2, n))]
PRIME = 4 * math.prod(SMALL_PRIMES) - 1
"""A prime of 123 bits. By quadratic reciprocity every small prime is a square modulo it, and -1 is none."""

_SQUARES = PRIME // 2
"""The number of squares. It is odd and has no small prime factor, so that small roots of squares are unique squares."""

_TRIGONOMETRIC = {r"\sin": "sr", r"\cos": "cr", r"\tan": "sc", r"\cot": "cs", r"\sec": "rc", r"\csc": "rs"}
"""Sine, cosine and radius: what is divided by what."""

_RELATION = re.compile(r"([<>=]|\\[lg]eq(?![a-zA-Z]))")
_MATRIX = re.compile(r"\\begin ?\{[pb]matrix\}(?P<entries>(?:(?!\\begin).)*?)(?:\\\\ ?)?\\end ?\{[pb]matrix\}")

MAX_EXPONENT = 1000
MAX_RADICAND = 10**9
"""Of numerator and denominator."""


def decided(gold: str, pred: str) -> bool | None:
    """Whether two expressions are equal, without a computer algebra system; None if one must decide."""
    if not may_be_equal(gold, pred) or differ(gold, pred):
        return False
    matrices = _MATRIX.fullmatch(gold), _MATRIX.fullmatch(pred)
    if matrices[0] and matrices[1]:
        return _same_entries(*(re.split(r"(&|\\\\)", found["entries"].replace(" ", "")) for found in matrices if found))
    golds, preds = _RELATION.split(gold), _RELATION.split(pred)
    same_signs = len(golds) == len(preds) and golds[1::2] == preds[1::2]
    return True if same_signs and all(map(identical, golds[::2], preds[::2])) else None


def _same_entries(golds: list[str], preds: list[str]) -> bool | None:
    """Compare entries of two matrices and the signs between them."""
    pairs = list(zip(golds, preds, strict=False))
    if golds[1::2] != preds[1::2] or any(differ(*pair) for pair in pairs):
        return False
    return True if all(one == two or identical(one, two) for one, two in pairs) else None


def identical(gold: str, pred: str) -> bool:
    """Whether two texts in the spelling of `latex_text.clean` are one expression; False if this cannot tell."""
    try:
        return residue(gold) == residue(pred)
    except ERRORS:
        return False


def residue(text: str) -> int:
    """The value of a text in the spelling of `latex_text.clean`. Raises one of `ERRORS` for a text without one."""
    return _Residues(tokens(text)).value()


def ratio(one: int, two: int) -> Fraction | None:
    """The fraction of small numbers that is one residue over another, or None."""
    return _fraction(one * pow(two, -1, PRIME) % PRIME)


@lru_cache(maxsize=1024)
def _drawn(*of: str | int) -> int:
    return int.from_bytes(blake2b(repr(of).encode(), digest_size=32).digest()) % PRIME


def _fraction(residue: int) -> Fraction | None:
    """The fraction of small numbers that a residue stands for, or None."""
    high, low = (PRIME, 0), (residue, 1)
    while low[0] > MAX_RADICAND:
        times = high[0] // low[0]
        high, low = low, (high[0] - times * low[0], high[1] - times * low[1])
    return Fraction(*low) if 0 < abs(low[1]) <= MAX_RADICAND else None


class _Residues(Reader[int]):
    """The value at the drawn point."""

    def literal(self, digits: str) -> int:
        whole, _, decimals = digits.partition(".")
        value = int(whole + decimals)
        return self.quotient(value, 10 ** len(decimals)) if decimals else value

    def named(self, name: str) -> int:
        if not is_name(name) and name != r"\pi":
            raise NoValueError
        return _drawn(name)

    def unclear(self) -> None:
        raise NoValueError

    def quotient(self, one: int, two: int) -> int:
        return one * pow(two, -1, PRIME) % PRIME

    def power(self, base: int, exponent: int) -> int:
        whole = exponent if exponent <= MAX_EXPONENT else exponent - PRIME
        if abs(whole) <= MAX_EXPONENT:
            return pow(base, whole, PRIME)
        rational, radicand = _fraction(exponent), _fraction(base)
        if rational is None or radicand is None or radicand <= 0 or pow(base, _SQUARES, PRIME) != 1:
            return _drawn("^", base, exponent)
        return pow(base, rational.numerator * pow(rational.denominator, -1, _SQUARES) % _SQUARES, PRIME)

    def root(self, value: int, degree: int) -> int:
        return self.power(value, pow(degree, -1, PRIME))

    def applied(self, function: str, value: int) -> int:
        if function.startswith(r"\log"):
            return self.quotient(_drawn(r"\ln", value), _drawn(r"\ln", base_of(function)))
        if function in _TRIGONOMETRIC:
            return self._trigonometric(function, value)
        if function == "!" and value <= MAX_EXPONENT:
            return math.factorial(value) % PRIME
        return _drawn(function, value)

    def _trigonometric(self, function: str, value: int) -> int:
        """By sine and cosine at a drawn point of the circle, so that the sum of their squares is one."""
        half = _drawn(r"\tan", value)
        sine, cosine, radius = 2 * half, 1 - half * half, 1 + half * half
        parts = {"s": sine, "c": cosine, "r": radius}
        ratio = _TRIGONOMETRIC[function]
        return self.quotient(parts[ratio[0]], parts[ratio[1]])

    def bounded(self, value: int) -> int:
        return value % PRIME
