"""Tests of a problem, as in a row's `reward_model.ground_truth`: JSON, read once and checked.

Knows: the three kinds of tests, the rule of equality, limits. Must not know: sandboxes, data sets.

Functions called with arguments; expected results never enter the sandbox::

    {"kind": "calls", "entry_point": "Solution().twoSum", "calls": [{"args": [[2, 7], 9], "expected": [0, 1]}]}

Programs that read stdin and write stdout, compared by line (`comparison.same_output`); an exit code other than 0
fails. `tolerance` is that of contests unless the set states another, 0 for LiveCodeBench::

    {"kind": "stdio", "tests": [{"stdin": "1 2\\n", "stdout": "3\\n"}]}

Assertion scripts: MBPP's lists, and `check(candidate)` of HumanEval and LeetCodeDataset::

    {"kind": "assertions", "functions": ["add"], "tests": ["assert add(1, 2) == 3"]}
    {"kind": "assertions", "entry_point": "add", "tests": ["def check(candidate):\\n    assert candidate(1, 2) == 3"]}

A long ground truth may be `zlib:` and the base64 text of the compressed JSON (`compressed`).

The first failing test ends the run. Fields of every kind: `prelude` (trusted source that runs before the program:
imports, helper classes) and `block`, the rule that finds the program in an answer ("last_python", the default, or
"livecodebench": `program_text.py`). Of "calls": `compare`, see `EqualityRule`. Values that JSON lacks (tuples, sets),
tolerances of results and results in any order need assertions.

Of "assertions": `by_position` (pass the tests' keyword arguments by position: DebugBench renames parameters), `records`
(classes of the prelude whose objects pass between program and tests by name and attributes), and `isolation`:
- "split" (the default): tests and program run in different processes and exchange data, so a program cannot touch its
  tests. A result that is not data (`inside/values.py`) fails. An error passes as its built-in class and text. Arguments
  are copies: changes that a function makes in them are invisible, or it could change the expected values. Tests that
  look at changed arguments need "together".
- "together": tests run in the program's process, so they can use its objects and look at changed arguments. A program
  built to attack its tests can pass them, e.g. with a result that claims to equal everything: for trusted programs.
"""

import ast
import base64
import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from fail2fix.verify.code.fields import Fields
from fail2fix.verify.code.program_text import RULES, BlockRule
from fail2fix.verify.errors import GroundTruthError, malformed

_NAME = re.compile(r"[A-Za-z_]\w*")
_ENTRY_POINT = re.compile(r"[A-Za-z_]\w*(\(\))?(\.[A-Za-z_]\w*(\(\))?)*")
COMPRESSED = "zlib:"
MAX_EXPANDED_BYTES = 1 << 29
CONTEST_TOLERANCE = 1e-6
"""Codeforces' and AtCoder's usual one: LiveCodeBench's own runner compares exactly."""


@dataclass(frozen=True)
class EqualityRule:
    """When a result equals the expected one.

    `equality`: "exact" (same built-in types at every level: 1, 1.0 and True differ) or "python" (as `==`).
    `tuples_as_lists`: a tuple may replace a list.
    """

    equality: Literal["exact", "python"] = "exact"
    tuples_as_lists: bool = False


@dataclass(frozen=True)
class Limits:
    """`test_s`, `total_s`: wall-clock seconds of a test and of the run, with loading the program; `memory_mb`: address
    space of each process; `output_kb`: size of a test's output or result, or more if more is expected."""

    test_s: float = 6.0
    total_s: float = 30.0
    memory_mb: int = 1024
    output_kb: int = 1024


@dataclass(frozen=True)
class Call:
    args: list[Any]
    expected: Any


@dataclass(frozen=True)
class CallTests:
    prelude: str
    block: BlockRule
    entry_point: str
    calls: tuple[Call, ...]
    compare: EqualityRule = field(default_factory=EqualityRule)


@dataclass(frozen=True)
class StdioTest:
    stdin: str
    stdout: str


@dataclass(frozen=True)
class StdioTests:
    """`tolerance`: how far a number with a point or an exponent may be from the expected one. It is absolute, and also
    relative to an expected number that is not an integer itself. Integers have none."""

    prelude: str
    block: BlockRule
    tests: tuple[StdioTest, ...]
    tolerance: float = CONTEST_TOLERANCE


@dataclass(frozen=True)
class AssertionTests:
    prelude: str
    block: BlockRule
    tests: tuple[str, ...]
    functions: tuple[str, ...]
    entry_point: str
    by_position: bool
    records: tuple[str, ...]
    together: bool


Tests: TypeAlias = CallTests | StdioTests | AssertionTests


def parse_ground_truth(ground_truth: str | Mapping[str, Any]) -> Tests:
    """The tests in a ground truth, given as JSON text or as the parsed object.

    Raises:
        GroundTruthError: a field is missing, unknown or malformed.
    """
    if isinstance(ground_truth, str):
        with malformed("ground truth is not JSON", ValueError, RecursionError, zlib.error):
            packed = ground_truth.startswith(COMPRESSED)
            text = decompressed(ground_truth.removeprefix(COMPRESSED)) if packed else ground_truth
            ground_truth = json.loads(text)
    fields = Fields(ground_truth)
    readers: dict[str, Callable[[Fields, str, BlockRule], Tests]] = {
        "calls": _call_tests,
        "stdio": _stdio_tests,
        "assertions": _assertion_tests,
    }
    reader = readers[fields.choice("kind", *readers, required=True)]
    block: Any = fields.choice("block", *RULES)
    tests = reader(fields, fields.take("prelude", str, ""), block)
    fields.refuse_rest()
    return tests


def compressed(ground_truth: Mapping[str, Any]) -> str:
    """A ground truth as text, compressed by zlib."""
    return COMPRESSED + base64.b64encode(zlib.compress(json.dumps(ground_truth).encode(), 9)).decode()


def decompressed(text: str) -> bytes:
    """Content of a base64 text of zlib data.

    Raises:
        ValueError, zlib.error: it is something else, truncated, or larger than `MAX_EXPANDED_BYTES`.
    """
    reader = zlib.decompressobj()
    content = reader.decompress(base64.b64decode(text, validate=True), MAX_EXPANDED_BYTES)
    if not reader.eof:
        raise ValueError(f"it is truncated, or larger than {MAX_EXPANDED_BYTES} bytes")
    return content


def _call_tests(fields: Fields, prelude: str, block: BlockRule) -> CallTests:
    entry_point = fields.name("entry_point", _ENTRY_POINT)
    calls = []
    for index, item in enumerate(fields.items("calls", dict)):
        call = Fields(item, f"calls[{index}]")
        calls.append(Call(call.take("args", list, []), call.take("expected", object)))
        call.refuse_rest()
    compare = Fields(fields.take("compare", dict, {}), "compare")
    equality: Any = compare.choice("equality", "exact", "python")
    rule = EqualityRule(equality, compare.take("tuples_as_lists", bool, False))
    compare.refuse_rest()
    return CallTests(prelude, block, entry_point, tuple(calls), rule)


def _stdio_tests(fields: Fields, prelude: str, block: BlockRule) -> StdioTests:
    tests = []
    for index, item in enumerate(fields.items("tests", dict)):
        test = Fields(item, f"tests[{index}]")
        tests.append(StdioTest(test.take("stdin", str).removeprefix("\ufeff"), test.take("stdout", str)))
        test.refuse_rest()
    tolerance = fields.take("tolerance", (int, float), CONTEST_TOLERANCE)
    if not 0 <= tolerance < 1:
        raise GroundTruthError(f"tolerance={tolerance} must be at least 0 and below 1")
    return StdioTests(prelude, block, tuple(tests), tolerance)


def _assertion_tests(fields: Fields, prelude: str, block: BlockRule) -> AssertionTests:
    tests = AssertionTests(
        prelude,
        block,
        tests=tuple(fields.items("tests", str)),
        functions=tuple(fields.items("functions", str, [])),
        entry_point=fields.name("entry_point", _ENTRY_POINT, ""),
        by_position=fields.take("by_position", bool, False),
        records=tuple(fields.items("records", str, [])),
        together=fields.choice("isolation", "split", "together") == "together",
    )
    if not tests.functions and not tests.entry_point:
        raise GroundTruthError("assertions need entry_point (for check(candidate)) or functions (the names tests call)")
    for name in (*tests.functions, *tests.records):
        if not _NAME.fullmatch(name):
            raise GroundTruthError(f"functions and records hold names, not {name!r}")
    for index, source in enumerate(tests.tests):
        _check_source(source, f"tests[{index}]")
    return tests


def _check_source(source: str, where: str) -> None:
    """Tests come from the data set, so they may be parsed here; without an assertion they would pass any program."""
    with malformed(f"{where} is not Python", SyntaxError, ValueError, RecursionError, MemoryError):
        tree = ast.parse(source)
    if not any(isinstance(node, ast.Assert) for node in ast.walk(tree)):
        raise GroundTruthError(f"{where} holds no assertion")
