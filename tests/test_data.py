"""Preparing the public sets: the real rows where they are at hand, and what malformed ones lead to."""

import gzip
import json
from pathlib import Path

import pytest

from fail2fix.core.config import VerifierConfig
from fail2fix.data.prepare import CODE, MATH, Problem, drop_repeats, hold_out, main, prepare, problem_key
from fail2fix.verify.registry import ground_truth_problem, verifier_of

parquet = pytest.importorskip("pyarrow.parquet")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
NEEDS_SHARED = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"{SHARED}: the real rows are not at hand (development machines have them)"
)


def read(path: Path) -> list[dict]:
    return parquet.read_table(path).to_pylist()


@NEEDS_SHARED
def test_gsm8k(tmp_path: Path) -> None:
    assert prepare("gsm8k", tmp_path, SHARED / "gsm8k") == (7473, 1319)
    row = read(tmp_path / "test.parquet")[0]
    assert row["data_source"] == "openai/gsm8k"
    assert row["prompt"][0]["content"].startswith("Janet\u2019s ducks lay 16 eggs per day.")
    assert row["prompt"][0]["content"].endswith(f"farmers' market?{MATH}")
    assert row["reward_model"] == {"style": "rule", "ground_truth": "18"}
    answers = [row["reward_model"]["ground_truth"] for row in read(tmp_path / "train.parquet")]
    assert not any("," in answer for answer in answers)
    assert all(float(answer) is not None for answer in answers)


@NEEDS_SHARED
def test_deepscaler(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare("deepscaler", tmp_path, SHARED / "deepscaler_preview") == (38106, 500)
    assert (
        "dropped 1018 repeats and 684 rows of problems with differing answers, of 40308 rows" in capsys.readouterr().out
    )
    keys = [
        {problem_key(row["prompt"][0]["content"]) for row in read(tmp_path / f"{split}.parquet")}
        for split in ("train", "test")
    ]
    assert [len(split) for split in keys] == [38106, 500]
    assert not keys[0] & keys[1]


@NEEDS_SHARED
def test_leetcode(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl.gz").symlink_to(
            SHARED / f"leetcode_dataset/LeetCodeDataset-v0.2.0-{split}.jsonl.gz"
        )
    assert prepare("leetcode", tmp_path / "out", tmp_path) == (1890, 200)
    rows = read(tmp_path / "out" / "train.parquet") + read(tmp_path / "out" / "test.parquet")
    assert {(row["data_source"], row["ability"]) for row in rows} == {("newfacade/LeetCodeDataset", "code")}
    assert verifier_of(rows[0]["data_source"], VerifierConfig()) == "code"
    assert {ground_truth_problem("code", row["reward_model"]["ground_truth"]) for row in rows} == {""}
    assert rows[0]["prompt"][0]["content"].endswith(CODE)


def test_repeats_go_and_contradictions_go_altogether() -> None:
    problems = [
        Problem("What is $1 + 1$?", "2"),
        Problem("What is 1+1 ?", "2"),
        Problem("What is 1-1?", "0"),
        Problem("Find x.", "3"),
        Problem("Find  $x$.", "4"),
        Problem("Find $x$.", "3"),
    ]
    assert drop_repeats(problems) == ([problems[0], problems[2]], 1, 3)


def test_held_out_problems_do_not_depend_on_the_order_of_the_source() -> None:
    problems = [Problem(f"What is {n} + 1?", str(n + 1)) for n in range(50)]
    train, test = hold_out(problems, 10)
    assert (len(train), len(test)) == (40, 10)
    assert set(hold_out(problems[::-1], 10)[1]) == set(test)


def write_gsm8k(folder: Path, last: object) -> None:
    good = {"question": "What is 600 + 600?", "answer": "600 + 600 = 1,200\n#### 1,200"}
    with gzip.open(folder / "train.jsonl.gz", "wt") as file:
        file.write(f"{json.dumps(good)}\n{last if isinstance(last, str) else json.dumps(last)}\n")
    (folder / "test.jsonl").write_text(json.dumps(good))


def fails_with(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in argv])
    assert isinstance(stop.value.code, str)  # a text exits with status 1 and is printed
    assert "\n" not in stop.value.code
    return stop.value.code


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ({"question": "Q"}, "gsm8k: train.jsonl.gz, row 1: no column 'answer' (there are: question)"),
        (
            {"question": 3, "answer": "#### 3"},
            "gsm8k: train.jsonl.gz, row 1: column 'question' is 3, not a text",
        ),
        (
            {"question": " ", "answer": "#### 3"},
            "gsm8k: train.jsonl.gz, row 1: column 'question' is ' ', not a text",
        ),
        (
            {"question": "Q", "answer": None},
            "gsm8k: train.jsonl.gz, row 1: column 'answer' is None, not a text",
        ),
        (
            {"question": "Q", "answer": "it is 3"},
            "gsm8k: train.jsonl.gz, row 1: column 'answer' ends in 'it is 3'",
        ),
        ([1, 2], "gsm8k: train.jsonl.gz, row 1: not an object with columns"),
        ("{broken", "gsm8k: train.jsonl.gz, row 1: not JSON"),
    ],
)
def test_a_malformed_row_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], last: object, message: str
) -> None:
    write_gsm8k(tmp_path, last)
    assert fails_with(capsys, "gsm8k", tmp_path / "out", "--source", tmp_path).startswith(message)
    assert not (tmp_path / "out").exists()


def test_thousands_separators_leave_the_answer(tmp_path: Path) -> None:
    write_gsm8k(tmp_path, {"question": "What is 2 - 5?", "answer": "#### -3"})
    assert prepare("gsm8k", tmp_path / "out", tmp_path) == (2, 1)
    answers = [row["reward_model"]["ground_truth"] for row in read(tmp_path / "out" / "train.parquet")]
    assert answers == ["1200", "-3"]


@pytest.mark.parametrize("column", ["problem", "prompt"])
def test_deepscaler_reads_the_hub_column_and_the_mirror_column(tmp_path: Path, column: str) -> None:
    rows = [{column: f"What is {n} + 1?", "answer": str(n + 1)} for n in range(501)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    assert prepare("deepscaler", tmp_path / "out", tmp_path) == (1, 500)


def test_too_few_problems_and_empty_folders_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("deepscaler", tmp_path / "out", "--source", tmp_path)
    assert fails_with(capsys, *arguments).endswith("no *.json or *.jsonl (or .gz) in this folder: check --source")
    (tmp_path / "rows.json").write_text('[{"problem": "What is 1 + 1?", "answer": "2"}]')
    assert fails_with(capsys, *arguments).startswith("deepscaler: 1 problems, 500 to hold out")
    (tmp_path / "rows.json").write_text('{"problem": "What is 1 + 1?"}')
    assert fails_with(capsys, *arguments) == "deepscaler: rows.json: not a list of rows: check --source"
