"""Text that others wrote, as a terminal or a log may show it: nothing in it is obeyed.

Knows: Unicode. Must not know: where the text came from. What a terminal would act on (escape sequences, carriage
returns, the order of writing) or not show at all is spelled out:

>>> printable("\\x1b[2Jred\\u202e")
'\\\\x1b[2Jred\\\\u202e'
"""

from __future__ import annotations

from unicodedata import category

# Control characters, formats (the order of writing, no width), halves of a character, line and paragraph ends.
_OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def printable(text: str) -> str:
    """`text` with every character that is not simply shown spelled out; line feeds and tabs stay."""
    return "".join(c if c in "\n\t" or category(c) not in _OBEYED else _spelled(c) for c in text)


def one_line(text: str) -> str:
    """The same in one line, each run of blanks one space."""
    return printable(" ".join(text.split()))


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode()
