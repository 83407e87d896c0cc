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

MAX_CHARS = 1000
"""Commands of a longer text keep their arguments as they are."""

_SUPERSCRIPTS = str.maketrans({c: f"^{n}" for n, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")})
_SIGNS = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "÷": "/", "∕": "/", "⁄": "/",
        "π": r"\pi ", "∞": r"\infty ", "≤": r"\leq ", "≥": r"\geq ", "≠": r"\neq ", "≈": r"\approx ", "±": r"\pm ",
        "∪": r"\cup ", "∈": r"\in ", "ℝ": r"\mathbb{R}", "∅": r"\emptyset ",
        "∀": r"\forall ", "°": r"^\circ ", "’": "'", "，": ",", "、": ",", "。": ".", "：": ":",
        "…": r"\ldots ", "‥": r"\ldots ", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\u2060": "",
        "\ufeff": "",
        "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "θ": r"\theta ", "λ": r"\lambda ", "μ": r"\mu ",
        "φ": r"\phi ", "ω": r"\omega ",
    }
)  # fmt: skip

_SILENT = """
    left right middle big Big bigg Bigg bigl Bigl biggl Biggl bigr Bigr biggr Biggr displaystyle textstyle scriptstyle
    limits nolimits boldsymbol mathbf mathit mathsf mathtt bm pmb bf it sf rm underline emph large Large LARGE huge Huge
    small normalsize mathstrut hfill
"""
"""How a formula looks says nothing."""

_RENAMED = r"""
    frac dfrac tfrac cfrac nicefrac sfrac | binom dbinom tbinom | emptyset varnothing | leq le leqslant
    geq ge geqslant | neq ne | cdot ast times
"""
_COMMANDS = (
    dict.fromkeys(_SILENT.split(), "")
    | {name: rf"\{group.split()[0]}" for group in re.split(r"[|\n]", _RENAMED) for name in group.split()}
    | dict.fromkeys(("space", "enspace", "thinspace"), " ")
    | {"lbrace": r"\{", "rbrace": r"\}", "lt": "<", "gt": ">", "degree": r"^\circ"}
)
_TEXT_COMMANDS = frozenset(re.findall(r"\w+", "mbox textbf textit textnormal textrm textup mathrm operatorname rm"))
_PLAIN_WORDS = """
    pi alpha beta gamma delta theta lambda mu omega sigma rho phi ln log sin cos tan cot arcsin arccos arctan
"""
_WORDS = {word: rf"\{word} " for word in _PLAIN_WORDS.split()} | dict.fromkeys(("infinity", "infty"), r"\infty")
_COMMAND_OR_WORD = re.compile(r"\\([a-zA-Z]+)(?=(\s*\{)?)|[a-zA-Z]{2,}")
_CONTROL = re.compile(r"[\x08\x0c](?=[a-z])|\t(?=(?:imes|riangle)(?![a-z])|extcirc)|\r(?=(?:ight|ho|angle)(?![a-z]))")
_CONTROLS = {"\x0c": r"\f", "\x08": r"\b", "\t": r"\t", "\r": r"\r"}

_REWRITES = [
    (trigger, re.compile(pattern), replacement)
    for trigger, pattern, replacement in (
        ("**", r"\A\s?\*\*(?!\*)((?:[^*]|\*(?!\*))+)\*\*\s?\Z", r"\1"),
        ("bmatrix", r"\{bmatrix\}", "{pmatrix}"),
        ("<su", r"<sup>([^<>]{1,40})</sup>", r"^{\1}"),
        ("<su", r"<sub>([^<>]{1,40})</sub>", r"_{\1}"),
        ("color", r"\\(?:text)?color(?:box)?\s?(?:\[[a-zA-Z]*\])?\s?\{[^{}]*\}", ""),
        ("space", r"\\[hv]space\*?\s?\{[^{}]*\}", ""),
        ("phantom", r"\\[hv]?phantom\*?\s?\{[^{}]*\}", ""),
        ("label", r"\\label\*?\s?\{[^{}]*\}", ""),
        (",", r"\s?\{ ?, ?\}\s?|,\s?\\!\s?", ","),
        ("\\!", r"\\!", ""),
        ('"', r"\\?\"", ""),
        ("quad", r"\\q?quad", " "),
        ("\\", r"\\[,;:> ()\[\]]", " "),
        ("~", r"(?<!\\)~", " "),
        ("$", r"(?<!\\)\$", " "),
        (
            r"\$",
            r"\\\$ ?(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?![\d.,]*\d| ?[\w\\(^/{*+-])",
            r"\1\\text{ dollars}",
        ),
        (r"\$", r"\\\$", ""),
        (r"\%", r"\\%", "%"),
        ("<=", "<=", r"\\leq"),
        (">=", ">=", r"\\geq"),
        (r"\not", r"\\not\s*(?:=|\\eq(?![a-zA-Z]))", r"\\neq"),
        ("!=", r"(?<![\d)])!=", r"\\neq"),
        (r"\not", r"\\not\s*\\in(?![a-zA-Z])", r"\\notin"),
        (r"\not", r"\\not\s*\\equiv(?![a-zA-Z])", r"\\nequiv"),
        (r"\not", r"\\not\s*<", r"\\nless "),
        (r"\not", r"\\not\s*>", r"\\ngtr "),
        ("^", r"\^\s?\{\s?\\circ\s?\}|\^\s?\\text(?:circ|degree)|(?<=\d)\^(?:o\b|\{o\})", r"^\\circ"),
        ("prime", r"(?<=[a-zA-Z])\^\s?(?:\{\s?\\prime\s?\}|\\prime(?![a-zA-Z]))", "'"),
        (r"\infty", r"\+\s?\\infty", r"\\infty"),
        # Mathematics in plain words.
        ("√", r"√\s?(\d+(?:\.\d+)?)", r"\\sqrt{\1}"),
        ("√", "√", r"\\sqrt "),
        ("sqrt", r"(?<![a-zA-Z\\])sqrt\s?(\d+(?:\.\d+)?)", r"\\sqrt{\1}"),
        ("sqrt", r"(?<![a-zA-Z\\])sqrt(?![a-zA-Z])", r"\\sqrt "),
        ("exp", r"(?<![a-zA-Z\\])exp ?(?=\()", r"\\exp"),
        ("**", r"\*\*", "^"),
        ("^", r"\^ ?\(([^(){}]{1,40})\)", r"^{\1}"),
        ("^", r"\^ ?(\d{2,}|-\d+)", r"^{\1}"),
        ("_", r"_ ?(\d{2,}|-\d+)", r"_{\1}"),
        # A backslash before a digit means nothing in LaTeX.
        ("\\", r"\\(?=[0-9])", ""),
        (r"\text", r"_\s?\{\s?\\text\s?\{\s?(\w{1,20})\s?\}\s?\}", r"_{\1}"),
    )
]
"""In this order, where the text holds the trigger: part of all that the pattern matches."""

_TEXT = re.compile(r"\\text\s?\{([^{}]*)\}")
_INFIX = re.compile(r"\\(over|choose)(?![a-zA-Z])")
_TAKES_ARGUMENTS = re.compile(r"\\(?:(frac|binom|exp)(?![a-zA-Z])|sqrt(?![a-zA-Z])\s?(?:\[[^][{}]*\])?)\s?")
_ARGUMENT = re.compile(r"\s?(?P<said>(?P<open>[{(])|\\[a-zA-Z]+(?:\{[^{}]*\}){0,2}|[0-9a-zA-Z])")
_CIRCLED = re.compile("[①-⑳](?!=)")
_QUOTED = re.compile(r"([\"'`])(.+)\1")
_SCRIPT = re.compile(r"([_^])(\d(?!\d)|[a-zA-Z](?![0-9a-zA-Z]))")
_POINT = re.compile(r"(?<![\w.)}])\.(?=\d)")
_BAR = re.compile(r"\\mid(?![a-zA-Z])")
_COEFFICIENT = re.compile(r"(?<=\d)\*(?=[a-zA-Z\\(])")
_ARGUMENT_OF_A_LETTER = re.compile(
    r"(\\(?:sin|cos|tan|ln|log)) ?(?:\( ?([a-z]) ?\)|\{ ?([a-z]) ?\})(?! ?(?:[\w(^{!]|\\(?![\\}]|end)))"
)
_BLANK = re.compile(r"\s(?!(?<=\d\s)\d)")
_SEPARATES = re.compile(r"[,;]|(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z])")
_OUTER = " .,;:"
_ROW = "\x00"
_ESCAPED = re.compile(r"\\\\(?=[a-zA-Z{}])")


_PLAIN = re.compile(r"(?!.*(?:[a-zA-Z]{2}|\*\*|\^))[0-9a-zA-Z .,:;/+*()\[\]=-]*")
"""Text that no rewrite changes."""


@lru_cache(maxsize=16_384)
def clean(text: str) -> str:
    """`text` in one spelling: readable LaTeX without math delimiters and outer punctuation."""
    if _PLAIN.fullmatch(text):
        return _as_fraction(unwrapped(trimmed(re.sub(r" +", " ", text))))
    if not text.isascii():
        text = _CIRCLED.sub(lambda found: f"{ord(found[0]) - ord('①') + 1},", text)
        text = unicodedata.normalize("NFKC", text.translate(_SUPERSCRIPTS).translate(_SIGNS))
    if r"\\begin" in text:  # written for a string literal: every backslash is doubled
        text = text.replace("\\\\", "\\")
    # The end of a matrix row is not a backslash before the next character.
    text = text.replace("\\\\", _ROW) if r"\begin" in text else _ESCAPED.sub(r"\\", text)
    if not text.isprintable():
        # Control characters of a text that was read as a string literal: \frac, \beta, \text, \right.
        text = _CONTROL.sub(lambda found: _CONTROLS[found[0]], text)
    text = _COMMAND_OR_WORD.sub(_spelled, text)
    for trigger, pattern, replacement in _REWRITES:
        if trigger in text:
            text = pattern.sub(replacement, text)
    text = " ".join(text.split()).removesuffix("^").removesuffix(" ")
    if len(text) <= MAX_CHARS:
        text = _with_braces(_without_infixes(text))
    quoted = _QUOTED.fullmatch(text.strip())
    return _as_fraction(unwrapped(trimmed((quoted[2] if quoted else text).replace(_ROW, "\\\\"))))


def _as_fraction(text: str) -> str:
    r"""`(a)/(b)`, if that is all of a text, as `\frac{a}{b}`."""
    if not (text.startswith("(") and text.endswith(")") and ")/(" in text):
        return text
    end = end_of_group(text, 0)
    whole = text[end : end + 2] == "/(" and closes_at_end(text[end + 1 :])
    return rf"\frac{{{text[1 : end - 1].strip()}}}{{{text[end + 2 : -1].strip()}}}" if whole else text


def _spelled(found: re.Match[str]) -> str:
    """A command or a word of several letters in its one spelling."""
    command = found[1]
    if command is None:
        return _WORDS.get(found[0], found[0])
    return r"\text" if command in _TEXT_COMMANDS and found[2] else _COMMANDS.get(command, found[0])


def _without_infixes(text: str) -> str:
    r"""`{a \over b}` as `\frac{a}{b}`, and `\choose` as `\binom`."""
    while infix := _INFIX.search(text):
        start = _end_of_side(text, infix.start() - 1, -1) + 1
        end = _end_of_side(text, infix.end(), 1)
        sides = f"{{{text[start : infix.start()].strip()}}}{{{text[infix.end() : end].strip()}}}"
        command = r"\frac" if infix[1] == "over" else r"\binom"
        # Braces that only group the two sides go with the infix.
        grouped = text[start - 1 : start] == "{" and text[start - 2 : start - 1] not in ("^", "_", "}", "]")
        text = f"{text[: start - grouped]}{command}{sides}{text[end + grouped :]}"
    return text


def _end_of_side(text: str, place: int, step: int) -> int:
    """The brace that closes the group around `place` in one direction, or the end of the text."""
    depth = 0
    while 0 <= place < len(text):
        depth += ((text[place] == "{") - (text[place] == "}")) * step
        if depth < 0:
            return place
        place += step
    return place


def _with_braces(text: str) -> str:
    r"""Braces around the arguments of `\frac`, `\binom`, `\sqrt` and `\exp`: `\frac ab`, `\frac\pi2`, `\sqrt(3)`."""
    for command in reversed(list(_TAKES_ARGUMENTS.finditer(text))):
        place, arguments = command.end(), []
        for _ in range(2 if command[1] in ("frac", "binom") else 1):
            argument = _ARGUMENT.match(text, place)
            if not argument:
                break
            end = argument.end()
            if argument["open"]:
                end = end_of_group(text, end - 1, *("{}" if argument["open"] == "{" else "()"))
            inside = text[argument.start("said") : end]
            arguments.append(unwrapped(inside[1:-1].strip()) if argument["open"] else inside)
            place = end
        else:
            name = "e^" if command[1] == "exp" else command[0].rstrip()
            text = text[: command.start()] + name + "".join(f"{{{one}}}" for one in arguments) + text[place:]
    return text


@lru_cache(maxsize=16_384)
def key(text: str) -> str:
    """Comparison key: `clean` without text commands and blanks, except between digits, with one spelling of scripts."""
    text = _TEXT.sub(r"\1", clean(text))
    if r"\mid" in text:
        text = _BAR.sub("|", text)
    if "." in text:
        text = _POINT.sub("0.", text)
    if "\\" in text:
        text = _ARGUMENT_OF_A_LETTER.sub(r"\1 \2\3", text)
    if "^" in text or "_" in text:
        text = _SCRIPT.sub(r"\1{\2}", text).replace(r"}^{\prime}", "}'")
    if " " in text:
        text = _BLANK.sub("", text)
    text = text.replace(r"\cdot", "*")
    if "*" in text:
        text = _COEFFICIENT.sub("", text)
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
    return text if text[1:2].isdecimal() else text.lstrip(_OUTER)


def unwrapped(text: str) -> str:
    """`text` without braces around all of it."""
    while text.startswith("{") and text.endswith("}") and closes_at_end(text):
        text = trimmed(text[1:-1])
    return text


def closes_at_end(text: str) -> bool:
    """Whether the last character closes the bracket that opens `text`."""
    depth = 0
    for place, character in enumerate(text):
        # One brace of `\{` may be open: cases have no other end.
        if not (place and character in "{}" and text[place - 1] == "\\"):
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
