r"""Decide whether an expression is finished, or still states a computation.

Knows: operators of a task, arithmetic on plain numbers, like terms, functions of constants. Must not know: values,
sympy. An expression that restates its problem (`\int_0^2 \sqrt{3}\,dx`, `3 \cdot 4\pi`, `4\sin 60^\circ`) equals the
gold answer without answering. Kinds of computation in the gold answer may remain in an answer too. Linear in the text
and in the depth of its brackets.

>>> is_finished(r"\pi(3+9)", r"12\pi"), is_finished(r"\frac{24}{2}\pi", r"12\pi"), is_finished("3+4x", "4x+3")
(False, False, True)
"""

import math
import re
from dataclasses import dataclass, field

from fail2fix.verify.latex_text import end_of_group, key

TASKS = re.compile(
    r"\\(?:int|sum|prod|lim|binom|lfloor|lceil|gcd|max|min|ldots|dots|cdots)(?![a-zA-Z])|!|\\frac ?\{d\} ?\{d"
)
"""Operators of a task, not of an answer."""

FUNCTIONS = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc|arc\w+|sinh|cosh|tanh|log|ln|exp|lfloor|lceil)(?![a-zA-Z])")

_JOINED_MATRICES = re.compile(r"\\end\{\w+\}[+*-]?\\begin")
_POWER = re.compile(r"/?(?:(?!10\^)\d+|\(\d+\))\^(?:\{\d+\}|\d)")
"""Of a number other than ten: 2*10^3 is a way to write a number."""

_ROOT = re.compile(r"\\sqrt\{(\d{1,30})\}")
_SIGN = re.compile(r"[+-]|\\[pm][pm](?![a-zA-Z])")
_SEPARATOR = re.compile(r"[,;:=<>&]|\\\\|\\(?:leq|geq|neq|in|to|cup|cap|setminus|mid|approx|begin|end)(?![a-zA-Z])")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_FACTOR = re.compile(r"(?P<fraction>\\frac(?=\{))|(?P<number>\d+(?:\.\d+)?|\.\d+)|\\[a-zA-Z]+|.")
_BARE_NUMBER = re.compile(r"/?[({]-?\d+(?:\.\d+)?[)}]")
_FRACTION = re.compile(r"\\frac\{(\d{1,30})\}\{(\d{1,30})\}")
_NOT_A_NAME = re.compile(r"\\[a-zA-Z]+|[ei]")


def is_finished(pred: str, gold: str) -> bool:
    """Whether `pred` leaves no kind of computation that `gold` does not leave too; both in the spelling of `clean`."""
    if not set(TASKS.findall(pred)) <= set(TASKS.findall(gold)):
        return False
    if FUNCTIONS.search(pred) and _is_constant(pred) and not FUNCTIONS.search(gold):
        return False
    return unfinished(key(pred)) <= unfinished(key(gold))


def _is_constant(text: str) -> bool:
    return not any(character.isalpha() for character in _NOT_A_NAME.sub("", text))


def unfinished(text: str) -> set[str]:
    r"""The kinds of arithmetic left to do; `text` in the spelling of `latex_text.key`.

    >>> [sorted(unfinished(t)) for t in (r"16\pi-4\pi", r"\pi*4^2", r"3\pi*4", r"\frac{36\pi}{3}", r"\frac{3\pi}{2}")]
    [['sum'], ['power'], ['product'], ['fraction'], []]
    """
    kinds = {"matrices"} if _JOINED_MATRICES.search(text) else set()
    if any(math.gcd(int(match[1]), int(match[2])) > 1 for match in _FRACTION.finditer(text)):
        kinds.add("fraction")
    if any(math.isqrt(int(match[1])) ** 2 == int(match[1]) for match in _ROOT.finditer(text)):
        kinds.add("root")
    for part in _parts(text):
        terms = [_term(summand) for summand in _summands(part) if summand]
        for term in terms:
            kinds |= term.unfinished()
        # Terms that differ in a factor at most are one term; what absolute values hold is not read.
        if "|" not in part and len({tuple(sorted(term.others)) for term in terms}) < len(terms):
            kinds.add("sum")
    return kinds


@dataclass
class _Term:
    """A product: its numbers above and below the fraction bar, and its other factors."""

    above: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def unfinished(self) -> set[str]:
        kinds = {"product"} if len(self.above) > 1 or len(self.below) > 1 else set()
        numbers = [int(number) for side in (self.above, self.below) for number in side if number.isdigit()]
        if (
            _is_constant("".join(self.others))
            and len(numbers) == 2
            and self.above
            and self.below
            and math.gcd(*numbers) > 1
        ):
            kinds.add("fraction")
        if any(_BARE_NUMBER.fullmatch(other) for other in self.others):
            kinds.add("product")
        if any(_POWER.fullmatch(other) for other in self.others):
            kinds.add("power")
        return kinds


def _parts(text: str) -> list[str]:
    """The text and the contents of its brackets, each split at separators of lists and relations."""
    insides, opened = [text], []
    for place, character in enumerate(text):
        if character in "([{":
            opened.append(place)
        elif character in ")]}" and opened:
            insides.append(text[opened.pop() + 1 : place])
    return [part for inside in insides for part in _split_outside(inside, _SEPARATOR)]


def _summands(part: str) -> list[str]:
    return _split_outside(part, _SIGN)


def _split_outside(text: str, separator: re.Pattern[str]) -> list[str]:
    """`text` split at separators outside brackets."""
    parts, start, depth, place = [], 0, 0, 0
    while place < len(text):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        match = separator.match(text, place) if depth == 0 else None
        if match:
            parts.append(text[start:place])
            start = place = match.end()
        else:
            place += 1
    return [*parts, text[start:]]


def _term(text: str) -> _Term:
    """The factors of a product, read from left to right."""
    term, place, below = _Term(), 0, False
    while place < len(text):
        match = _FACTOR.match(text, place)
        end = match.end() if match else place + 1
        if match and match["fraction"]:
            top = _end_of_group(text, end)
            bottom = _end_of_group(text, top)
            mixed = place > 0 and text[place - 1].isdigit()
            _add_fraction(term, text[end + 1 : top - 1], text[top + 1 : bottom - 1], below, mixed)
            end = bottom
        elif match and match["number"]:
            tail = _end_of_scripts(text, end)
            if tail == end and text[end : end + 1] != "!":
                (term.below if below else term.above).append(match["number"])
            else:
                term.others.append(text[place:tail])
            end = tail
        elif text[place] in "*/":
            below = text[place] == "/"
            place = end
            continue
        elif text[place] == "(" and not text[:place][-1:].isalpha() and _is_product(text, place):
            end = _end_of_group(text, place)
            _add_fraction(term, text[place + 1 : end - 1], "", below, False)
        else:
            end = _end_of_factor(text, place, end)
            term.others.append(("/" if below else "") + text[place:end])
        below, place = False, end
    return term


def _is_product(text: str, start: int) -> bool:
    """Whether the bracket at `start` holds a product that is not raised to a power."""
    end = _end_of_group(text, start)
    return text[end : end + 1] not in ("^", "_") and len(_summands(text[start + 1 : end - 1])) == 1


def _add_fraction(term: _Term, top: str, bottom: str, below: bool, mixed: bool) -> None:
    """Merge the numbers of a fraction whose sides are products with the numbers around it."""
    above, under = (term.below, term.above) if below else (term.above, term.below)
    for side, numbers, mark in ((top, above, ""), (bottom, under, "/")):
        summands = [summand for summand in _summands(side) if summand]
        inner = _term(summands[0]) if len(summands) == 1 else _Term(others=[side])
        # The numerator of a mixed number belongs to the number before it; a one says nothing.
        if not (mixed and mark == ""):
            numbers.extend(number for number in inner.above if number != "1")
        term.others.extend(mark + other for other in inner.others)
        (under if numbers is above else above).extend(inner.below)


def _end_of_factor(text: str, start: int, end: int) -> int:
    """End of a letter, a bracket or a command with its arguments, including scripts."""
    if text[start] in "([{":
        return _end_of_scripts(text, _end_of_group(text, start))
    if text[start] != "\\":
        return _end_of_scripts(text, end)
    if FUNCTIONS.fullmatch(text[start:end]):
        end = _end_of_scripts(text, end)
        argument = _FACTOR.match(text, end)
        return _end_of_factor(text, end, argument.end()) if argument else end
    while text[end : end + 1] in ("{", "["):
        end = _end_of_group(text, end)
    return _end_of_scripts(text, end)


def _end_of_scripts(text: str, end: int) -> int:
    while text[end : end + 1] in ("^", "_"):
        end = _end_of_group(text, end + 1)
    return end


def _end_of_group(text: str, start: int) -> int:
    """End of the group that begins at `start`: a pair of brackets, a command or one character."""
    found = _COMMAND.match(text, start)
    return found.end() if found else end_of_group(text, start)
