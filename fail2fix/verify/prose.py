r"""Find the answer of prose: in bold, after `is`, or the last formula or number of the last paragraph with one.

Knows: signs and words around a value. Must not know: channels, what equals what. Linear in the text.

A value that is denied (`not 13`, `13 is wrong`), bounded (`at most 13`) or part of a calculation (`5 + 13`, `13x`,
`13 million`) is no answer.

>>> last_said("So there are 7 apples.")[0], last_said("The value is minus 7.")[0], last_said("It is at most 7.")[0]
('7', '-7', '')
"""

import re
from typing import NamedTuple

MAX_LINE_CHARS = 200
"""A longer answer line is prose: its last formula or number is read."""

FORMULA = re.compile(
    r"\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]|\$\$(.{1,400}?)\$\$|(?<!\\)\$([^$\n]{1,400})(?<!\\)\$", re.DOTALL
)
NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.])-?(?:\\?\$ ?)?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?: ?/ ?\d+)?(?: ?\\?%)?(?!\d|[.,]\d)"
    r"|(?<![A-Za-z0-9_.])\.\d+|\\[dt]?frac\{-?\d+\}\{\d+\}"
)
_FORMULAS = re.compile(rf"(?:{FORMULA.pattern})(?:,? ?(?:and|or)? ?(?:{FORMULA.pattern}))*", re.DOTALL)
_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")
_VALUE = re.compile(r"\d|\\\(|\$")
_CALCULATES = (
    "divisible",
    "divided",
    "dividing",
    "divide",
    "division",
    "evenly",
    "multiplied",
    "multiplying",
    "multiply",
)
_NO_CALCULATION = "".join(rf"(?<!{word} )" for word in _CALCULATES)
_STATES = re.compile(
    rf"\b(?:is|are|equals|be|becomes|{_NO_CALCULATION}by)(?: indeed| thus| therefore)?:?\s+\**(?=[\d$\\(.-])"
)
WORD = re.compile(r"(?<![\\a-zA-Z{])[a-zA-Z]{4,}")
_PROSE = re.compile(r"[\u0590-\u1fff\u3040-\ud7ff]|(?:[a-zA-Z']{2,} ){2}")
COMMAND = re.compile(r"\\[a-zA-Z]+(?:\{[a-zA-Z ]*\})?")
_DENIED_BEFORE = re.compile(
    r"\b(?:(?:not|never|\w{2,6}n't|cannot|neither|nor|except|other than|rather than|instead of)(?: [a-zA-Z]+){0,3}"
    r"|(?:at (?:most|least)|up to|over|under|above|below|beyond|exceed(?:s|ed|ing)?|(?:less|fewer|smaller|lower|greater"
    r"|more|larger|bigger|higher) than)(?: (?:or )?equal to)?(?: about)?) ?[\s$(\\*]*\Z",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"[\s$)\\*]{0,4}\b(?:(?:is|are|was|were|be|do|does|did|can|could|will|would|should|has) (?:also )?(?:not|never)\b"
    r"|\w{2,6}n't\b|cannot\b|fails?\b|(?:is|was) (?:an? )?(?:wrong|incorrect|false|impossible|excluded|invalid"
    r"|extraneous|rejected|too)\b|or (?:less|more|fewer|greater|above|below|over|under)\b|at (?:most|least)\b)",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(r"(?<=[a-z:,] )(?<![\W\d][b-z] )(?:minus |negative |- )\Z", re.IGNORECASE)
_PART_BEFORE = re.compile(
    r"(?:[+±∓√∛^×·⋅÷/<>≤≥≠]|(?<=\d):|(?<=\w)\*|[\w)\]] ?-|[\w)\]] \*|\b(?:plus|minus|negative|times|root(?: of)?)) ?\Z",
    re.IGNORECASE,
)
_PART_AFTER = re.compile(
    r"[π√^×·⋅÷]|[/:](?=[\w({\\])|-\d|[abcdeijknopqrtuvwxyz](?![a-z])|\*\w"
    r"| (?:[+×·⋅÷/^<>≤≥≠]|\*(?!\*)|-(?= ?\d)) ?[\w($\\]"
    r"| (?:and a |an? )?(?:pi|π|hundred|thousand|million|billion|trillion|dozen|half|halves|thirds?|quarters?|squared"
    r"|cubed|factorial|mod|modulo|(?:divided|multiplied) by)\b",
    re.IGNORECASE,
)


class Said(NamedTuple):
    """What a paragraph says: its answer, the paragraph, and the whole equation whose right side the answer is."""

    answer: str
    paragraph: str
    equation: str = ""


def last_said(text: str) -> Said:
    """The answer of the last paragraph with a formula or number: in bold, after `is`, or last."""
    for paragraph in reversed(re.split(r"\n\s*\n", text[-4000:])):
        bold = [match for match in _BOLD.finditer(paragraph) if _VALUE.search(match[1])]
        if bold:
            formula = FORMULA.search(bold[-1][1])
            answer = _said_at(paragraph, *bold[-1].span(), _value(bold[-1][1]))
            return Said(answer, paragraph, inside(formula) if formula else "")
        stated = [match.end() for match in _STATES.finditer(paragraph)]
        if stated and (listed := _FORMULAS.match(paragraph, stated[-1])):
            said = [inside(formula) for formula in FORMULA.finditer(listed[0])]
            answer = _said_at(paragraph, *listed.span(), ", ".join(map(right_side, said)))
            return Said(answer, paragraph, said[0] if len(said) == 1 else "")
        if stated and (found := NUMBER.match(paragraph, stated[-1])):
            return Said(_number_at(paragraph, found), paragraph)
        formulas = [found for found in FORMULA.finditer(paragraph) if not _PROSE.search(COMMAND.sub("", found[0]))]
        if formulas:
            last = inside(formulas[-1])
            return Said(_said_at(paragraph, *formulas[-1].span(), right_side(last)), paragraph, last)
        numbers = list(NUMBER.finditer(paragraph))
        if numbers:
            return Said(_number_at(paragraph, numbers[-1]), paragraph)
    choice = re.match(r"\s*\(?([A-J])[.):。](?!\w)", text)
    return Said(choice[1] if choice else text.strip() if is_bare(text.strip()) else "", "")


def _said_at(text: str, start: int, end: int, answer: str) -> str:
    return "" if is_denied(text, start, end) else answer


def _number_at(text: str, found: re.Match[str]) -> str:
    """A number of prose, with a minus in words before it; "" if it is denied, bounded or part of a calculation."""
    start = found.start()
    negative = _NEGATIVE.search(text, max(0, start - 20), start)
    before = text[max(0, start - 30) : negative.start() if negative else start]
    if _PART_BEFORE.search(before) or _PART_AFTER.match(text, found.end()):
        return ""
    return _said_at(text, start, found.end(), ("-" if negative else "") + found[0].strip())


def _value(bold: str) -> str:
    formula = FORMULA.search(bold)
    if formula:
        return _said_at(bold, *formula.span(), right_side(inside(formula)))
    numbers = list(NUMBER.finditer(bold))
    return _number_at(bold, numbers[-1]) if numbers and WORD.search(bold) else bold.strip(" .:")


def right_side(formula: str) -> str:
    """The last side of a line of working."""
    exact, _, _ = formula.partition(r"\approx") if "=" in formula else (formula, "", "")
    return re.split(r"(?<![<>!:])=", exact)[-1].strip(" .,")


def inside(formula: re.Match[str]) -> str:
    return next(group for group in formula.groups() if group is not None).strip()


def is_bare(text: str) -> bool:
    """Whether a text is only an answer: one line, no prose."""
    plain = COMMAND.sub(" ", text)
    return len(text) <= MAX_LINE_CHARS and "\n" not in text and not (WORD.search(plain) or _PROSE.search(plain))


def is_denied(text: str, start: int, end: int) -> bool:
    """Whether the words around a value from `start` to `end` deny or bound it."""
    before, after = text[max(0, start - MAX_LINE_CHARS) : start], text[end : end + MAX_LINE_CHARS]
    return _DENIED_BEFORE.search(before) is not None or _DENIED_AFTER.match(after) is not None
