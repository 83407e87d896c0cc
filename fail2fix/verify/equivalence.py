r"""Rewrite an answer to the form that others of the same meaning have: names of sets, ratios, columns, renamed letters.

Knows: texts in the spelling of `latex_text.clean`. Must not know: verdicts, processes. Computes nothing but small
binomials and remainders. Every rule says what it could wrongly accept:

- `plain_set`: `\text{no real solution}` is `\text{no solution}`; `x \neq 0` is a set of real numbers.
- `as_fraction`: odds of 1:2 and a probability of 1/2 are one number.
- `as_tuple`: a column of coordinates and a point have the same form.
- `without_remark`: a remark that only says which numbers a letter stands for says nothing if one answer lacks it.
- `renamed`: a letter of the answer's own, of a function's argument or of a whole number beside \pi, may be another one.
- `evaluated`: used on the gold answer and on working, so that an answer must still be computed.

>>> plain_set(r"\{x \mid -1<x<1\}"), plain_set(r"\text{all real numbers}")
('-1<x<1', '(-\\infty,\\infty)')
>>> as_fraction("5:8"), evaluated(r"\binom{5}{2}+1")
('\\frac{5}{8}', '10+1')
"""

import math
import re

from fail2fix.verify.answer_form import GREEK
from fail2fix.verify.exact_number import number
from fail2fix.verify.latex_text import words

MAX_REMARK_CHARS = 120

_PHRASES = {
    r"(-\infty,\infty)": r"\\mathbb ?\{R\}|(?:the )?(?:set of )?(?:all |every |any )?(?:the )?real numbers?|all reals",
    r"\emptyset": r"\\\{ ?\\\}|(?:there (?:is|are) )?no (?:real )?solutions?|(?:the )?empty set|none",
    r"\infty": r"infinitely many(?: solutions)?|an infinite number|infinite",
    "does not exist": r"dne|(?:it |the limit )?does not exist",
}
_NAMED_SETS = [(re.compile(phrase, re.IGNORECASE), plain) for plain, phrase in _PHRASES.items()]
_BUILDER = re.compile(
    r"\\\{ ?(?P<name>\\?[a-zA-Z]+)(?: ?\\in ?\\mathbb ?\{R\})? ?(?:\||\\(?:mid|vert)(?![a-zA-Z])|:) ?(?P<rule>.+)\\\}"
)
_UNEQUAL = re.compile(r"(?P<name>\\?[a-zA-Z]+) ?\\neq ?(?P<value>[^=<>]+)")
_WITHOUT = re.compile(r"\\mathbb ?\{R\} ?(?:\\setminus|\\backslash|-) ?\\\{(?P<value>[^{}]*(?:\{[^{}]*\}[^{}]*)*)\\\}")
_RATIO = re.compile(r"(?P<one>[^:=,]+)(?: ?: ?|(?<=\d)\s{1,3}to\s{1,3}(?=\d))(?P<two>[^:=,]+)")
_COLUMN = re.compile(r"\\begin ?\{(?P<kind>[pb]matrix)\}(?P<rows>.*)\\end ?\{(?P=kind)\}")
_ANGLES = re.compile(r"\\langle ?(.*?) ?\\rangle")
_CUT = re.compile(r",|\\text ?\{|\(|\\forall(?![a-zA-Z])|(?<![a-zA-Z\\])(?:for|where)(?![a-zA-Z])")
_TOKEN = re.compile(r"\\mathbb ?\{[A-Z]\}(?:[_^](?:\{[^{}]{1,6}\}|[0+*]))?|\\?[a-zA-Z]+|\S")
_REMARK_WORDS = re.compile(
    r"for|all|any|every|each|some|where|with|integers?|rational|natural|real|complex|numbers?|constants?|arbitrary|is|are"
    r"|an?|the|in|be|and|positive|negative|non|nonnegative|nonzero|\\in|\\forall|[,().^+-]|\\mathbb\{[ZNQRC]\}\S*"
)
_SAYS_FOR = frozenset({"for", "where", "with", "is", "are", r"\in", r"\forall"})
_SAYS_SO = re.compile(r"for|wh|wi|is|are|\\in")
_RANGES = {"integer": "Z", "integers": "Z", "natural": "N", "rational": "Q", "real": "R", "complex": "C"}
_SIGNS = {"positive": ">0", "negative": "<0", "nonnegative": "0", "nonzero": "*"}
_NAMED = re.compile(r"[a-zA-Z] ?(?==)")
_HEAD = re.compile(r" ?\\?[a-zA-Z]+\(([a-z])\) ?=")
_BESIDE_PI = re.compile(r"\\pi ?([j-n])(?![a-zA-Z])|(?<![a-zA-Z\\])([j-n]) ?\\pi(?![a-zA-Z])")
_COMMAND_OR_LETTER = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]")
_BINOMIAL = re.compile(r"\\binom ?\{ ?(\d{1,3}) ?\}\{ ?(\d{1,3}) ?\}")
_CHOOSE_FEW = re.compile(r"\\binom ?\{([^{}]{1,20})\}\{([1-4])\}")
_REMAINDER = re.compile(r"(\d{1,18}) ?\\b?mod(?![a-zA-Z]) ?(\d{1,9})(?!\d)")
_DIVISOR = re.compile(r"(?:\\gcd|\\text ?\{ ?(?:gcd|lcm) ?\}|\\lcm) ?\(([\d, ]{1,60})\)")


def plain_set(text: str) -> str:
    """A set of numbers as interval, union, inequality or list; other text unchanged."""
    said = " ".join(words(text).rstrip(".").split())
    for phrase, plain in _NAMED_SETS:
        if phrase.fullmatch(said):
            return plain
    if builder := _BUILDER.fullmatch(text):
        rule = builder["rule"].strip()
        if re.search(r"[<>]|\\[lgn]eq(?![a-zA-Z])", rule) and "=" not in rule and r"\in" not in rule:
            return plain_set(rule)
    if left_out := _UNEQUAL.fullmatch(text) or _WITHOUT.fullmatch(text):
        return _all_but(left_out["value"])
    return text


def _all_but(left_out: str) -> str:
    """The real numbers without one value, or without a few plain numbers."""
    points = [point.strip() for point in re.split(r",|\\text ?\{ ?(?:and|or) ?\}", left_out)]
    if len(points) > 1:
        exact = {point: number(point) for point in points}
        if any(found is None for found in exact.values()):
            return rf"\mathbb{{R}}\setminus\{{{left_out}\}}"
        points.sort(key=lambda point: exact[point].value)  # type: ignore[union-attr]
    ends = [r"-\infty", *points, r"\infty"]
    return r"\cup".join(f"({start},{end})" for start, end in zip(ends, ends[1:], strict=False))


def as_fraction(text: str) -> str:
    """A ratio of two as a fraction, or other text unchanged."""
    ratio = _RATIO.fullmatch(words(text))
    return rf"\frac{{{ratio['one'].strip()}}}{{{ratio['two'].strip()}}}" if ratio else text


def as_tuple(text: str) -> str:
    """A vector as a tuple of its coordinates: a matrix of one column, or angle brackets."""
    if column := _COLUMN.fullmatch(text.strip()):
        rows = [row.strip() for row in column["rows"].split(r"\\") if row.strip()]
        if len(rows) > 1 and "&" not in column["rows"] and r"\begin" not in column["rows"]:
            return f"({','.join(rows)})"
    angles = _ANGLES.fullmatch(text.strip())
    return f"({angles[1]})" if angles else text


def without_remark(text: str) -> tuple[str, str, str]:
    r"""An answer, the letter that a remark at its end is about, and the numbers that it stands for, or "" and "".

    >>> without_remark(r"\frac{\pi}{4}+k\pi \text{ where } k \text{ is an integer}"), without_remark("cx, x>0")
    (('\\frac{\\pi}{4}+k\\pi', 'k', 'Z'), ('cx, x>0', '', ''))
    """
    if not _SAYS_SO.search(text, max(0, len(text) - MAX_REMARK_CHARS)):
        return text, "", ""
    for cut in list(_CUT.finditer(text, max(1, len(text) - MAX_REMARK_CHARS)))[:12]:
        tokens = [token.replace(" ", "") for token in _TOKEN.findall(words(_closed(text[cut.start() :])))]
        about = {token for token in tokens if len(token) == 1 and token.isalpha()}
        about -= {"a"} if "is" in tokens else set()
        known = all(token in about or _REMARK_WORDS.fullmatch(token) for token in tokens)
        if known and len(about) == 1 and _SAYS_FOR & set(tokens):
            return text[: cut.start()].rstrip(" ,"), about.pop(), _range(tokens)
    return text, "", ""


def _range(tokens: list[str]) -> str:
    """The numbers that a remark names, in one spelling, or ""."""
    named = [token[8:].replace("}", "").strip("_^{") for token in tokens if token.startswith(r"\mathbb")]
    said = [_RANGES[token] for token in tokens if token in _RANGES] + [_SIGNS[t] for t in tokens if t in _SIGNS]
    return "".join(named or said)


def _closed(text: str) -> str:
    return text + "}" * (text.count("{") - text.count("}"))


def renamed(gold: str, pred: str, declared: str = "") -> str:
    """`pred` with its own letters as in `gold`: a function's argument, a whole number beside pi, or `declared`."""
    heads = _HEAD.match(gold), _HEAD.match(pred)
    if heads[0] and heads[1]:
        pred = _with_letter(pred, heads[1][1], heads[0][1])
    indices = [{one or two for one, two in _BESIDE_PI.findall(text)} for text in (gold, pred)]
    # Without other letters: a given number may stand beside pi too, as in n\pi r.
    if all(
        len(found) == 1 and letters(_NAMED.sub("", text)) == found
        for found, text in zip(indices, (gold, pred), strict=True)
    ):
        pred = _with_letter(pred, *indices[1], *indices[0])
    missing = letters(gold) - letters(pred)
    if declared and declared not in letters(gold) and len(missing) == 1:
        pred = _with_letter(pred, declared, missing.pop())
    return pred


def letters(text: str) -> set[str]:
    """The letters of a text that are no part of a command."""
    return {found for found in _COMMAND_OR_LETTER.findall(text) if len(found) == 1}


def _with_letter(text: str, old: str, new: str) -> str:
    """`text` with another letter, unless it has that one already."""
    if old == new or new in letters(text):
        return text
    return _COMMAND_OR_LETTER.sub(lambda found: new if found[0] == old else found[0], text)


def evaluated(text: str) -> str:
    """`text` with the values of small binomials, remainders and greatest common divisors."""
    text = _BINOMIAL.sub(lambda found: str(math.comb(int(found[1]), int(found[2]))), text)
    text = _CHOOSE_FEW.sub(_product, text)
    text = _REMAINDER.sub(lambda found: str(int(found[1]) % int(found[2])) if int(found[2]) else found[0], text)
    return _DIVISOR.sub(_common, text)


def _product(binomial: re.Match[str]) -> str:
    """`n(n-1)/2` for `n` over 2, and so on up to 4."""
    count = int(binomial[2])
    factors = "".join(f"({binomial[1]}-{taken})" if taken else f"({binomial[1]})" for taken in range(count))
    return rf"\frac{{{factors}}}{{{math.factorial(count)}}}"


def _common(call: re.Match[str]) -> str:
    values = [int(value) for value in call[1].replace(" ", "").split(",") if value]
    return str((math.lcm if "lcm" in call[0] else math.gcd)(*values)) if all(values) else call[0]


def solved_for(text: str, pred: str) -> tuple[str, str] | None:
    r"""Both sides of an equation with `pred` for its one letter that `pred` lacks: `xy = 6` with `\frac{6}{x}` for y.

    The letter must occur once, as a factor or a summand, so that no other solution is left out.
    """
    names = [found for found in _COMMAND_OR_LETTER.findall(text) if len(found) == 1 or found[1:] in GREEK]
    missing = [name for name in names if name not in _COMMAND_OR_LETTER.findall(pred)]
    if len(missing) != 1 or len(set(names)) < 2:
        return None
    at = re.search(re.escape(missing[0]) + r"(?![a-zA-Z])" * (len(missing[0]) > 1), text)
    if not at or re.match(r" ?[_^'(!]", text[at.end() :]) or re.search(r"[\^_(|{]|\\[a-zA-Z]+ ?\Z", text[: at.start()]):
        return None
    one, _, two = f"{text[: at.start()]}({pred}){text[at.end() :]}".partition("=")
    return one, two
