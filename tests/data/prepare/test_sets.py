"""Every set: its sample rows against values worked out by hand, and all its rows where they are at hand."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from sets.list_sets import listed

from fail2fix.data.echoes import Found
from fail2fix.data.prepare import command
from fail2fix.data.prepare.cleaning import Dropped, read_all
from fail2fix.data.prepare.command import prepare
from fail2fix.data.prepare.sources import is_at_hand, reader_of, rows_of
from fail2fix.data.sets import all_sets, find_set
from fail2fix.data.sets.evaluation_code import in_window, unpacked
from fail2fix.data.sets.spec import CODE, INSTRUCTIONS, MATH, SourceRow, UnusableRowError
from fail2fix.method.errors import InputError
from fail2fix.verify.code.ground_truth import AssertionTests, CallTests, StdioTests, Tests, parse_ground_truth
from tests.data.prepare.sets import SAMPLES, sample_problems, samples
from tests.shared import DATA
from tests.tiers import heavy_where

parquet = pytest.importorskip("pyarrow.parquet")

ANSWERS = {
    "gsm8k": ["18", "2125"],
    "deepscaler": [r"\frac{1}{2}", "(-2,3)"],
    "math": [r"\frac{5}{4}", "4"],
    "dapo": ["25"],
    "aime24": ["25"],
    "aime25": ["360"],
    "amc23": ["27"],
    "math500": [r"\sqrt{2}"],
    "minerva": ['{"answer": "6e8", "relative_tolerance": 0.0001}', "t^2"],
    "olympiadbench": ["$2$,$-2$", '{"answer": "4.2", "tolerance": 0.1}'],
}
WRITTEN = {
    "deepscaler": (40_308, 38_137, 500),
    "gsm8k": (8_792, 7_473, 1_319),
    "math": (12_500, 7_480, 5_000),
    "dapo": (14_116, 12_877, 500),
    "leetcode": (1_890 + 228, 1_709, 228),
    "mbpp": (874, 374, 500),
    "aime24": (30, 0, 30),
    "aime25": (30, 0, 30),
    "amc23": (40, 0, 40),
    "math500": (500, 0, 500),
    "minerva": (272, 0, 272),
    "olympiadbench": (675, 0, 675),
    "humaneval": (164, 0, 164),
    "humanevalfix": (164, 0, 164),
    "livecodebench": (1_055, 0, 1_054),
    "debugbench": (1_414, 0, 1_119),
}
"""Rows of the local copies, and of them those for training and those held out; DebugBench's before programs are run."""

LARGE = ("deepscaler", "dapo", "gsm8k", "leetcode", "math")
"""Sets that take two to ten CPU seconds to prepare."""

HAND_CHECKED = {
    "deepscaler": ("level3_train.json.gz, row 3929", "For how many three-digit numbers can you subtract 297", "60"),
    "gsm8k": ("test.jsonl.gz, row 659", "A pound of almonds costs $10 while a pound of walnuts", "3"),
    "math": ("test.parquet, row 1", "What is the positive difference between $120\\%$ of 30", "10"),
    "dapo": ("math_dapo.parquet, row 7058", "Let $f(x)=\\sin(\\sin(x))$.", "0"),
    "aime24": ("aime24.jsonl, row 15", "Among the 900 residents of Aimeville", "73"),
    "aime25": ("aime25.jsonl, row 15", "Six points $ A, B, C, D, E, $ and $ F $ lie", "468"),
    "amc23": ("amc23.jsonl, row 1", "Positive real numbers $x$ and $y$ satisfy $y^3=x^2$", "36"),
    "math500": ("math500.jsonl, row 250", "If $a$ is the $x$-intercept, $b$ is the $y$-intercept", "13"),
    "minerva": (
        "minerva_math.jsonl, row 1",
        "A white dwarf star has an effective temperature",
        '{"answer": "4.5e33", "relative_tolerance": 0.0001}',
    ),
    "olympiadbench": ("olympiadbench.jsonl.gz, row 337", "A student computed the repeating decimal expansion", "606"),
}
"""A row of each local set of mathematics, how its problem begins, and its answer, worked out without looking at it."""

HAND_CHECKED_TESTS = {
    "leetcode": (
        "minimum-operations-to-make-array-values-equal-to-k",
        "assert candidate(nums = [50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50],k = 51) == -1",
    ),
    "mbpp": ("261", "assert division_elements((10, 4, 6, 9),(5, 2, 3, 3)) == (2, 2, 2, 3)"),
    "humaneval": ("HumanEval/82", "assert candidate('M') == False"),
    "humanevalfix": ("Python/82", "assert prime_length('Madam') == True"),
    "debugbench": ("restore-ip-addresses", 'assert candidate(s = "0000") == ["0.0.0.0"]'),
}
"""A problem of each local set of programs whose tests assert, and one of its assertions, which is true."""

COLUMNS = {
    "deepscaler": ("problem", "answer"),
    "gsm8k": ("question", "answer"),
    "math": ("problem", "solution"),
    "dapo": ("prompt",),
    "leetcode": ("task_id", "prompt", "test", "entry_point", "query", "completion"),
    "mbpp": ("task_id", "text", "code", "test_list", "test_setup_code"),
    "deepcoder_taco": ("problem", "tests"),
    "deepcoder_primeintellect": ("problem", "tests"),
    "deepcoder_lcbv5": ("problem", "tests"),
    "deepcoder_codeforces": ("problem", "tests"),
    "am_distilled": ("question", "answer", "test_case"),
    "aime24": ("problem", "answer"),
    "aime25": ("problem", "answer"),
    "amc23": ("question", "answer"),
    "math500": ("problem", "answer", "unique_id", "solution"),
    "minerva": ("question",),
    "olympiadbench": ("id", "question", "final_answer"),
    "humaneval": ("task_id", "prompt", "test", "entry_point", "canonical_solution"),
    "humanevalfix": ("task_id", "prompt", "test", "entry_point", "declaration", "buggy_solution", "bug_type"),
    "livecodebench": (
        "question_content", "question_id", "platform", "contest_date", "difficulty",
        "starter_code", "public_test_cases",
    ),
    "debugbench": ("slug", "question", "examples", "constraints", "buggy_code", "solution", "level"),
    "criticbench": ("id", "question", "question_source", "answer", "response", "response_label"),
}  # fmt: skip
"""The columns that a set's rows cannot do without, as the hub spells them."""


def test_every_set_has_samples_and_stands_in_the_list() -> None:
    assert (SAMPLES / "README.md").read_text() == listed(), "python scripts/sets/list_sets.py > data/sets/README.md"
    assert {path.stem for path in SAMPLES.glob("*.jsonl")} == set(all_sets()) == set(COLUMNS)
    for name, chosen in all_sets().items():
        assert len(chosen.revision) == (0 if name == "am_distilled" else 40)
        assert samples(name)


@pytest.mark.needs_shared
def test_every_local_set_has_its_numbers_of_rows() -> None:
    assert set(WRITTEN) == {name for name, chosen in all_sets().items() if is_at_hand(chosen, DATA)}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_gold_answers_of_the_samples(name: str) -> None:
    assert [problem.answer for problem in sample_problems(name)] == ANSWERS[name]
    assert INSTRUCTIONS[find_set(name).ability] == MATH


@pytest.mark.parametrize(
    "name",
    [
        "leetcode", "mbpp", "humaneval", "humanevalfix", "livecodebench",
        "deepcoder_taco", "deepcoder_primeintellect", "deepcoder_lcbv5", "deepcoder_codeforces",
    ],
)  # fmt: skip
def test_the_tests_of_the_samples_can_be_read(name: str) -> None:
    for problem in sample_problems(name):
        parse_ground_truth(problem.answer)
    assert INSTRUCTIONS[find_set(name).ability] == CODE


def test_a_mbpp_problem_shows_the_assertions_that_name_its_function() -> None:
    problem = sample_problems("mbpp")[0]
    assert "assert remove_Occ" in problem.text
    assert json.loads(problem.answer)["functions"] == ["remove_Occ"]


def test_context_stands_before_an_olympiad_question() -> None:
    assert sample_problems("olympiadbench")[1].text == "A quantity is measured.\n\nWhat percentage is it, about?"


def test_a_broken_function_is_an_attempt() -> None:
    attempt = sample_problems("humanevalfix")[0].attempt
    assert attempt is not None
    assert not attempt.correct
    assert attempt.text.startswith("```python\nfrom typing import List")


def test_a_planted_bug_is_an_attempt_with_its_category() -> None:
    (problem,) = sample_problems("debugbench")
    assert problem.attempt is not None
    assert "return 2 + n" in problem.attempt.text
    assert problem.tags == {"category": "operation error", "level": "easy"}
    assert problem.answer == "twice-a-number"


def test_a_join_gives_each_problem_the_tests_of_its_name(tmp_path: Path) -> None:
    for name, path in (("leetcode", "leetcode/train.jsonl"), ("debugbench", "debugbench/python3_x.json")):
        rows = samples(name)
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(
            json.dumps(rows[0]) if name == "leetcode" else json.dumps(rows + [rows[0] | {"slug": "no"}])
        )
    prepare(replace(find_set("debugbench"), runs_references=False), tmp_path / "out", tmp_path)
    (row,) = parquet.read_table(tmp_path / "out/test.parquet").to_pylist()
    assert json.loads(row["reward_model"]["ground_truth"])["by_position"] is True
    assert row["extra_info"]["attempt_correct"] is False
    dropped = json.loads((tmp_path / "out" / "card.json").read_text())["dropped"]
    assert dropped["leetcode has no tests for its problem"]["rows"] == 1


def test_private_tests_follow_the_public_ones() -> None:
    stdin, functional = map(parse_ground_truth, (problem.answer for problem in sample_problems("livecodebench")))
    assert isinstance(stdin, StdioTests)
    assert [(test.stdin, test.stdout) for test in stdin.tests] == [("1 2\n", "3\n"), ("5 5\n", "10\n")]
    assert isinstance(functional, CallTests)
    call = functional.calls[0]
    assert (functional.entry_point, call.args, call.expected) == ("Solution().total", [[1, 2], 3], 6)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_missing_column_is_named(name: str) -> None:
    chosen, row = find_set(name), samples(name)[0]
    for column in COLUMNS[name]:
        fields = {key: value for key, value in row.items() if key != column}
        with pytest.raises(InputError, match=rf"^{name}: a row: no column '{column}\b.*: is this the right set\?$"):
            chosen.read(SourceRow(f"{name}: a row", fields))


def test_deepcoders_shapes_of_tests_are_told_apart() -> None:
    def parsed(name: str) -> list[Tests]:
        return [parse_ground_truth(problem.answer) for problem in sample_problems(f"deepcoder_{name}")]

    for name in ("taco", "primeintellect", "lcbv5", "codeforces"):
        assert isinstance(parsed(name)[0], StdioTests)
    wrapped, alone, method = parsed("taco")[1], parsed("primeintellect")[1], parsed("lcbv5")[1]
    assert isinstance(wrapped, CallTests)
    assert isinstance(alone, CallTests)
    assert isinstance(method, CallTests)
    assert (wrapped.entry_point, [call.expected for call in wrapped.calls]) == ("reverse_word", ["cba", "on"])
    assert (alone.entry_point, alone.calls[0].args, alone.calls[0].expected) == ("both", [2, 3], [5, 6])
    assert (method.entry_point, method.calls[0].args, method.calls[0].expected) == (
        "Solution().scaled",
        [[1, 2], 3],
        [3, 6],
    )


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("tests", "{", "its tests cannot be read"),
        ("tests", "[]", "it has no tests"),
        ("tests", '[{"input": "1"}]', "its tests cannot be read"),
        ("tests", '{"inputs": ["1"], "outputs": []}', "its tests cannot be read"),
        ("tests", '{"inputs": ["1"], "outputs": ["1"], "fn_name": "f"}', "its tests cannot be read"),
        ("tests", '[{"input": "1", "output": "1", "testtype": "functional"}]', "its function has no name"),
    ],
)
def test_tests_that_cannot_be_read_are_a_reason(column: str, value: str, reason: str) -> None:
    row = samples("deepcoder_taco")[0] | {column: value}
    with pytest.raises(UnusableRowError, match=f"^{reason}$"):
        find_set("deepcoder_taco").read(SourceRow("a row", row))


@pytest.mark.parametrize(
    ("test_case", "kind"),
    [
        ('[{"input": "1", "output": "2"}]', StdioTests),
        ('{"call_type": "assert", "assert_case": ["assert add(1, 2) == 3"]}', AssertionTests),
        ({"inputs": [["1"]], "outputs": [["1"]]}, StdioTests),
    ],
)
def test_distilled_tests_come_in_several_shapes(test_case: object, kind: type) -> None:
    problem = find_set("am_distilled").read(SourceRow("a row", samples("am_distilled")[0] | {"test_case": test_case}))
    assert isinstance(parse_ground_truth(problem.answer), kind)


@pytest.mark.parametrize("test_case", ["", None, "assert", "3", '["assert"]', '["assert ("]', '[{"x": 1}]'])
def test_other_distilled_tests_are_counted(test_case: object) -> None:
    row = samples("am_distilled")[0] | {"test_case": test_case}
    dropped = Dropped()
    assert read_all([SourceRow("a row", row)], find_set("am_distilled").read, "code", dropped) == []
    assert set(dropped.counts) <= {"its tests cannot be read", "it has no tests"}


def test_who_judges_a_row_of_criticbench_stands_in_its_data_source(tmp_path: Path) -> None:
    (tmp_path / "criticbench.jsonl").write_text("\n".join(map(json.dumps, samples("criticbench"))))
    prepare(find_set("criticbench"), tmp_path / "out", tmp_path)
    table = parquet.read_table(tmp_path / "out/test.parquet").to_pylist()
    judged = [(row["data_source"].removeprefix("llm-agents/CriticBench"), row["ability"]) for row in table]
    assert judged == [("", "math")] * 2 + [("/text", "text")] * 2 + [("/code", "code")] * 2
    assert [row["extra_info"]["attempt_correct"] for row in table] == [False, True, False, False, False, True]
    assert [row["extra_info"]["tags"]["domain"] for row in table[1:4]] == ["math", "commonsense", "algorithmic"]
    assert table[0]["extra_info"]["attempt"] == "He has 3 + 4 = 8. The answer is 8."
    assert table[4]["extra_info"]["attempt"].startswith("```python\ndef twice")
    assert table[4]["prompt"][0]["content"].endswith(CODE)
    assert table[2]["prompt"][0]["content"].endswith(MATH)


def test_a_split_of_an_earlier_set_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / "aime24.jsonl").write_text(json.dumps(samples("aime24")[0]))
    (tmp_path / "train.parquet").write_text("of another set")
    prepare(find_set("aime24"), tmp_path, tmp_path)
    assert not (tmp_path / "train.parquet").exists()
    assert set(json.loads((tmp_path / "card.json").read_text())["files"]) == {"test.parquet"}


def test_livecodebenchs_date_is_the_hubs_column() -> None:
    problem = sample_problems("livecodebench")[0]
    assert problem.tags["date"] == "2024-08-03"
    assert in_window(problem.tags)
    for date, within in (("2024-07-31", False), ("2024-08-01", True), ("2025-05-31", True), ("2025-06-01", False)):
        assert in_window({"date": date}) is within


@pytest.mark.needs_shared
def test_livecodebenchs_window_has_its_problems() -> None:
    chosen = find_set("livecodebench")
    problems = read_all(rows_of(chosen, "test", DATA), chosen.read, "code", Dropped())
    evaluated = [each for each in problems if in_window(each.tags)]
    platforms = Counter(problem.tags["platform"] for problem in evaluated)
    assert platforms == {"atcoder": 287, "leetcode": 167}
    kinds = Counter(type(parse_ground_truth(problem.answer)) for problem in evaluated)
    assert kinds == {StdioTests: 287, CallTests: 167}


@pytest.mark.needs_shared
@pytest.mark.parametrize("name", HAND_CHECKED)
def test_answers_that_were_worked_out_by_hand(name: str) -> None:
    row, beginning, answer = HAND_CHECKED[name]
    chosen = find_set(name)
    rows = (each for split in chosen.splits for each in rows_of(chosen, split, DATA))
    problem = next(chosen.read(each) for each in rows if each.place == f"{name}: {row}")
    assert problem.text.startswith(beginning)
    assert problem.answer == answer


@pytest.mark.needs_shared
@pytest.mark.parametrize("name", heavy_where(HAND_CHECKED_TESTS, LARGE))
def test_tests_that_were_checked_by_hand(name: str) -> None:
    task, assertion = HAND_CHECKED_TESTS[name]
    chosen = find_set(name)
    rows = (each for split in chosen.splits for each in rows_of(chosen, split, DATA))
    problems = read_all(rows, reader_of(chosen, DATA), "code", Dropped())
    tests = parse_ground_truth(next(each.answer for each in problems if each.id == task))
    assert isinstance(tests, AssertionTests)
    assert any(assertion in source for source in tests.tests)


def test_a_pickle_that_is_more_than_a_text_is_not_run() -> None:
    for content in (print, [1]):
        text = base64.b64encode(zlib.compress(pickle.dumps(content))).decode()
        with pytest.raises((pickle.UnpicklingError, ValueError)):
            unpacked(text)


@pytest.mark.needs_shared
@pytest.mark.parametrize("name", heavy_where(WRITTEN, LARGE))
def test_every_local_row_is_written_or_counted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, train, test = WRITTEN[name]
    if name in LARGE:  # the search of a large set takes minutes
        monkeypatch.setattr(command, "find_echoes", lambda pairs: [Found((), False)] * len(pairs))
    prepare(replace(find_set(name), runs_references=False), tmp_path, DATA)
    card = json.loads((tmp_path / "card.json").read_text())
    assert sum(card["rows_read"].values()) == read
    assert card["rows_written"] == {"train": train, "test": test}
    assert train + test + sum(each["rows"] for each in card["dropped"].values()) == read
    for split, rows in (("train", train), ("test", test)):
        path = tmp_path / f"{split}.parquet"
        assert path.is_file() == bool(rows)
        if rows:
            table = parquet.read_table(path).to_pylist()
            assert len(table) == rows
            assert len({row["extra_info"]["id"] for row in table}) == rows
            assert {row["data_source"] for row in table} == {find_set(name).hub_id}
