r"""Normalize the many spellings of the same LaTeX. Text in, text out: nothing is parsed or evaluated.

Knows: spellings of fractions, spaces, delimiters, signs and text commands. Must not know: what an answer means. Every
pattern is linear in the text (no nested repetition), so hostile text costs no more than its length.

>>> clean(r"$\dfrac12\,\mbox{ cm}$")
'\\frac{1}{2} \\text{ cm}'
>>> key(r"\left( 1 , 2\right)") == key("(1,2)")
True
"""

import re
import unicodedata
from functools import lru_cache

_SUPERSCRIPTS = str.maketrans({c: f"^{n}" for n, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")})
_SIGNS = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "÷": "/", "∕": "/", "⁄": "/",
        "π": r"\pi ", "∞": r"\infty ", "≤": r"\leq ", "≥": r"\geq ", "≠": r"\neq ", "≈": r"\approx ", "±": r"\pm ",
        "∪": r"\cup ", "∈": r"\in ", "√": r"\sqrt ", "°": r"^\circ ", "’": "'", "，": ",", "。": ".", "：": ":",
        "…": r"\ldots ", "‥": r"\ldots ", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\u2060": "",
        "\ufeff": "",
        "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "θ": r"\theta ", "λ": r"\lambda ", "μ": r"\mu ",
        "φ": r"\phi ", "ω": r"\omega ",
    }
)  # fmt: skip

_REWRITES = [
    (re.compile(r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|limits|boldsymbol|mathbf|bm)(?![a-zA-Z])"), ""),
    (re.compile(r"\\[dtc](frac|binom)(?![a-zA-Z])"), r"\\\1"),
    (re.compile(r"\\varnothing(?![a-zA-Z])"), r"\\emptyset"),
    (re.compile(r"(?<![a-zA-Z\\])sqrt ?\(([^(){}]{1,40})\)"), r"\\sqrt{\1}"),
    (re.compile(r"\\(?:mbox|textbf|textit|textnormal|textrm|textup|mathrm|operatorname|rm)\s*(?=\{)"), r"\\text"),
    (re.compile(r"\s?\{ ?, ?\}\s?|,\s?\\!\s?"), ","),
    (re.compile(r"\\!|\\?\""), ""),
    (re.compile(r"\\[,;: ]|\\q?quad|(?<!\\)~"), " "),
    (re.compile(r"\\(?:\(|\)|\[|\])|(?<!\\)\$"), " "),
    (re.compile(r"\\\$"), ""),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"\\lbrace(?![a-zA-Z])"), r"\\{"),
    (re.compile(r"\\rbrace(?![a-zA-Z])"), r"\\}"),
    (re.compile(r"\\le(?![a-zA-Z])|<=|\\leqslant(?![a-zA-Z])"), r"\\leq"),
    (re.compile(r"\\ge(?![a-zA-Z])|>=|\\geqslant(?![a-zA-Z])"), r"\\geq"),
    (re.compile(r"\\not\s*(?:=|\\eq(?![a-zA-Z]))|\\ne(?![a-zA-Z])|!="), r"\\neq"),
    (re.compile(r"\\not\s*\\in(?![a-zA-Z])"), r"\\notin"),
    (re.compile(r"\\not\s*\\equiv(?![a-zA-Z])"), r"\\nequiv"),
    (re.compile(r"\\not\s*<"), r"\\nless "),
    (re.compile(r"\\not\s*>"), r"\\ngtr "),
    (re.compile(r"\\lt(?![a-zA-Z])"), "<"),
    (re.compile(r"\\gt(?![a-zA-Z])"), ">"),
    (re.compile(r"\\(?:ast|times|cdot)(?![a-zA-Z])"), r"\\cdot"),
    (re.compile(r"\^\s?\{\s?\\circ\s?\}|\\degree(?![a-zA-Z])"), r"^\\circ"),
    (re.compile(r"\+\s?\\infty"), r"\\infty"),
    # \frac12, \frac1{2}, \frac{1}2 and \sqrt3
    (re.compile(r"\\frac\s*([0-9])\s*([0-9])"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\frac\s*([0-9])\s*\{"), r"\\frac{\1}{"),
    (re.compile(r"\\frac\s?\{([^{}]{1,40})\}\s*([0-9])"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\sqrt\s*([0-9a-zA-Z])"), r"\\sqrt{\1}"),
    # A backslash before a digit means nothing in LaTeX.
    (re.compile(r"\\(?=[0-9])"), ""),
    (re.compile(r"_\s?\{\s?\\text\s?\{\s?(\w{1,20})\s?\}\s?\}"), r"_{\1}"),
    (re.compile(r"\s+"), " "),
]
_TEXT = re.compile(r"\\text\s?\{([^{}]*)\}")
_SCRIPT = re.compile(r"([_^])([0-9a-zA-Z])(?![0-9a-zA-Z])")
_BLANK = re.compile(r"\s(?!(?<=\d\s)\d)")
_SEPARATES = re.compile(r"[,;]|(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z])")
_OUTER = " .,;:"
_ROW = "\x00"
_ESCAPED = re.compile(r"\\\\(?=[a-zA-Z{}])")


_PLAIN = re.compile(r"(?!.*sqrt)[0-9a-zA-Z .,:;/+*()\[\]^=-]*")
"""Text that no rewrite changes."""


@lru_cache(maxsize=16_384)
def clean(text: str) -> str:
    """`text` in one spelling: readable LaTeX without math delimiters and outer punctuation."""
    if _PLAIN.fullmatch(text):
        return unwrapped(trimmed(re.sub(r" +", " ", text)))
    text = text.translate(_SUPERSCRIPTS).translate(_SIGNS)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    if r"\\begin" in text:  # written for a string literal: every backslash is doubled
        text = text.replace("\\\\", "\\")
    # The end of a matrix row is not a backslash before the next character.
    text = text.replace("\\\\", _ROW) if r"\begin" in text else _ESCAPED.sub(r"\\", text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return unwrapped(trimmed(text.replace(_ROW, "\\\\")))


@lru_cache(maxsize=16_384)
def key(text: str) -> str:
    """Comparison key: `clean` without text commands and blanks, except between digits, with one spelling of scripts."""
    text = _TEXT.sub(r"\1", clean(text))
    text = _SCRIPT.sub(r"\1{\2}", _BLANK.sub("", text)).replace(r"\cdot", "*")
    text = trimmed(text)
    letters = text.strip("()")
    return letters.lower() if len(letters) > 2 and is_word(letters.lower()) else text


def is_word(text: str) -> bool:
    """Whether letters are a word or an order of letters, not a product of names.

    >>> [is_word(text) for text in ("CAB", "HHT", "east", "no", "day", "abc", "mgh", "mM", "x")]
    [True, True, True, True, True, False, False, False, False]
    """
    if not text.isalpha() or len(text) < 2:
        return False
    if set(text.lower()) & set("eiou") or text.isupper() or len(set(text)) < len(text) or len(text) > 5:
        return True
    return "a" in text and len(text) > 2 and "".join(sorted(text)) not in (text, text[::-1])


def trimmed(text: str) -> str:
    """`text` without outer blanks and punctuation; a leading point may belong to a decimal."""
    text = text.rstrip(_OUTER).lstrip(" ,;:")
    return text if re.match(r"\.\d", text) else text.lstrip(_OUTER)


def unwrapped(text: str) -> str:
    """`text` without braces around all of it."""
    while text.startswith("{") and text.endswith("}") and closes_at_end(text):
        text = trimmed(text[1:-1])
    return text


def closes_at_end(text: str) -> bool:
    """Whether the last character closes the bracket that opens `text`."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth <= 0:
            return place == len(text) - 1
    return False


def end_of_group(text: str, start: int, opening: str = "([{", closing: str = ")]}") -> int:
    """End of the group that begins at `start`: a pair of brackets, or one character."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] in opening) - (text[place] in closing)
        if depth <= 0:
            return place + 1
    return len(text)


def words(text: str) -> str:
    r"""`text` as a reader sees it: contents of text commands in place of the commands.

    >>> words(r"6 \text{ or } 8")
    '6   or   8'
    """
    return _TEXT.sub(r" \1 ", text).strip()


def listed(text: str) -> str:
    r"""`text` with list separators taken out of its text commands; other text stays in them.

    >>> listed(r"6 \text{ cm or } 8 \text{ cm}")
    '6   cm or   8 \\text{ cm}'
    """
    return _TEXT.sub(lambda match: f" {match[1]} " if _SEPARATES.search(match[1]) else match[0], text).strip()
