r"""Is an expression finished, or does it still say what is to be computed?

Knows: operators of a task, arithmetic on plain numbers, functions of constants. Must not know: values, sympy. An
expression that restates its problem (`\int_0^2 \sqrt{3}\,dx`, `3 \cdot 4\pi`, `4\sin 60^\circ`) equals the gold
answer and is no answer to it. What the gold answer leaves unfinished in the same way may stay so. Reading is linear
in the text.

>>> is_finished(r"\pi(3+9)", r"12\pi"), is_finished(r"\frac{24}{2}\pi", r"12\pi"), is_finished("3+4x", "4x+3")
(False, False, True)
"""

import math
import re

from fail2fix.verify.latex_text import key

TASKS = re.compile(
    r"\\(?:int|sum|prod|lim|binom|lfloor|lceil|gcd|max|min|ldots|dots|cdots)(?![a-zA-Z])|!|\\frac ?\{d\} ?\{d"
)
"""Operators of a task, not of an answer."""

FUNCTIONS = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc|arc\w+|sinh|cosh|tanh|log|ln|exp|lfloor|lceil)(?![a-zA-Z])")

_NUMBER = r"\d+(?:\.\d+)?"
_ARITHMETIC = (
    # 3+4 where neither number is part of a larger term
    re.compile(rf"(?<![\w^_.)}}*/!]){_NUMBER}[+-]{_NUMBER}(?![\w.^!*/({{]|\\(?!end)[a-zA-Z])"),
    # 3*4, 3(4) and (3)(4), whatever follows; 2*10^3 is a way to write a number
    re.compile(rf"(?<![\w^_.)}}/!]){_NUMBER}\*{_NUMBER}(?![\d.^!])"),
    re.compile(rf"(?:(?<![\w^_]){_NUMBER}|\))\(-?{_NUMBER}\)"),
    re.compile(r"\\end\{\w+\}[+*-]?\\begin"),
)
_FRACTION = re.compile(r"\\frac\{(\d{1,30})\}\{(\d{1,30})\}")
_NOT_A_NAME = re.compile(r"\\[a-zA-Z]+|[ei]")


def is_finished(pred: str, gold: str) -> bool:
    """Whether `pred` leaves nothing to compute that `gold` does not leave as well; both in the spelling of `clean`."""
    if not set(TASKS.findall(pred)) <= set(TASKS.findall(gold)):
        return False
    if _has_functions_of_constants(pred) and not FUNCTIONS.search(gold):
        return False
    pred, gold = key(pred), key(gold)
    if any(pattern.search(pred) and not pattern.search(gold) for pattern in _ARITHMETIC):
        return False
    return not _has_reducible_fraction(pred) or _has_reducible_fraction(gold)


def _has_functions_of_constants(text: str) -> bool:
    return FUNCTIONS.search(text) is not None and not any(c.isalpha() for c in _NOT_A_NAME.sub("", text))


def _has_reducible_fraction(text: str) -> bool:
    return any(math.gcd(int(match[1]), int(match[2])) > 1 for match in _FRACTION.finditer(text))
