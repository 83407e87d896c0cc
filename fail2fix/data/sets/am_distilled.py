"""AM-DeepSeek-Distilled-40M: its programming questions, each with an answer of DeepSeek-R1 and tests that judge it.

The reference is the program in that answer: its last fenced block, which must be Python. Rows are kept whose reference
passes the row's tests here. No row and no card were seen when this was written: columns are those that public loaders
of the set name, and of `test_case` those shapes are read that sets of its kind have, all others are counted.

- JSON of `{"inputs": [...], "outputs": [...]}`, with `fn_name` where a function is called (APPS);
- JSON of a list of `{"input": ..., "output": ...}`;
- assertions: JSON of a list of them or of `{"assert_case": [...]}`.
"""

from collections.abc import Mapping

from fail2fix.data.sets.contest_tests import UNREADABLE, argument_lists, entry_point, form, pairs, parsed, stdio
from fail2fix.data.sets.spec import Problem, PublicSet, Record, UnusableRowError
from fail2fix.verify.code.ground_truth import compressed
from fail2fix.verify.code.program_text import find_program
from fail2fix.verify.code.public_sets import assertions


def read(record: Record) -> Problem:
    reference = find_program(record.text("answer"))
    if not reference:
        raise UnusableRowError("its answer holds no Python program")
    text = record.text("question")
    ground_truth, function = _tests(record, text, reference)
    tags = {"source": str(record.fields.get("question_source") or ""), "pass_rate": _rate(record)}
    shown = form("", function) if function and function not in text else ""
    return Problem(text, compressed(ground_truth), tags=tags, form=shown, reference=reference)


def _rate(record: Record) -> str:
    """Of R1's answers to the question, which share was right, "" where the source does not say."""
    rate = record.fields.get("pass_rate_r1")
    return "" if rate is None else f"{float(str(rate)):.2f}"


def _tests(record: Record, text: str, reference: str) -> tuple[dict[str, object], str]:
    """The ground truth, and the function's name, "" where it is not called by the tests' data."""
    tests = record.get("test_case")
    if tests in (None, "", [], {}):
        raise UnusableRowError("it has no tests")
    tests = parsed(tests)
    if isinstance(tests, Mapping) and tests.get("assert_case"):
        tests = tests["assert_case"]
    if isinstance(tests, list) and tests and all(isinstance(test, str) for test in tests):
        return _assertions(tests), ""
    found = pairs(tests)
    function = str(tests.get("fn_name") or "") if isinstance(tests, Mapping) else ""
    if function:
        return argument_lists(entry_point(function, text, reference), found), function
    return stdio(found), ""


def _assertions(tests: list[str]) -> dict[str, object]:
    try:
        return assertions(tests)
    except (SyntaxError, ValueError):
        raise UnusableRowError(UNREADABLE) from None


SETS = (
    PublicSet(
        name="am_distilled",
        hub_id="a-m-team/AM-DeepSeek-Distilled-40M",
        licence="none declared",
        splits={"train": 200_866},
        read=read,
        hub_files=("code_r1_1pass.jsonl",),
        mirror={"train": ("am_distilled.*", "am_distilled/code_r1_1pass.*")},
        use="training",
        ability="code",
        held_out=500,
        runs_references=True,
        traps=(
            "no revision is known, so none is pinned, and rows are not counted against a number",
            "test_case was never seen here: rows in a shape that is not known are counted, look at their number",
            "every reference is run: hours on a few processors",
        ),
    ),
)
