"""Training sets of programs: LeetCodeDataset, MBPP, DeepCoder-Preview, AM-DeepSeek-Distilled-40M.

No row of the last two was available here: columns and shapes of tests are those that public loaders read. Rows of
other shapes are counted.
"""

import json
from collections.abc import Mapping

from fail2fix.data.sets.contest_tests import (
    UNREADABLE,
    contest_tests,
    entry_point,
    form,
    ground_truth,
    json_lines,
    parsed,
)
from fail2fix.data.sets.spec import Problem, SourceRow, UnusableRowError, unusable
from fail2fix.verify.code.ground_truth import compressed
from fail2fix.verify.code.program_text import find_program
from fail2fix.verify.code.public_sets import TESTED, assertions, leetcode, mbpp


def leetcode_problem(row: SourceRow) -> Problem:
    tests = leetcode({name: row.text(name) for name in TESTED})
    slug, reference = row.text("task_id"), row.text("completion")
    return Problem(row.text("query"), json.dumps(tests), slug, slug=slug, reference=reference)


def mbpp_problem(row: SourceRow) -> Problem:
    """The problem shows its assertions, as its authors' prompt does (Austin et al. 2021): they name the function."""
    tests, setup = row.get("test_list"), row.get("test_setup_code")
    if not isinstance(tests, list) or not tests:
        raise UnusableRowError("it has no tests")
    truth = mbpp({"code": row.text("code"), "test_list": tests, "test_setup_code": setup})
    shown = "\n".join(map(str, tests))
    text = f"{row.text('text')} Your code should pass these tests:\n\n{shown}\n"
    return Problem(text, json.dumps(truth), str(row.get("task_id")), reference=row.text("code"))


def mbpp_split(row: SourceRow) -> str:
    """The split of a row by its id, as in the authors' README; ids 1 to 10 are few-shot examples."""
    number = int(str(row.get("task_id")))
    return "train" if number > 600 else "test" if 10 < number <= 510 else "other"


def deepcoder_problem(row: SourceRow) -> Problem:
    """`tests` is JSON in a shape that differs by config, and tells the kind of tests:

    - taco: `{"inputs": [...], "outputs": [...], "fn_name": ...}`;
    - primeintellect: a list of `{"type": "stdin_stdout" or "function_call", "input", "output", "fn_name"}`;
    - lcbv5: a list of `{"input", "output", "testtype"}`, with the function's name in `metadata.func_name`;
    - codeforces: a list of `{"input", "output"}`.
    """
    text, starter = row.text("problem"), row.optional("starter_code")
    tests, kind, function = contest_tests(parsed(row.text("tests")))
    if not tests:
        raise UnusableRowError("it has no tests")
    if kind == "functional":
        metadata = parsed(row.fields.get("metadata") or {})
        function = str(metadata.get("func_name") or "") if isinstance(metadata, Mapping) else ""
        if not function:
            raise UnusableRowError("its function has no name")
        truth = json_lines(entry_point(function, text, starter), tests)
    else:
        truth = ground_truth(function, tests, text, starter)
    return Problem(text, compressed(truth), form=form(starter, function))


def am_distilled_problem(row: SourceRow) -> Problem:
    """The reference is the last fenced block of R1's answer, which must be Python.

    `test_case` is JSON of tests as `contest_tests` reads them, of a list of assertions, or of `{"assert_case": [...]}`.
    """
    reference = find_program(row.text("answer"))
    if not reference:
        raise UnusableRowError("its answer holds no Python program")
    text = row.text("question")
    truth, function = _distilled_tests(row, text, reference)
    rate = row.optional("pass_rate_r1")  # share of R1's answers to the question that were right
    tags = {"source": row.optional("question_source"), "pass_rate": f"{float(rate):.2f}" if rate else ""}
    shown = form("", function) if function and function not in text else ""
    return Problem(text, compressed(truth), tags=tags, form=shown, reference=reference)


def _distilled_tests(row: SourceRow, text: str, reference: str) -> tuple[dict[str, object], str]:
    """The ground truth, and the name of the function that the prompt must give ("" if none)."""
    tests = row.get("test_case")
    if tests in (None, "", [], {}):
        raise UnusableRowError("it has no tests")
    tests = parsed(tests)
    if isinstance(tests, Mapping) and tests.get("assert_case"):
        tests = tests["assert_case"]
    if isinstance(tests, list) and tests and all(isinstance(test, str) for test in tests):
        with unusable(UNREADABLE, SyntaxError, ValueError):
            return assertions(tests), ""
    found, _, function = contest_tests(tests)
    return ground_truth(function, found, text, reference), function
