r"""Expressions of a problem, and whether an answer only restates one of them.

Knows: formulas in a text, and the numbers and names in an expression. Must not know: values, sympy, workers. An echo is
an expression of the problem that equals the gold answer: `(x+2)(x+5)`, where the problem asks to expand it. A row's
ground truth lists its echoes (`gold`); `fail2fix.data.echoes` finds them with the verifier.

Two expressions have one *form* if they have the same numbers, names, functions and minus signs, in any order. Brackets,
other signs, units, zeros and ones do not count. Each side of an equation has its own. A form says nothing about values:
only answers that equal the gold answer are compared. An expression with the gold answer's forms is never an echo: it
states the answer. So no gold answer is refused.

>>> forms("1*((x+5)(x+2))") == forms(r"f(x) = (x+2)(x+5)"), forms("x^2+7x+10") == forms("(x+2)(x+5)")
(True, False)
>>> expressions(r"Let $f(x)=(x+2)(x+5)$. Expand it.")
['f(x)=(x+2)(x+5)', '(x+2)(x+5)', 'f(x)', 'x+2', 'x+5', 'x']
"""

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

from fail2fix.verify.answer_form import is_name, sides
from fail2fix.verify.equivalence import without_remark
from fail2fix.verify.exact_number import number
from fail2fix.verify.latex_text import clean, key, words

MAX_PROBLEM_CHARS = 20_000
MAX_EXPRESSIONS = 24
"""Of one problem, the longest ones."""

MAX_CHARS = 400

Form = tuple[str, ...]

_DRAWING = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)
_FORMULA = re.compile(
    r"\\\((.{1,2000}?)\\\)|\\\[(.{1,2000}?)\\\]|\$\$(.{1,2000}?)\$\$|(?<!\\)\$((?:[^$\\]|\\.){1,2000})\$"
    r"|\\begin\{(?:align|equation|gather|eqnarray)\*?\}(.{1,2000}?)\\end",
    re.DOTALL,
)
_PLAIN = re.compile(r"(?:(?<![a-zA-Z])[a-zA-Z](?![a-zA-Z])|[0-9]|[-+*/^=().,|\[\]{}<> ]|\\[a-zA-Z]+)+")
"""Mathematics without delimiters, read where a problem has none with them."""

_LINES = re.compile(r"\\(?:begin|end)\{(?:align|aligned|gather|gathered|equation|eqnarray|split)\*?\}")
_NESTING = r"(?P<open>\\begin(?![a-zA-Z])|\\?\{|[(\[])|(?P<close>\\end(?![a-zA-Z])|\\?\}|[)\]])"
_RELATION = r"\\\\|:=|[=<>]|\\(?:leq?|geq?|leqslant|geqslant|neq?|lt|gt|approx|equiv|in|to|mapsto)(?![a-zA-Z])"
_LIST = rf"{_RELATION}|[,;]|\\q?quad(?![a-zA-Z])|\\text ?\{{[^{{}}]*\}}"
_TOKEN = re.compile(r"\\[a-zA-Z]+|\d+(?:\.\d+)?|\.\d+|[^\W\d_]|[-!|%]")
_NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+|-")
_ROUND = re.compile(r"(?<=\d)\.0+(?!\d)|(?<=\d),(?=\d{3})")
_CHOICE = re.compile(r"\(?([A-J])\)?")
_LABEL = re.compile(r"\(?[A-J][).:] ?(?=.)")
_TEXT = re.compile(r"\\text ?\{[^{}]*\}")
_SILENT = frozenset(["0", "1", "%", r"\frac", r"\cdot", r"\div", r"\times", r"\circ", r"\leq", r"\geq", r"\boxed"])
"""Tokens that a restatement may add or leave out."""


@lru_cache(maxsize=16_384)
def forms(text: str) -> frozenset[Form]:
    """The forms of an expression's sides, without a name in front."""
    return frozenset(map(_form, _values(text)))


def _form(value: str) -> Form:
    if number(value) is not None:
        found = _NUMBER.findall(_ROUND.sub("", key(value)))
    else:
        found = _TOKEN.findall(_LABEL.sub("", _TEXT.sub(" ", value).strip()) or words(value))
    return tuple(sorted(token for token in found if token not in _SILENT))


def restates(answer: str, echoes: Collection[str]) -> bool:
    """Whether each side of an answer has the form of a side of one echo."""
    return any(forms(answer) <= forms(echo) for echo in echoes)


def is_number(text: str) -> bool:
    """Whether an expression is a number, perhaps with a name in front."""
    return number(_values(text)[-1]) is not None


def _values(text: str) -> list[str]:
    text = without_remark(clean(text))[0]
    found = sides(text)
    return (found[1:] if len(found) > 1 and is_name(found[0]) else found) or [text]


def is_choice(gold: str) -> bool:
    """Whether a gold answer is the letter of a choice, which the problem lists beside its text."""
    return _CHOICE.fullmatch(words(clean(gold))) is not None


def expressions(problem: str) -> list[str]:
    """Formulas of a problem, their lines, sides, members and bracketed parts: different ones, the longest first."""
    problem = problem[:MAX_PROBLEM_CHARS]
    formulas = [next(filter(None, found)) for found in _FORMULA.findall(problem)]
    plain = [] if formulas else _PLAIN.findall(_DRAWING.sub(" ", problem))
    found: dict[str, str] = {}
    for formula in formulas or [run for run in plain if re.search(r"[-+*/^=\\]", run)]:
        for part in _parts(_LINES.sub("", formula)):
            part = (part if r"\begin" in part else part.replace("&", "")).strip(" .,;:\n")
            if 0 < len(part) <= MAX_CHARS:
                found.setdefault(key(part), part)
    return sorted(found.values(), key=len, reverse=True)[:MAX_EXPRESSIONS]


def _parts(formula: str) -> Iterator[str]:
    yield formula
    yield from _split(formula, r"\\\\")
    for inside in (formula, *_insides(formula)):
        yield inside
        yield from _split(inside, _RELATION)
        yield from _split(inside, _LIST)


def _insides(text: str) -> Iterator[str]:
    """Contents of brackets that are more than a number."""
    opened = []
    for place, character in enumerate(text):
        if character in "([{":
            opened.append(place + 1)
        elif character in ")]}" and opened:
            inside = text[opened.pop() : place].removesuffix("\\").removesuffix(r"\right")
            if number(inside) is None:
                yield inside


def _split(text: str, separator: str) -> list[str]:
    """`text` split at separators outside brackets and environments."""
    parts, start, depth = [], 0, 0
    for found in re.finditer(rf"{_NESTING}|(?P<cut>{separator})", text):
        depth += bool(found["open"]) - bool(found["close"])
        if found["cut"] and depth <= 0:
            parts.append(text[start : found.start()])
            start = found.end()
    return [*parts, text[start:]]
