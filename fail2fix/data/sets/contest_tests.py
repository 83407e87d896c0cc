"""Tests of programming contests as ground truths, in the three forms in which sets store them.

Knows: stdin and stdout; calls with one JSON argument a line (LiveCodeBench); calls with a list of arguments (APPS and
its successors). Must not know: any one set, how programs are run.
"""

import json
from collections.abc import Mapping, Sequence

from fail2fix.data.sets.spec import UnusableRowError, unusable

UNREADABLE = "its tests cannot be read"
Pair = tuple[object, object]
"""Input and expected output of a test."""


def stdio(pairs: Sequence[Pair]) -> dict[str, object]:
    """Tests of programs that read stdin and write stdout. In APPS, each side may be a list of lines."""
    return {"kind": "stdio", "tests": [{"stdin": _lines(given), "stdout": _lines(wanted)} for given, wanted in pairs]}


def json_lines(entry_point: str, pairs: Sequence[Pair]) -> dict[str, object]:
    """Calls: each line of the input is an argument, the output is the result."""
    calls = [([parsed(line) for line in str(given).split("\n")], parsed(str(wanted))) for given, wanted in pairs]
    return _calls(entry_point, calls)


def argument_lists(entry_point: str, pairs: Sequence[Pair]) -> dict[str, object]:
    """Calls: the input is the list of arguments, the output is the result or a list that holds only the result.

    Scorers of these sets accept both readings. Here all tests of a problem have one reading: the result is taken out of
    its list if every output is a list of one.
    """
    wrapped = all(isinstance(wanted, list) and len(wanted) == 1 for _, wanted in pairs)
    calls = []
    for given, wanted in pairs:
        if not isinstance(given, list):
            raise UnusableRowError(UNREADABLE)
        calls.append((given, wanted[0] if wrapped and isinstance(wanted, list) else wanted))
    return _calls(entry_point, calls)


def ground_truth(function: str, pairs: Sequence[Pair], *shown: str) -> dict[str, object]:
    """Calls of a function, or of a program if `function` is ""."""
    return argument_lists(entry_point(function, *shown), pairs) if function else stdio(pairs)


def entry_point(function: str, *shown: str) -> str:
    """Path of the function to call: a method if the problem shows a class `Solution`."""
    return f"Solution().{function}" if any("class Solution" in text for text in shown) else function


def fenced(program: str) -> str:
    return f"```python\n{program}\n```"


def form(starter: str, function: str = "") -> str:
    """Text that a prompt shows after the problem."""
    if starter.strip():
        return f"\n\nComplete this:\n\n{fenced(starter)}"
    return f"\n\nWrite a function called `{function}`." if function else "\n\nRead stdin, print to stdout."


def parsed(tests: object) -> object:
    """The value of a column that may be JSON text.

    Raises:
        UnusableRowError: the text is not JSON.
    """
    with unusable(UNREADABLE, ValueError):
        return json.loads(tests) if isinstance(tests, str) else tests


def contest_tests(tests: object) -> tuple[list[Pair], str, str]:
    """Tests, their kind where each test names one, and the function's name ("" for programs that read stdin).

    `tests`: APPS' `{"inputs": [...], "outputs": [...], "fn_name": ...}`, or a list of `{"input": ..., "output": ...}`,
    each perhaps with its `testtype` and `fn_name`.
    """
    if isinstance(tests, Mapping):
        inputs, outputs = tests.get("inputs"), tests.get("outputs")
        if isinstance(inputs, list) and isinstance(outputs, list) and len(inputs) == len(outputs):
            return list(zip(inputs, outputs, strict=True)), "", str(tests.get("fn_name") or "")
    if isinstance(tests, list) and all(isinstance(test, Mapping) and test.keys() >= _KEYS for test in tests):
        kind, function = (str((tests or [{}])[0].get(name) or "") for name in ("testtype", "fn_name"))
        return [(test["input"], test["output"]) for test in tests], kind, function
    raise UnusableRowError(UNREADABLE)


_KEYS = {"input", "output"}


def _calls(entry_point: str, calls: Sequence[tuple[list[object], object]]) -> dict[str, object]:
    return {
        "kind": "calls",
        "entry_point": entry_point,
        "calls": [{"args": args, "expected": expected} for args, expected in calls],
        "compare": {"equality": "python", "tuples_as_lists": True},
    }


def _lines(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)
