r"""Find the program in a response: a closed fenced block, by reading lines, never by parsing.

Knows: Markdown's fences. Must not know: Python's grammar (parsing model text can exhaust the parser), tests, sandboxes.
Linear in the text and safe in the trainer's process.

Decisions:
- A block opens with a line of at least three backticks (or tildes) and an optional language, which starts with a
  letter, "{" or "."; it closes with a line of at least as many marks and nothing else, at most three blanks deeper. A
  line with text before or after the marks is not a fence. Blanks and marks of a list item may stand before the opening
  marks; blanks as wide are taken from each line of the block.
- The language must be Python or absent. The last such block that closes is the program, whatever follows it.
- A block that never closes (a truncated response) does not count; a closed one before it does.
- Only the text after thinking is read; nothing is left of thinking that does not end.
- A response without a fence has no program. Guessing whether prose is code would open a second channel to hedge with.
- A benchmark's own rule may replace these (`RULES`), so that its figures compare with published ones.

>>> find_program("First:\n```python\nx = 1\n```\nBetter:\n```\nx = 2\n```\nDone.")
'x = 2\n'
"""

import re
from collections.abc import Callable
from typing import Literal, TypeAlias

from fail2fix.method.thinking import ThinkingMarks

BlockRule: TypeAlias = Literal["last_python", "livecodebench"]

MAX_RESPONSE_CHARS = 200_000
"""Last characters of a response that are read."""

MAX_PROGRAM_CHARS = 65_536
"""A longer program is not read: no data set has one, and it would be sent, compiled and written to dumps."""

_FENCE = re.compile(
    r"(?P<before>[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*)(?P<marks>`{3,}|~{3,})"
    r"[ \t]*(?P<info>(?:[\w{.][^`\n]*?)?)[ \t]*\r?\n?",
    re.ASCII,
)
_THINKING = ThinkingMarks.of()
_BYTE_ORDER_MARK = re.compile(r"^\ufeff", re.MULTILINE)
_PYTHON = frozenset({"", "python", "python3", "py", "py3"})


def find_program(response: str, rule: BlockRule = "last_python") -> str:
    """The program in `response`, or "". Time and memory are linear in the text read."""
    # A lone surrogate cannot be sent or printed, and every dump that holds it would fail.
    text = _THINKING.answer_of(response)[-MAX_RESPONSE_CHARS:].encode("utf-8", "replace").decode()
    program = RULES[rule](_BYTE_ORDER_MARK.sub("", text).splitlines(keepends=True))
    return program if len(program) <= MAX_PROGRAM_CHARS and program.strip() else ""


def _last_python(lines: list[str]) -> str:
    program, opened, depth, language, body = "", "", 0, "", [""]
    for line in lines:
        fence = _FENCE.fullmatch(line)
        if not opened:
            if fence:
                opened, depth, language, body = fence["marks"], len(fence["before"]), fence["info"], []
        elif fence and _closes(fence, opened, depth):
            program, opened = ("".join(body) if _is_python(language) else program), ""
        else:
            blanks = len(line) - len(line.lstrip(" \t"))
            body.append(line[min(depth, blanks) :])
    return program


def _closes(fence: re.Match[str], opened: str, depth: int) -> bool:
    before = fence["before"]
    return not fence["info"] and fence["marks"].startswith(opened) and not before.strip() and len(before) <= depth + 3


def _last_marked(lines: list[str]) -> str:
    """LiveCodeBench's rule: what stands between the last two lines that hold three backticks, in any language."""
    marked = [number for number, line in enumerate(lines) if "```" in line]
    return "".join(lines[marked[-2] + 1 : marked[-1]]) if len(marked) > 1 else ""


RULES: dict[BlockRule, Callable[[list[str]], str]] = {"last_python": _last_python, "livecodebench": _last_marked}


def _is_python(info: str) -> bool:
    """Whether the first word of a fence's info string means Python ("python title=a.py", "{.python}")."""
    words = info.strip("{}").lstrip(".").lower().split()
    return (words[0] if words else "") in _PYTHON
