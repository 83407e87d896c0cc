r"""Cut a gold answer into pieces by its brackets, and say what kind of text it is: the tools of re-spellings.

Must not know: the verifier. A re-spelling that asked the verifier what a text means could not show where it is wrong.

>>> outer(r"(1,2), 3", ","), terms(r"2-\sqrt{3-x}")
(['(1,2)', ' 3'], ['2', '-\\sqrt{3-x}'])
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

Change = Callable[[str, Random], str]
"""Another spelling of a gold answer; "" where the kind says nothing about it."""


@dataclass(frozen=True)
class Kind:
    """`why`: the reason why the spelling keeps, or alters, the value of every gold answer that it applies to."""

    name: str
    why: str
    change: Change


NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_TEXT = re.compile(
    r"\\(?:text|mbox|textbf|textit|textrm|mathrm|operatorname)\s?\{[^{}]*\}|\\(?:begin|end)\s?\{[^{}]*\}(?:\{[^{}]*\})?"
)
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_WORD = re.compile(r"[a-zA-Z]{3,}|(?<![a-zA-Z])or(?![a-zA-Z])")
_PHRASE = re.compile(r"(?:\\text ?\{)?([a-zA-Z][a-z]{2,}(?: [a-z]{2,}){0,3})\}?")
_VOWEL = re.compile("[aeiouyAEIOUY]")
_RELATION = re.compile(
    r"[=<>:|~]|\\(?:leq?|geq?|neq?|lt|gt|leqslant|geqslant|approx|equiv|in|notin|mid|cup|cap|setminus|to|pm|mp|forall"
    r"|quad|text|mbox|mathrm|pmod|bmod|mod|subset|ldots|dots|cdots|displaystyle)(?![a-zA-Z])"
)
_MARK = re.compile(r"\\[a-zA-Z]+|\\.|.", re.DOTALL)
_OPEN, _CLOSE = ("(", "[", "{", r"\{"), (")", "]", "}", r"\}")


def replaced(pattern: str, replacement: str | Callable[[re.Match[str]], str], count: int = 0) -> Change:
    """The text with a pattern replaced outside words and names of environments; "" if nothing changes."""
    compiled = re.compile(pattern)

    def change(gold: str, _: Random) -> str:
        if not is_formula(gold):
            return ""
        pieces, start = [], 0
        for text in _TEXT.finditer(gold):
            pieces += [compiled.sub(replacement, gold[start : text.start()], count), text[0]]
            start = text.end()
        said = "".join([*pieces, compiled.sub(replacement, gold[start:], count)])
        return said if said != gold else ""

    return change


def framed(before: str, after: str = "", where: Callable[[str], bool] | None = None) -> Change:
    """The text between two others, where a condition holds (`is_formula` by default)."""
    holds = where or is_formula
    return lambda gold, _: before + gold + after if holds(gold) else ""


def matched(pattern: str, spelled: str | Callable[[re.Match[str]], str]) -> Change:
    """The text as another one, where it is of this form as a whole; a text is a template of the match."""
    compiled = re.compile(pattern)

    def change(gold: str, _: Random) -> str:
        found = compiled.fullmatch(gold.strip())
        if not found:
            return ""
        return found.expand(spelled) if isinstance(spelled, str) else spelled(found)

    return change


def is_formula(text: str) -> bool:
    """Whether a text is mathematics without prose and without delimiters of its own."""
    plain = _COMMAND.sub(" ", _TEXT.sub(" ", text))
    return not _WORD.search(re.sub("[A-Z]{3,}", "", plain)) and not re.search(r"\$|`|\\\(|\\\[|boxed|\\\\[a-z]", text)


def is_expression(text: str) -> bool:
    """Whether a text is one expression: no relation, list, set or text command."""
    return is_formula(text) and not _RELATION.search(text) and not re.search(r"[,;%]|\\[{}$]|\\begin|\^\\circ", text)


def is_value(text: str) -> bool:
    """Whether a text is an expression without names, other than the constants."""
    return is_expression(text) and not re.search(r"[a-zA-Z]|\\(?!frac|dfrac|sqrt|pi|cdot)[a-zA-Z]", _constant(text))


def _constant(text: str) -> str:
    return re.sub(r"\\(?:[dt]?frac|sqrt|pi|cdot)(?![a-zA-Z])", "", text)


def is_whole(text: str) -> bool:
    return re.fullmatch(r"-?\d+", text) is not None


def phrase(text: str) -> str:
    """The words of a gold answer of words, or "": each has a vowel, so that `pqr` is none."""
    found = _PHRASE.fullmatch(text.strip())
    return (
        found[1] if found and all(map(_VOWEL.search, found[1].split())) and text.count("{") == text.count("}") else ""
    )


def outer(text: str, separator: str) -> list[str]:
    """The text cut at a pattern outside brackets."""
    parts, start, depth = [], 0, 0
    cut = re.compile(separator)
    for mark in _MARK.finditer(text):
        depth += (mark[0] in _OPEN) - (mark[0] in _CLOSE)
        if depth == 0 and cut.fullmatch(mark[0]):
            parts.append(text[start : mark.start()])
            start = mark.end()
    return [*parts, text[start:]]


def terms(text: str) -> list[str]:
    """The terms of a sum with their signs; [] if the text is no sum of two or more."""
    if not is_expression(text):
        return []
    parts, depth = [""], 0
    for mark in _MARK.findall(text.strip()):
        depth += (mark in _OPEN) - (mark in _CLOSE)
        if depth == 0 and mark in "+-" and parts[-1].strip():
            if parts[-1].rstrip()[-1] in "+-*/^(":
                return []
            parts.append("")
        parts[-1] += mark
    whole = len(parts) > 1 and re.search(r"[+-]\s*\Z", text) is None
    return [part.strip() for part in parts] if whole else []


def joined(parts: list[str]) -> str:
    """The sum of terms with their signs."""
    return "".join(part if part[0] in "+-" else f"+{part}" for part in parts).removeprefix("+")


def members(text: str, opening: str = "", closing: str = "") -> list[str]:
    """Members of a list in these brackets, or in none; [] unless there are two or more plain ones."""
    text = text.strip()
    plain = re.sub(r"\\(?:left|right)\s?(?=\\?[\[\](){}])", "", text)
    inside = plain[len(opening) : len(plain) - len(closing)]
    if not (plain.startswith(opening) and plain.endswith(closing)) or not is_formula(text):
        return []
    # The brackets enclose the whole text.
    if opening and len(outer(plain, re.escape(closing))) != 2:
        return []
    found = [member.strip() for member in outer(inside, ",")]
    grouped = re.search(r"\d,(?:\\! ?)?\d{3}(?!\d)", inside)
    unclear = re.search(
        r"[<>|:;]|\\(?:in|mid|text|mbox|ldots|dots|cdots|leq?|geq?|neq?|pmod|forall|cup|pm|mp|approx)(?![a-zA-Z])",
        inside,
    )
    return [] if len(found) < 2 or not all(found) or grouped or unclear else found
