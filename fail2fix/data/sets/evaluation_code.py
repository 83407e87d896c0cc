"""Benchmarks of programs: HumanEval, HumanEvalFix (OctoPack), LiveCodeBench release v6, DebugBench's Python part.

LiveCodeBench: 1,055 contest problems, 454 of them in the window that figures are computed on. Programs are found as its
runner does (`program_text.py`). Lines of stdout must hold equal numbers; results of functions must be equal by `==` as
JSON values, a tuple counting as a list. All public tests run first, then all private ones, which are a pickled text.
The hub's loader refuses the set's script, so its files are read directly.

DebugBench: LeetCode solutions with planted bugs. The set has no tests: each problem takes those of its slug in
LeetCodeDataset. Rows without tests there, rows whose right program fails them and rows whose bug passes them are
dropped and counted: 1,070 of 1,414 remain.
"""

import io
import json
import pickle
import re
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from fail2fix.data.sets.contest_tests import fenced, form, json_lines, stdio
from fail2fix.data.sets.spec import GivenAttempt, Problem, SourceRow, UnusableRowError, unusable
from fail2fix.verify.code.ground_truth import compressed, decompressed
from fail2fix.verify.code.public_sets import TESTED, debugbench, humaneval

WINDOW = ("2024-08-01", "2025-05-31")
"""First and last day of the contests that figures are computed on: 287 problems of AtCoder and 167 of LeetCode."""

_MIRROR_FILE = re.compile(r"python3_(.+?)\.json")
"""A mirror of DebugBench has a file per category; the hub has a column."""


def humaneval_problem(row: SourceRow) -> Problem:
    text = f"Complete this function.\n\n{fenced(row.text('prompt'))}"
    tests = humaneval({name: row.text(name) for name in TESTED})
    reference = f"{row.get('prompt')}{row.get('canonical_solution')}"
    return Problem(text, json.dumps(tests), row.text("task_id"), reference=reference)


def humanevalfix_problem(row: SourceRow) -> Problem:
    """The attempt is the function with its bug; `declaration` is the signature without the docstring."""
    broken = f"{row.get('declaration')}{row.get('buggy_solution')}"
    attempt = GivenAttempt(fenced(broken.rstrip()), False)
    return replace(humaneval_problem(row), attempt=attempt, tags={"bug": row.text("bug_type")})


def livecodebench_problem(row: SourceRow) -> Problem:
    tests = json.loads(row.text("public_test_cases")) + _private_tests(row)
    if not tests:
        raise UnusableRowError("it has no tests")
    starter, platform = str(row.get("starter_code")), row.text("platform")
    pairs = [(test["input"], test["output"]) for test in tests]
    functional = tests[0].get("testtype") == "functional"
    ground_truth = json_lines(f"Solution().{_function(row)}", pairs) if functional else stdio(pairs) | {"tolerance": 0}
    ground_truth["block"] = "livecodebench"
    tags = {"difficulty": row.text("difficulty"), "date": str(row.get("contest_date"))[:10], "platform": platform}
    title = row.text("question_title").lower() if platform == "leetcode" else ""
    slug = re.sub(r"[^a-z0-9]+", "-", title).strip("-")
    name, text = row.text("question_id"), row.text("question_content")
    return Problem(text, compressed(ground_truth), name, tags=tags, form=form(starter), slug=slug)


def in_window(tags: Mapping[str, str]) -> bool:
    """Whether the problem's contest took place in the window that figures are computed on."""
    return WINDOW[0] <= tags.get("date", "")[:10] <= WINDOW[1]


def _function(row: SourceRow) -> str:
    """The function's name, from the metadata or, in copies without them, from the starter code."""
    name = json.loads(row.optional("metadata") or "{}").get("func_name")
    name = name or str(row.get("starter_code")).partition("def ")[2].partition("(")[0].strip()
    if not name:
        raise UnusableRowError("its function has no name")
    return str(name)


def _private_tests(row: SourceRow) -> list[dict[str, str]]:
    text = row.optional("private_test_cases") or "[]"
    with unusable("its private tests cannot be read", ValueError, zlib.error, pickle.UnpicklingError, EOFError):
        found: list[dict[str, str]] = json.loads(text if text.startswith("[") else unpacked(text))
    return found


def unpacked(text: str) -> str:
    """The text in a base64-encoded, compressed pickle.

    Raises:
        ValueError, zlib.error, pickle.UnpicklingError: it is something else, or too large.
    """
    found = _TextsOnly(io.BytesIO(decompressed(text))).load()
    if not isinstance(found, str):
        raise ValueError("not a text")
    return found


class _TextsOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"{module}.{name} in a pickle that may hold a text only")


def debugbench_problem(row: SourceRow) -> Problem:
    if row.fields.get("language", "python3") != "python3":
        raise UnusableRowError("it is not in Python")
    slug, examples = row.text("slug"), row.get("examples")
    shown = "\n\n".join(map(str, examples)) if isinstance(examples, list) else str(examples)
    text = f"{row.text('question', 'description')}\n\n{shown}\n\nConstraints:\n{row.get('constraints')}"
    attempt = GivenAttempt(fenced(row.text("buggy_code")), False)
    file = _MIRROR_FILE.search(row.place)
    category = row.optional("subtype") or (file[1] if file else "")
    tags = {"category": category.replace("_", " "), "level": row.text("level")}
    return Problem(text, slug, slug, attempt, tags, slug=slug, reference=row.text("solution", "oracle_code"))


def debugbench_tests(leetcode_row: SourceRow) -> str:
    return json.dumps(debugbench({name: leetcode_row.text(name) for name in TESTED}))
