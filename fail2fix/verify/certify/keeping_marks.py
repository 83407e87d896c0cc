r"""Re-spellings of a gold answer that change its look only: delimiters, fonts, colors, blanks, brackets, signs."""

from __future__ import annotations

import re
from random import Random

from fail2fix.verify.certify.pieces import Kind, framed, is_formula, is_whole, phrase, replaced

_BINARY = r"(?<=[\w)}\]]) ?(?<!\^)([+=<>-]) ?(?=[\w(\\\[])"
_BETWEEN = r"(?<=\d) ?(?=\\(?:sqrt|pi|frac)(?![a-zA-Z]))(?<!\\frac\d)(?<!_\d)(?<!\^\d)"


def _coefficient(between: str) -> Kind:
    """A sign of multiplication between a number and a root, or the number pi."""
    pattern = re.compile(r"(?<![\w^_.,\\}])(\d+) ?(?=\\(?:sqrt|pi)(?![a-zA-Z]))")
    return Kind(f"coefficient{between}", "a coefficient is a factor", replaced(pattern.pattern, rf"\1{between}"))


def _sized(gold: str, _: Random) -> str:
    return _brackets(gold, r"\left", r"\right")


def _big(gold: str, _: Random) -> str:
    return _brackets(gold, r"\bigl", r"\bigr")


def _brackets(gold: str, left: str, right: str) -> str:
    """The text with sized brackets, unless some are sized or not in pairs."""
    if not is_formula(gold) or re.search(r"\\(?:left|right|[bB]ig|begin)|[_^]\(", gold):
        return ""
    marks = re.findall(r"\\?[(\[\])]", gold)
    if not marks or sum(mark in "([" for mark in marks) != sum(mark in ")]" for mark in marks):
        return ""
    return re.sub(r"([(\[])", lambda found: left + found[1], re.sub(r"([)\]])", lambda found: right + found[1], gold))


def _unsized(gold: str, _: Random) -> str:
    if not re.search(r"\\(?:left|right)(?![a-zA-Z])", gold) or re.search(r"\\(?:left|right)\s?\.", gold):
        return ""
    return re.sub(r"\\(?:left|right)(?![a-zA-Z])\s?", "", gold)


def _worded(command: str) -> Kind:
    return Kind(
        rf"\{command} around words",
        "the font of a word says nothing",
        lambda gold, _: rf"\{command}{{{said}}}" if (said := phrase(gold)) else "",
    )


def _digits_in(command: str) -> Kind:
    return Kind(
        rf"\{command} around a whole number", "the font of digits says nothing", framed(rf"\{command}{{", "}", is_whole)
    )


_WHOLE = {
    "dollars": ("$", "$"),
    "double dollars": ("$$", "$$"),
    "round delimiters": (r"\(", r"\)"),
    "square delimiters": (r"\[", r"\]"),
    "braces": ("{", "}"),
    "box in a box": (r"\boxed{", "}"),
    "frame in a box": (r"\fbox{", "}"),
    "displaystyle": (r"\displaystyle ", ""),
    "boldsymbol": (r"\boldsymbol{", "}"),
    "bm": (r"\bm{", "}"),
    "mathbf": (r"\mathbf{", "}"),
    "bf": (r"{\bf ", "}"),
    "color": (r"\color{red}{", "}"),
    "color in a group": (r"{\color{blue} ", "}"),
    "textcolor": (r"\textcolor{red}{", "}"),
    "underline": (r"\underline{", "}"),
    "large": (r"\large ", ""),
    "full stop": ("", "."),
    "comma at the end": ("", ","),
    "blanks around": ("  ", "  "),
    "lines around": ("\n", "\n"),
    "thin spaces around": (r"\,", r"\,"),
    "bold of Markdown": ("**", "**"),
    "struts": (r"\mathstrut ", ""),
    "phantom": (r"\vphantom{1}", ""),
}

KINDS = (
    *(Kind(name, "how a formula is set says nothing", framed(*around)) for name, around in _WHOLE.items()),
    *(_digits_in(command) for command in ("mathrm", "text", "textbf", "mathit")),
    *(_worded(command) for command in ("text", "textbf", "textit", "mathrm", "mbox", "textrm")),
    Kind("bare words", "a text command sets a word", lambda gold, _: said if (said := phrase(gold)) != gold else ""),
    Kind("capitalized words", "a word at the start of a sentence", lambda gold, _: phrase(gold).capitalize()),
    Kind("words and full stop", "a sentence ends with a stop", lambda gold, _: (said := phrase(gold)) and said + "."),
    Kind("blanks around signs", "blanks in a formula say nothing", replaced(_BINARY, r" \1 ")),
    Kind("no blanks around signs", "blanks in a formula say nothing", replaced(_BINARY, r"\1")),
    Kind("thin spaces around signs", "spaces in a formula say nothing", replaced(_BINARY, r"\\,\1\\,")),
    Kind("wide spaces around signs", "spaces in a formula say nothing", replaced(_BINARY, r"\\;\1\\;")),
    Kind("ties around signs", "a tie is a space", replaced(_BINARY, r"~\1~")),
    Kind("thin spaces after numbers", "spaces in a formula say nothing", replaced(_BETWEEN, r"\\,")),
    Kind("blank after commas", "blanks in a list say nothing", replaced(r",(?!\d{3}(?!\d)) ?(?=\S)", ", ")),
    Kind("no blank after commas", "blanks in a list say nothing", replaced(r"(?<!\d), (?=\S)|(?<=\d), (?!\d{3})", ",")),
    Kind("thin space after commas", "spaces in a list say nothing", replaced(r",(?!\d{3}(?!\d)) ?(?=\S)", r",\\,")),
    Kind(
        "blanks inside brackets", "blanks in a formula say nothing", replaced(r"([(\[])(?=\w)|(?<=\w)([)\]])", r"\1 \2")
    ),
    Kind("negative space", "it only moves what follows", replaced(r"(?<=[\d}])(?=\()", r"\\!")),
    Kind("left and right", "the size of brackets says nothing", _sized),
    Kind("no left and right", "the size of brackets says nothing", _unsized),
    Kind("big brackets", "the size of brackets says nothing", _big),
    Kind("lbrace", "the name of a brace", replaced(r"\\([{}])", lambda m: r"\lbrace " if m[1] == "{" else r"\rbrace ")),
    Kind("true minus", "the same sign in Unicode", replaced("-", "−")),
    Kind("pi of Unicode", "the same letter in Unicode", replaced(r"\\pi(?![a-zA-Z])", "π")),
    Kind("infinity of Unicode", "the same sign in Unicode", replaced(r"\\infty(?![a-zA-Z])", "∞")),
    Kind("union of Unicode", "the same sign in Unicode", replaced(r"\\cup(?![a-zA-Z])", "∪")),
    Kind("relations of Unicode", "the same sign in Unicode", replaced(r"\\leq?(?![a-zA-Z])", "≤")),
    Kind("root of Unicode", "the same sign in Unicode", replaced(r"\\sqrt\{(\d+)\}", r"√\1")),
    Kind("square of Unicode", "the same power in Unicode", replaced(r"\^(?:2|\{2\})(?!\d)", "²")),
    Kind("leqslant", "another shape of a sign", replaced(r"\\(l|g)eq?(?![a-zA-Z])", r"\\\1eqslant")),
    Kind("le and ge", "another name of a sign", replaced(r"\\(l|g)eq(?![a-zA-Z])", r"\\\1e")),
    Kind(
        "signs of programs",
        "a sign in ASCII",
        replaced(r"\\(l|g)eq?(?![a-zA-Z])", lambda m: "<=" if m[1] == "l" else ">="),
    ),
    Kind("lt and gt", "the name of a sign", replaced("[<>](?!=)", lambda m: r"\lt " if m[0] == "<" else r"\gt ")),
    Kind("ne", "another name of a sign", replaced(r"\\neq(?![a-zA-Z])", r"\\ne")),
    Kind("varnothing", "another shape of a sign", replaced(r"\\emptyset(?![a-zA-Z])", r"\\varnothing")),
    Kind("emptyset", "another shape of a sign", replaced(r"\\varnothing(?![a-zA-Z])", r"\\emptyset")),
    Kind("plus infinity", "a sign that changes nothing", replaced(r"(?<![+\w-])\\infty(?![a-zA-Z])", r"+\\infty")),
    Kind("mid for a bar", "another shape of a sign", replaced(r"(?<=\w) ?\| ?(?=\w[^|]*\\\})", r" \\mid ")),
    *map(_coefficient, (" ", r"\\cdot ", r" \\times ", "*")),
    Kind("times for cdot", "two signs of multiplication", replaced(r"\\cdot(?![a-zA-Z])", r"\\times")),
    Kind("cdot for times", "two signs of multiplication", replaced(r"\\times(?![a-zA-Z])", r"\\cdot")),
)
