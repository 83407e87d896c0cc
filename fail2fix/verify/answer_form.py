r"""Outer form of an answer: a list, a tuple, an interval, a set, an equation, or one plain expression.

Knows: brackets, separators, relation signs and names. Must not know: values. Linear in the text; evaluates nothing.

>>> items(r"-1, 2 \text{ and } -2")
['-1', '2', '-2']
>>> bracketed("[0,1)")
('[', ['0', '1'], ')')
>>> sides("x = 3 = 2 + 1")
['x', '3', '2 + 1']
"""

import re
from collections.abc import Collection

from fail2fix.verify.exact_number import NO_UNIT
from fail2fix.verify.finished import FUNCTIONS, TASKS
from fail2fix.verify.latex_text import clean, closes_at_end, key, listed, trimmed, unwrapped, words

_WORD_SEPARATOR = re.compile(r"(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z])")
_JOINED_SEPARATOR = re.compile(r"(?<=[0-9)\]}])(?:or|and)(?=[0-9(\[{A-Za-z\\-])")
_RELATION = re.compile(
    r"\\approx(?![a-zA-Z])|:=|(?<![<>:])(?:(?<!!)|(?<=[\d)]!))=(?!=)|\\in(?![a-zA-Z])|\\equiv(?![a-zA-Z])"
)
_WORKING = re.compile(r"\\(?:int|sum|prod|lim|binom|max|min)(?![a-zA-Z])")
_INEQUALITY = re.compile(r"\\leq(?![a-zA-Z])|\\geq(?![a-zA-Z])|<|>")
_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_LEADING_PLUS = re.compile(r"(?:(?<=[(\[{,=])|\A) ?\+")
GREEK = frozenset(
    re.findall(
        r"\w+",
        """
    alpha beta gamma delta theta phi Phi lambda Lambda mu omega Omega sigma Sigma tau rho Delta epsilon varepsilon
    varphi psi Psi nu xi eta zeta kappa chi
    """,
    )
)
_NAME_COMMANDS = (
    frozenset(
        re.findall(
            r"\w+",
            """
    angle triangle overline text frac max min vec hat bar widehat overarc prime mathcal mathbb overrightarrow
    """,
        )
    )
    | GREEK
)
_NAME_BODY = re.compile(r"(?:[A-Za-z|:'(){},_ ]|_\{?[0-9a-zA-Z]+\}?|(?<=[(,])-?\d+(?=[),]))+")
_SUBSCRIPT = re.compile(r"_ ?\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")
_TERM = re.compile(r"[|(\[]?\\?[A-Za-z]")
_COEFFICIENT = re.compile(r"\d{1,4} ?\*? ?(?=\\?[a-zA-Z])")
_CONSTANT_IN_TERM = re.compile(r"\\pi(?![a-zA-Z])|\\(?:sqrt|frac|overline) ?\{[^a-zA-Z]*\}")
_TERM_COMMANDS = _NAME_COMMANDS | set(re.findall(r"\w+", "sqrt pi cdot circ lvert rvert mid leq geq cap cup"))
_TEXT = re.compile(r"\\text ?\{([^{}]*)\}")
_NAMES_IN_TEXT = re.compile(r"(?:[a-zA-Z'-]+ ?){1,6}")
_CONSTANT = re.compile(
    rf"\\begin\{{.*?\\end\{{\w+\}}|\\(?:frac|sqrt|pi|cdot|text)(?![a-zA-Z])|{FUNCTIONS.pattern}"
    r"|(?<![a-zA-Z])[ei](?![a-zA-Z])"
)
_PLAIN_COMMANDS = GREEK | set(re.findall(r"\w+", "frac binom sqrt pi cdot bar hat sin cos tan ln log"))
_NO_SUM = re.compile(r"[^\w\s+*/^=!'(){}\[\].\\-]|\\\\|[<>=:!]=")
_ENDS_A_TERM = re.compile(r"[\w)}\]!'] ?\Z")
_OPEN, _CLOSE = "([{", ")]}"


def items(text: str) -> list[str]:
    """Members of a list: split at top-level commas, semicolons, `and` and `or`, without empty ones.

    `p=5,q=2; p=7,q=2` lists two pairs.
    """
    text = listed(_JOINED_SEPARATOR.sub(",", text))
    for strong in (_split(text, ";"), _WORD_SEPARATOR.split(text)):
        groups = [_members(group, ",") for group in strong]
        together = ";" in text or all("=" in member for group in groups for member in group)
        if len(groups) > 1 and together and all(len(group) > 1 for group in groups):
            return [f"({','.join(group)})" for group in groups]
    return _members(_WORD_SEPARATOR.sub(",", text), ",;")


def bracketed(text: str) -> tuple[str, list[str], str] | None:
    """`(open, members, close)` of a list of two or more in one pair of brackets, or of a set; else None.

    Open and close are one of `( [ {` and `) ] }`; half-open intervals mix them.
    """
    text = text.replace(r"\{", "{").replace(r"\}", "}")
    if not text or text[0] not in _OPEN or text[-1] not in _CLOSE or not closes_at_end(text):
        return None
    members = items(text[1:-1])
    if len(members) < 2 and text[0] != "{":
        return None
    return text[0], members, text[-1]


def union(text: str) -> list[str]:
    r"""Parts of a union of sets, split at `\cup`, or at `or` between inequalities in one name."""
    parts = [part.strip() for part in re.split(r"\\cup(?![a-zA-Z])", text)]
    if len(parts) == 1 and _INEQUALITY.search(text):
        ranges = [part.strip(" ,") for part in re.split(r"(?<![a-zA-Z\\])or(?![a-zA-Z])", words(text))]
        named = [side.strip() for part in ranges for side in (*_INEQUALITY.split(part), *sides(part)[:-1])]
        pieces = [interval_of(part) or _single(part) for part in ranges]
        if len(set(filter(is_name, named))) == 1 and all(pieces):
            return [piece for piece in pieces if piece]
    return parts


def _single(text: str) -> str:
    """The set of the one value that an equation in one name gives, or ""."""
    both = sides(text)
    return rf"\{{{both[1]}\}}" if len(both) == 2 and is_name(both[0]) else ""


def sides(text: str) -> list[str]:
    r"""Sides of a chain of `=`, `\approx`, `\in`; one side if there is no relation."""
    parts, start = [], 0
    for relation in _relations(text):
        parts.append(text[start : relation.start()])
        start = relation.end()
    return [part for part in (trimmed(part.strip(" &")) for part in (*parts, text[start:])) if part]


def _relations(text: str) -> list[re.Match[str]]:
    """The relations outside brackets: `P(X=2)` is one side."""
    if "=" not in text and "\\" not in text:
        return []
    found, depth, place = [], 0, 0
    for relation in _RELATION.finditer(text):
        before = text[place : relation.start()]
        depth += sum(map(before.count, _OPEN)) - sum(map(before.count, _CLOSE))
        place = relation.start()
        if depth <= 0:
            found.append(relation)
    return found


def is_approximate(text: str) -> bool:
    r"""Whether the last relation of a chain is `\approx`: the text after it only illustrates."""
    found = _relations(text)
    return bool(found) and found[-1][0] == r"\approx"


def is_constant(text: str) -> bool:
    """Whether a side of an equation holds no name."""
    return not any(c.isalpha() for c in _CONSTANT.sub("", text))


def is_name(text: str) -> bool:
    r"""Whether a side of an equation only names the value: `x`, `a_n`, `f(x)`, `AB`, `(p,q)`, `S:T`.

    >>> [is_name(side) for side in ("x", "a_{n}", "f(x)", "(p,q)", "2x", r"\cos(x)", "x^2", "7")]
    [True, True, True, True, False, False, False, False]
    """
    if len(text) > 60 or not _only_names(text, _NAME_COMMANDS):
        return False
    bare = _COMMAND.sub(lambda found: "x" if found[1] in GREEK else "", _SUBSCRIPT.sub("", text)).strip()
    return bool(bare) and any(c.isalpha() for c in bare) and _NAME_BODY.fullmatch(bare) is not None


def is_term(text: str) -> bool:
    r"""Whether a side of an equation is a quantity of names: a term, or a sum of terms with whole coefficients.

    >>> [is_term(side) for side in ("x^3", r"\cos\angle RPS", "|r-s|", "f(3)", "m+n", "100m+n", "[ABC]", "x^2+y^2")]
    [True, True, True, True, True, True, True, True]
    >>> [is_term(side) for side in ("x+1", "3x", "-x", r"\sqrt{50}", "x<8, x")]
    [False, False, False, False, False]
    """
    terms = [term.strip() for term in _split(text, "+-")]
    if len(_split(text, ",;")) > 1 or _INEQUALITY.search(text) or TASKS.search(text) or len(terms) > 6:
        return False
    return all(_is_one_term(_COEFFICIENT.sub("", term) if len(terms) > 1 else term) for term in terms)


def _is_one_term(text: str) -> bool:
    if not _TERM.match(text) or r"\text" in text[1:] or _CONSTANT_IN_TERM.search(text):
        return False
    return _only_names(FUNCTIONS.sub("", text), _TERM_COMMANDS) and not is_constant(text)


def is_unreadable_working(text: str) -> bool:
    r"""Whether a side of an equation is a computation that nothing here evaluates: `\sum_{k=1}^{10} k`.

    A constant is none: its value can be compared.
    """
    said = words(text)
    return (
        _WORKING.search(text) is not None
        and any(c.isalpha() for c in _COMMAND.sub("", said))
        and not _INEQUALITY.search(text.replace(r"\to", ""))
        and not re.search(r"\\n[a-z]*eq|\\[pm][mp](?![a-zA-Z])|\\not", text)
        and len(_split(said, ",;")) == 1
        and not any(len(word[0]) > 1 for word in NO_UNIT.finditer(said))
    )


def _only_names(text: str, commands: Collection[str]) -> bool:
    """Whether a side of an equation is only a name: no other relation, no doubt, no value in words."""
    said = words(text)
    return (
        said.isascii()
        and len(_split(said, ",;")) == 1
        and not any(len(word[0]) > 1 for word in NO_UNIT.finditer(said))
        and all(_NAMES_IN_TEXT.fullmatch(content.strip()) for content in _TEXT.findall(_SUBSCRIPT.sub("", text)))
        and all(command in commands for command in _COMMAND.findall(text))
    )


def interval_of(text: str) -> str | None:
    r"""The interval that an inequality in one name describes; None for anything else.

    >>> interval_of("x < 3"), interval_of(r"5 \geq x"), interval_of(r"\frac{1}{2} \leq x \leq 8")
    ('(-\\infty,3)', '(-\\infty,5]', '[\\frac{1}{2},8]')
    """
    parts = [part.strip() for part in _INEQUALITY.split(text)]
    signs = _INEQUALITY.findall(text)
    if len(signs) == 1 and parts[0].startswith("-") and is_name(parts[0][1:]):
        parts, signs = [parts[0][1:], _negated(parts[1])], [_MIRRORED[signs[0]]]
    if all(sign in (">", r"\geq") for sign in signs):
        parts, signs = parts[::-1], [_MIRRORED[sign] for sign in reversed(signs)]
    if not signs or not all(sign in ("<", r"\leq") for sign in signs):
        return None
    named = [is_name(part) and part != "e" for part in parts]
    # `BC < AB < AC` is an order of names.
    if len(signs) == 2 and named[1] and not (all(named) and len(parts[1]) > 1 and parts[1][0] != "\\"):
        return f"{_open(signs[0])}{parts[0]},{parts[2]}{_close(signs[1])}"
    if named == [True, False]:
        return rf"(-\infty,{parts[1]}{_close(signs[0])}"
    return rf"{_open(signs[0])}{parts[0]},\infty)" if named == [False, True] else None


def alternatives(text: str) -> list[str]:
    r"""`text` with its one `\pm` read as plus and as minus; unchanged if there is none.

    >>> alternatives(r"1 \pm \sqrt{2}")
    ['1 +\\sqrt{2}', '1 -\\sqrt{2}']
    """
    if text.count(r"\pm") != 1:
        return [text]
    before, after = text.split(r"\pm")
    return [_LEADING_PLUS.sub("", clean(before + sign + after.lstrip())) for sign in "+-"]


def arranged(text: str) -> list[list[str]]:
    """The sides of an equation in one order, each with its terms in one order: the same for `a-b` and `-b+a`.

    Only of plain sums: what bars, rows, inequalities and operators of a task enclose has no brackets to tell.
    """
    plain = set(_COMMAND.findall(text)) <= _PLAIN_COMMANDS and not _NO_SUM.search(text)
    return sorted(sorted(_terms(side)) for side in text.split("=")) if plain else [[text]]


def _terms(text: str) -> list[str]:
    terms, depth = [""], 0
    for place, character in enumerate(text):
        if depth == 0 and character in "+-" and _ENDS_A_TERM.search(text[max(0, place - 2) : place]):
            terms.append("")
        depth += (character in _OPEN) - (character in _CLOSE)
        terms[-1] += character
    return [key(term if term[:1] in ("+", "-") else f"+{term}") for term in map(str.strip, terms)]


def _negated(text: str) -> str:
    if len(_split(text.removeprefix("-"), "+-")) > 1:
        return f"-({text})"
    return text[1:] if text.startswith("-") else f"-{text}"


_MIRRORED = {"<": ">", ">": "<", r"\leq": r"\geq", r"\geq": r"\leq"}


def _open(sign: str) -> str:
    return "(" if sign in "<>" else "["


def _close(sign: str) -> str:
    return ")" if sign in "<>" else "]"


def _members(text: str, separators: str) -> list[str]:
    return [part for part in (unwrapped(trimmed(part)) for part in _split(text, separators)) if part]


def _split(text: str, separators: str) -> list[str]:
    """`text` split at separators outside brackets; a comma between groups of three digits is no separator."""
    if not any(separator in text for separator in separators):
        return [text]
    parts, depth, bars, start = [], 0, 0, 0
    for place, character in enumerate(text):
        depth += (character in _OPEN) - (character in _CLOSE)
        if character == "|":
            bars += 1
        if depth == 0 and bars % 2 == 0 and character in separators and not _groups_digits(text, place):
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def _groups_digits(text: str, place: int) -> bool:
    """Whether the comma at `place` groups digits (`12,345`): digits before, exactly three after, no blank."""
    return (
        text[place] == ","
        and text[max(0, place - 1) : place].isdigit()
        and re.match(r"\d{3}(?!\d)", text[place + 1 : place + 5]) is not None
        and re.search(r"(?<!\d)\d{1,3}$", text[max(0, place - 4) : place]) is not None
    )
