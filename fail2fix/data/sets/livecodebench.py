"""LiveCodeBench, release v6: 1,055 contest problems; the window of August 2024 to May 2025 has 454.

stdin problems are judged as their runner does (`comparison.same_output`), functional ones by `==` on JSON values, a
tuple standing for a list; all public tests, then all private ones. Programs find imported what its runner imports for
them: answers rely on it, as on LeetCode's site. Private tests are a pickled text, read by an
unpickler that knows no classes. The hub's loader refuses the set's script, so its files are read directly. A problem's
tag `date` is its contest's day; a mirror without dates has them in recorded runs, by question_id.
"""

import base64
import io
import json
import pickle
import re
import zlib
from typing import NoReturn

from fail2fix.data.sets.contest_tests import form, json_lines, stdio
from fail2fix.data.sets.spec import Beside, Problem, PublicSet, Record, UnusableRowError
from fail2fix.verify.code.ground_truth import compressed

WINDOW = ("2024-08-01", "2025-05-31")
"""First and last day of the contests that figures are taken on: 454 problems, 287 of AtCoder and 167 of LeetCode, on
all six shards (v6 alone begins in 2025)."""

MAX_TESTS_BYTES = 1 << 29

_IMPORTED = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics", "itertools",
    "functools", "operator", "io", "sys", "json", "builtins", "typing",
)  # fmt: skip
PRELUDE = (
    "".join(f"from {name} import *\n" for name in _IMPORTED)
    + f"import {', '.join(_IMPORTED)}\n"
    + "sys.setrecursionlimit(50_000)\n"
)
"""Of its runner: each module's contents, in this order, then the modules; deep recursion."""


def read(record: Record) -> Problem:
    tests = _json_list(record, "public_test_cases") + _private(record)
    if not tests:
        raise UnusableRowError("it has no tests")
    starter = str(record.get("starter_code"))
    pairs = [(test["input"], test["output"]) for test in tests]
    functional = tests[0].get("testtype") == "functional"
    ground_truth = json_lines(f"Solution().{_function(record)}", pairs) if functional else stdio(pairs)
    ground_truth["prelude"] = PRELUDE
    platform = record.text("platform")
    tags = {
        "difficulty": record.text("difficulty"),
        "date": str(record.get("contest_date"))[:10],
        "platform": platform,
    }
    slug = (
        re.sub(r"[^a-z0-9]+", "-", record.text("question_title").lower()).strip("-") if platform == "leetcode" else ""
    )
    name, text = record.text("question_id"), record.text("question_content")
    return Problem(text, compressed(ground_truth), name, tags=tags, form=form(starter), slug=slug)


def in_window(problem: Problem) -> bool:
    """Whether the problem's contest took place in the window that is evaluated on."""
    first, last = WINDOW
    return first <= problem.tags["date"] <= last


def _function(record: Record) -> str:
    """The function's name stands in the metadata, or, in copies without them, in the starter code."""
    name = json.loads(str(record.fields.get("metadata") or "{}")).get("func_name")
    name = name or str(record.get("starter_code")).partition("def ")[2].partition("(")[0].strip()
    if not name:
        raise UnusableRowError("its function has no name")
    return str(name)


def _json_list(record: Record, column: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(record.text(column))
    return found


def _private(record: Record) -> list[dict[str, str]]:
    text = str(record.fields.get("private_test_cases") or "[]")
    try:
        found: list[dict[str, str]] = json.loads(text if text.startswith("[") else unpacked(text))
    except (ValueError, zlib.error, pickle.UnpicklingError, EOFError) as error:
        raise UnusableRowError("its private tests cannot be read") from error
    return found


def unpacked(text: str) -> str:
    """The text in a base64-encoded, compressed pickle.

    Raises:
        ValueError, zlib.error, pickle.UnpicklingError: it is something else, or too large.
    """
    reader = zlib.decompressobj()
    content = reader.decompress(base64.b64decode(text, validate=True), MAX_TESTS_BYTES)
    found = _TextsOnly(io.BytesIO(content)).load()
    if not reader.eof or not isinstance(found, str):
        raise ValueError("not one text, or a larger one than may be")
    return found


class _TextsOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"{module}.{name} in a pickle that may hold a text only")


SETS = (
    PublicSet(
        name="livecodebench",
        hub_id="livecodebench/code_generation_lite",
        revision="0fe84c3912ea0c4d4a78037083943e8f0c4dd505",
        licence="cc",
        splits={"test": 1055},
        read=read,
        hub_files=("test.jsonl", *(f"test{number}.jsonl" for number in range(2, 7))),
        mirror={"test": ("livecodebench/test*.jsonl*", "livecodebench/refined_test*.jsonl*")},
        use="evaluation",
        ability="code",
        beside=Beside("livecodebench_rollouts/*.json*", "question_id", ("contest_date", "platform")),
        evaluated=in_window,
        traps=(
            "a mirror has the public tests only, and its dates in another file",
            "abc350_c has no public tests",
            "4.5 GB of tests; ground truths are compressed",
        ),
    ),
)
