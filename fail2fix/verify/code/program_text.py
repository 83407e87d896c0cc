r"""Find the program in a response: its last closed fenced block, by reading lines, never by parsing.

Knows: Markdown's fences. Must not know: Python's grammar (parsing model text can exhaust the parser), tests, sandboxes.
Linear in the text and safe in the trainer's process.

Decisions:
- A block opens with a line of at least three backticks (or tildes) and an optional language, which starts with a
  letter, "{" or "."; it closes with a line of at least as many marks and nothing else. A line with text before or after
  the marks is not a fence. The last block that closes is the program.
- The language must be Python or absent: if the last block has another language there is no program.
- A block that never closes (a truncated response) does not count; a closed one before it does.
- A response without a fence has no program. Guessing whether prose is code would open a second channel to hedge with.

>>> find_program("First:\n```python\nx = 1\n```\nBetter:\n```\nx = 2\n```\nDone.")
'x = 2\n'
"""

import re

MAX_RESPONSE_CHARS = 200_000
"""Last characters of a response that are read."""

MAX_PROGRAM_CHARS = 65_536
"""A longer program is not read: no data set has one, and it would be sent, compiled and written to dumps."""

_FENCE = re.compile(r" {0,3}(?P<marks>`{3,}|~{3,})[ \t]*(?P<info>(?:[\w{.][^`\n]*?)?)[ \t]*\r?\n?", re.ASCII)
_PYTHON = frozenset({"", "python", "python3", "py", "py3"})


def find_program(response: str) -> str:
    """The program in `response`, or "". Time and memory are linear in the text read."""
    program, opened, language, body = "", "", "", [""]
    for line in _tail(response).splitlines(keepends=True):
        fence = _FENCE.fullmatch(line)
        if not opened:
            if fence:
                opened, language, body = fence["marks"], fence["info"], []
        elif fence and fence["info"] == "" and fence["marks"].startswith(opened):
            program, opened = ("".join(body) if _is_python(language) else ""), ""
        else:
            body.append(line)
    return program if len(program) <= MAX_PROGRAM_CHARS and program.strip() else ""


def _tail(response: str) -> str:
    # A lone surrogate cannot be sent or printed, and every dump that holds it would fail.
    return response[-MAX_RESPONSE_CHARS:].encode("utf-8", "replace").decode()


def _is_python(info: str) -> bool:
    """Whether the first word of a fence's info string means Python ("python title=a.py", "{.python}")."""
    words = info.strip("{}").lstrip(".").lower().split()
    return (words[0] if words else "") in _PYTHON
