"""Escape control characters in untrusted text before printing it.

Escaped is what a terminal acts on (escape sequences, carriage returns, text direction) or does not show:

>>> printable("\\x1b[2Jred\\u202e")
'\\\\x1b[2Jred\\\\u202e'
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unicodedata import category

from fail2fix.method.errors import InputError

# Control characters, formats (text direction, zero width), surrogates, line and paragraph separators.
_ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def printable(text: str) -> str:
    """`text` with control characters escaped; line feeds and tabs stay."""
    return "".join(
        c if c in "\n\t" or category(c) not in _ESCAPED else c.encode("unicode_escape").decode() for c in text
    )


def one_line(text: str) -> str:
    """`printable` in one line, each run of blanks one space."""
    return printable(" ".join(text.split()))


@contextmanager
def input_errors_in_one_line(program: str) -> Iterator[None]:
    """End the process with one line on stderr and exit status 2 on an `InputError`."""
    try:
        yield
    except InputError as error:
        print(f"{program}: error: {one_line(str(error))}", file=sys.stderr)
        sys.exit(2)
