"""Tests of programming contests as ground truths, in the three forms in which sets store them.

Knows: stdin and stdout; calls whose arguments stand on lines of JSON (LiveCodeBench); calls whose arguments are a list
(APPS, and what was made of it). Must not know: any one set, how programs are run.
"""

import json
from collections.abc import Mapping, Sequence

from fail2fix.data.sets.spec import UnusableRowError

UNREADABLE = "its tests cannot be read"
Pair = tuple[object, object]
"""What a test gives, and what it expects."""


def stdio(pairs: Sequence[Pair]) -> dict[str, object]:
    """Programs that read stdin and write stdout. APPS has either as a list of lines too."""
    return {"kind": "stdio", "tests": [{"stdin": _lines(given), "stdout": _lines(wanted)} for given, wanted in pairs]}


def json_lines(entry_point: str, pairs: Sequence[Pair]) -> dict[str, object]:
    """Calls: each line of the input is an argument, the output the result."""
    read = [([_json(line) for line in str(given).split("\n")], _json(str(wanted))) for given, wanted in pairs]
    return _calls(entry_point, read)


def argument_lists(entry_point: str, pairs: Sequence[Pair]) -> dict[str, object]:
    """Calls: the input is the list of arguments, the output the result, or a list that holds it alone.

    Their own scorer accepts both readings of such a list. One is chosen here, for all tests of a problem: the result is
    wrapped where every test's output is a list of one.
    """
    wrapped = all(isinstance(wanted, list) and len(wanted) == 1 for _, wanted in pairs)
    read = []
    for given, wanted in pairs:
        if not isinstance(given, list):
            raise UnusableRowError(UNREADABLE)
        read.append((given, wanted[0] if wrapped and isinstance(wanted, list) else wanted))
    return _calls(entry_point, read)


def entry_point(function: str, *shown: str) -> str:
    """How the function is called: as a method where what the problem shows has a class for it."""
    return f"Solution().{function}" if any("class Solution" in text for text in shown) else function


def form(starter: str, function: str = "") -> str:
    """What a prompt shows behind the problem."""
    if starter.strip():
        return f"\n\nComplete this:\n\n```python\n{starter}\n```"
    return f"\n\nWrite a function called `{function}`." if function else "\n\nRead stdin, print to stdout."


def parsed(tests: object) -> object:
    """What a column of tests holds, where it is text of JSON as well."""
    return _json(tests) if isinstance(tests, str) else tests


def pairs(tests: object) -> list[Pair]:
    """Of a list of `{"input": ..., "output": ...}`, or of APPS' object `{"inputs": [...], "outputs": [...]}`."""
    if isinstance(tests, list) and all(isinstance(test, Mapping) and test.keys() >= _KEYS for test in tests):
        return [(test["input"], test["output"]) for test in tests]
    if isinstance(tests, Mapping):
        inputs, outputs = tests.get("inputs"), tests.get("outputs")
        if isinstance(inputs, list) and isinstance(outputs, list) and len(inputs) == len(outputs):
            return list(zip(inputs, outputs, strict=True))
    raise UnusableRowError(UNREADABLE)


_KEYS = {"input", "output"}


def _calls(entry_point: str, pairs: Sequence[tuple[list[object], object]]) -> dict[str, object]:
    return {
        "kind": "calls",
        "prelude": "from typing import *\n",
        "entry_point": entry_point,
        "calls": [{"args": args, "expected": expected} for args, expected in pairs],
        "compare": {"equality": "python", "tuples_as_lists": True},
    }


def _json(text: str) -> object:
    try:
        found: object = json.loads(text)
    except ValueError:
        raise UnusableRowError(UNREADABLE) from None
    return found


def _lines(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)
