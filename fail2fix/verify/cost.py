r"""Decide whether a text may go to a computer algebra system: only small, plain mathematics may.

Knows: LaTeX commands that answers need, and limits of size. Must not know: sympy, processes. Commands that are not
listed are refused, so an attack must be built from small numbers, shallow nesting and few powers.

>>> [is_tame(text) for text in (r"\frac{3}{4}\sqrt{2}", "9^{9^{9}}", "99999999!", r"\sum_{k=1}^{10^9} k")]
[True, False, False, False]
"""

import re
from itertools import accumulate

from fail2fix.verify.finished import FUNCTIONS, is_finished
from fail2fix.verify.latex_text import end_of_group

MAX_CHARS = 400
MAX_DEPTH = 10
MAX_ROUND_DEPTH = 4
"""Of round brackets: each level doubles the time of math-verify's grammar."""

MAX_DIGITS = 30
"""Of one integer or decimal literal."""

MAX_POWERS = 16
MAX_NUMERIC_EXPONENT = 1000
"""Of a number: the result is written out."""

MAX_POWER_DIGITS = 4000
"""Of a power of whole numbers, which may have a larger exponent: below Python's limit for writing a number out."""

MAX_SYMBOLIC_EXPONENT = 12
"""Of a bracket: the result is expanded."""

MAX_DEGREE = 1000
"""Product of the exponents of all brackets."""

MAX_FACTORIAL = 100
MAX_ROOT_DEPTH = 3
MAX_NESTED_FUNCTIONS = 3
MAX_BARS = 8
"""Of absolute values, which sympy compares with their insides."""

GROWING = re.compile(r"\\(?:exp|sinh|cosh)(?![a-zA-Z])")
"""Never nested: the digits of e^(e^99) have no end."""

_GROWING_TWICE = re.compile(rf"{GROWING.pattern}\W*{GROWING.pattern}")

ALLOWED = frozenset(
    re.findall(
        r"\w+",
        """
    frac sqrt pi infty cdot div pm mp cup cap in leq geq neq circ overline theta alpha beta gamma delta
    phi varphi lambda mu nu omega Omega sigma tau rho epsilon psi xi eta zeta kappa chi Phi Delta Gamma sin cos tan
    cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp mathbb mathcal begin end pmatrix bmatrix vmatrix
    matrix array hline emptyset varnothing setminus to angle prime hbar odot max min lvert rvert vert mid ldots dots
    cdots lfloor rfloor lceil rceil
    """,
    )
)
_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_ROOT = re.compile(r"\\sqrt(?: ?\[[^][{}]*\])?")
_LITERAL = re.compile(r"[\d.]+")
_WORD = re.compile(r"(?<![\\a-zA-Z])(?!(?:[pbvV]?matrix|array)\})[a-zA-Z]{6,}")
_TEXT = re.compile(r"\\text ?\{[^{}]{0,40}\}")
_UNREAD = re.compile(r"[^\x20-\x7e]|[\"#$?@`~]|(?<![a-zA-Z'])'|(?:(?<!\^)\d|[)\]]|(?<!\^\{\d)\})\s*_")
"""Characters, and subscripts after anything but a letter or a command, that math-verify drops."""

_POWER = re.compile(r"(?P<base>(?<![\d.])\d{1,6}|[\w.)\]}])\s*(?:\^|\*\*)\s*")
_SMALL_POWER = re.compile(r"[a-zA-Z]\s*\^\s*(?:\{\s*[2-4]\s*\}|[2-4])(?!\d)")
"""Of one name: the only power allowed in an exponent, as in e^{-x^2}."""

_STRAY_MARK = re.compile(r"(?<![\w)\]}!])\s*!|!(?=\s*[\w(\\{])")
"""Before something, or after nothing: not a factorial."""

_FACTORIAL = re.compile(r"(?P<arg>\d+|[a-zA-Z]|\([^()!]{1,20}\))\s*!(?!\s*!)")


def may_be_equal(gold: str, pred: str) -> bool:
    """Whether a computer algebra system can add anything: both are tame, and `pred` is as finished as `gold`."""
    # The product of anything and infinity is not told from another one.
    infinite = [r"\infty" in text for text in (gold, pred)]
    return infinite[0] == infinite[1] and is_tame(pred) and is_tame(gold) and is_finished(pred, gold)


def is_tame(text: str) -> bool:
    """Whether `text` (in the spelling of `latex_text.clean`) is small and plain enough to be parsed and simplified.

    All of it must be readable: a parser stops at unknown text, and the rest might retract the answer.
    """
    return (
        all(command in ALLOWED for command in _COMMAND.findall(text))
        and not _UNREAD.search(text)
        and text.count("{") == text.count("}")
        and not _is_prose(text)
        and _is_small(text)
    )


def is_oversized(text: str) -> bool:
    """Whether `text`, in the same spelling, is mathematics beyond the limits, not prose or a stray exclamation mark."""
    return not _is_prose(text) and not _is_small(_STRAY_MARK.sub("", text))


def _is_prose(text: str) -> bool:
    return bool(_WORD.search(_TEXT.sub("", text)))


def _is_small(text: str) -> bool:
    return (
        len(text) <= MAX_CHARS
        and _depth(text, "([{", ")]}") <= MAX_DEPTH
        and _depth(text, "(", ")") <= MAX_ROUND_DEPTH
        and all(len(literal) <= MAX_DIGITS for literal in _LITERAL.findall(text))
        and text.count(r"\sqrt") <= 8
        and text.count(r"\overline") <= 1
        and _function_depth(text, _ROOT) <= MAX_ROOT_DEPTH
        and len(FUNCTIONS.findall(text)) <= 8
        and _function_depth(text, FUNCTIONS) <= MAX_NESTED_FUNCTIONS
        and _function_depth(text, GROWING) <= 1
        and not _GROWING_TWICE.search(text)
        and text.count("|") <= MAX_BARS
        and _powers_are_small(text)
        and _factorials_are_small(text)
    )


def _depth(text: str, opening: str, closing: str) -> int:
    return max(accumulate(((character in opening) - (character in closing) for character in text), initial=0))


def _function_depth(text: str, functions: re.Pattern[str]) -> int:
    """Largest number of functions inside each other's brackets."""
    inside: list[int] = []
    deepest = current = 0
    last_end = -1
    places = {match.start(): match.end() for match in functions.finditer(text)}
    if not places:
        return 0
    for place, character in enumerate(text):
        if place in places:
            last_end = places[place]
        if character in "([{":
            opened = 1 if text[last_end:place].strip(" ^_0123456789-") == "" and last_end >= 0 else 0
            inside.append(opened)
            current += opened
            deepest = max(deepest, current)
        elif character in ")]}" and inside:
            current -= inside.pop()
    return deepest


def _powers_are_small(text: str) -> bool:
    if text.count("^") + text.count("**") > MAX_POWERS:
        return False
    degree = 1
    # A power of a power without braces, a^b^c, and a power in an exponent are towers.
    for match in _POWER.finditer(text):
        end = end_of_group(text, match.end(), "{", "}")
        exponent = _SMALL_POWER.sub("", text[match.end() : end])
        if "^" in exponent or "**" in exponent or "!" in exponent or GROWING.search(exponent):
            return False
        if text[end:].lstrip("} ")[:1] == "^":
            return False
        limit = MAX_NUMERIC_EXPONENT if match["base"].isalnum() else MAX_SYMBOLIC_EXPONENT
        if match["base"].isdigit() and exponent.strip("{} ").isdigit():
            limit = max(limit, MAX_POWER_DIGITS // len(match["base"]))
        literals = _LITERAL.findall(exponent)
        if any(_too_large(literal, limit) for literal in literals):
            return False
        if limit == MAX_SYMBOLIC_EXPONENT:
            degree *= max((int(literal.partition(".")[0] or 1) for literal in literals), default=1) or 1
    return degree <= MAX_DEGREE


def _factorials_are_small(text: str) -> bool:
    if "!" not in text:
        return True
    if len(_FACTORIAL.findall(text)) != text.count("!") or text.count("!") > 6:
        return False
    arguments = (match["arg"] for match in _FACTORIAL.finditer(text))
    return not any(_too_large(n, MAX_FACTORIAL) for argument in arguments for n in _LITERAL.findall(argument))


def _too_large(literal: str, limit: int) -> bool:
    whole = literal.partition(".")[0]
    return len(whole) > 6 or (whole != "" and int(whole) > limit)
