"""Training sets of programs: LeetCodeDataset, MBPP, DeepCoder-Preview, AM-DeepSeek-Distilled-40M.

No row of the last two was available here: columns and shapes of tests are those that public loaders read. Rows of
other shapes are counted.
"""

import json
from collections.abc import Mapping
from typing import Literal

from fail2fix.data.sets.contest_tests import (
    UNREADABLE,
    Pair,
    argument_lists,
    entry_point,
    form,
    json_lines,
    pairs,
    parsed,
    stdio,
)
from fail2fix.data.sets.spec import Problem, PublicSet, SourceRow, UnusableRowError, unusable
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
    ground_truth = mbpp({"code": row.text("code"), "test_list": tests, "test_setup_code": setup})
    shown = "\n".join(map(str, tests))
    text = f"{row.text('text')} Your code should pass these tests:\n\n{shown}\n"
    return Problem(text, json.dumps(ground_truth), str(row.get("task_id")), reference=row.text("code"))


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
    tests, kind, function = _deepcoder_tests(row)
    if not tests:
        raise UnusableRowError("it has no tests")
    if kind == "functional" and not function:
        raise UnusableRowError("its function has no name")
    call = entry_point(function, text, starter)
    if kind == "functional":
        ground_truth = json_lines(call, tests)
    else:
        ground_truth = argument_lists(call, tests) if function else stdio(tests)
    return Problem(text, compressed(ground_truth), form=form(starter, function))


def _deepcoder_tests(row: SourceRow) -> tuple[list[Pair], str, str]:
    """The tests, their kind where each test names one, and the function's name ("" for programs that read stdin)."""
    tests = parsed(row.text("tests"))
    found = pairs(tests)
    if isinstance(tests, Mapping):
        return found, "", str(tests.get("fn_name") or "")
    first = tests[0] if isinstance(tests, list) and tests else {}
    kind = str(first.get("testtype") or "")
    function = _metadata(row).get("func_name") if kind == "functional" else first.get("fn_name")
    return found, kind, str(function or "")


def _metadata(row: SourceRow) -> Mapping[str, object]:
    """An object, or JSON text of one."""
    found = row.fields.get("metadata") or {}
    found = json.loads(found) if isinstance(found, str) else found
    return found if isinstance(found, Mapping) else {}


def am_distilled_problem(row: SourceRow) -> Problem:
    """The reference is the last fenced block of R1's answer, which must be Python.

    `test_case` is JSON of `{"inputs": [...], "outputs": [...], "fn_name": ...}` (APPS), of a list of
    `{"input": ..., "output": ...}`, of a list of assertions, or of `{"assert_case": [...]}`.
    """
    reference = find_program(row.text("answer"))
    if not reference:
        raise UnusableRowError("its answer holds no Python program")
    text = row.text("question")
    ground_truth, function = _distilled_tests(row, text, reference)
    rate = row.optional("pass_rate_r1")  # share of R1's answers to the question that were right
    tags = {"source": row.optional("question_source"), "pass_rate": f"{float(rate):.2f}" if rate else ""}
    shown = form("", function) if function and function not in text else ""
    return Problem(text, compressed(ground_truth), tags=tags, form=shown, reference=reference)


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
    found = pairs(tests)
    function = str(tests.get("fn_name") or "") if isinstance(tests, Mapping) else ""
    if function:
        return argument_lists(entry_point(function, text, reference), found), function
    return stdio(found), ""


def _deepcoder(
    name: str,
    use: Literal["training", "evaluation"],
    splits: Mapping[str, int],
    traps: tuple[str, ...],
    held_out: int = 0,
) -> PublicSet:
    """The set in the hub's config `name`."""
    return PublicSet(
        name=f"deepcoder_{name}",
        hub_id="agentica-org/DeepCoder-Preview-Dataset",
        hub_config=name,
        revision="177913a7bd43791646ef6a43645caa3c871ab3db",
        license="MIT",
        splits=splits,
        read=deepcoder_problem,
        mirror={split: (f"deepcoder_{name}.*", f"deepcoder/{name}/{split}*") for split in splits},
        use=use,
        ability="code",
        held_out=held_out,
        traps=traps,
    )


SETS = (
    PublicSet(
        name="leetcode",
        hub_id="newfacade/LeetCodeDataset",
        revision="215604aeed660029df7de2fea5a4d7b6ed476a08",
        license="Apache-2.0",
        splits={"train": 2641, "test": 228},
        read=leetcode_problem,
        mirror={
            "train": ("leetcode/train.*", "leetcode_dataset/LeetCodeDataset-v0.2.0-train.*"),
            "test": ("leetcode/test.*", "leetcode_dataset/LeetCodeDataset-v0.3.1-test.*"),
        },
        use="training",
        ability="code",
        traps=(
            "v0.2.0's tests are the statement's examples only: two in the median",
            "statements are LeetCode's",
            "17 prompts of v0.3.1's test split import sortedcontainers, which no sandbox has and five programs need",
            "181 of v0.2.0's training problems are DebugBench's, in other words: told by LeetCode's name for them",
        ),
    ),
    PublicSet(
        name="mbpp",
        hub_id="google-research-datasets/mbpp",
        revision="4bb6404fdc6cacfda99d4ac4205087b89d32030c",
        hub_config="full",
        license="CC BY 4.0",
        splits={"train": 374, "test": 500},
        read=mbpp_problem,
        mirror={"train": ("mbpp/train.*", "mbpp/mbpp.jsonl"), "test": ("mbpp/test.*", "mbpp/mbpp.jsonl")},
        mirror_split=mbpp_split,
        use="training",
        ability="code",
        traps=("a mirror holds all splits in one file, told apart by task_id",),
    ),
    _deepcoder(
        "taco",
        "training",
        {"train": 7436},
        held_out=200,
        traps=(
            "`tests` is one object; an output may stand alone in a list or not, and either was meant",
            "numbers of rows were read in public text",
        ),
    ),
    _deepcoder(
        "primeintellect",
        "training",
        {"train": 16_252},
        held_out=200,
        traps=("`tests` names its type in every test", "an output may stand alone in a list or not"),
    ),
    _deepcoder(
        "lcbv5",
        "training",
        {"train": 599},
        held_out=50,
        traps=(
            "its problems are LiveCodeBench's, word for word, of May 2023 to July 2024",
            "those of the window that is evaluated on are dropped by their text, as from every training set",
            "its own test split is of August 2024 to January 2025, inside that window, and is not read",
        ),
    ),
    _deepcoder(
        "codeforces",
        "evaluation",
        {"test": 408},
        traps=(
            "378 problems have a single test",
            "no copy was at hand, so no hashes are shipped: training sets are not freed of its problems",
        ),
    ),
    PublicSet(
        name="am_distilled",
        hub_id="a-m-team/AM-DeepSeek-Distilled-40M",
        license="none declared",
        splits={"train": 200_866},
        read=am_distilled_problem,
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
