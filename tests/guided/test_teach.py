"""Taught corrections: verified whatever the teacher says, paid for once, and the same when they are replayed."""

from __future__ import annotations

import json
import time
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from fail2fix.collect import main as collect
from fail2fix.data.tasks import chain
from fail2fix.method.templates import template_class, words_of
from fail2fix.method.templates.diagnosis import HEADING
from fail2fix.teach import main
from tests.guided.classroom import (
    GARBAGE,
    Answer,
    Count,
    completion,
    in_text,
    lies,
    question_of,
    rows_of,
    student,
    teacher,
    training_file,
)  # fmt: skip
from tests.services import Reply, serving
from tests.tiers import heavy_where

NOBODY = "http://127.0.0.1:9/"


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attempts")
    data = training_file(folder / "data")
    with serving(answer=student) as service:
        arguments = ["--model", "m", "--endpoint", f"{service.url}v1", "--data", str(data), "--samples", "4"]
        collect([*arguments, "--out", str(folder / "out")])
    return folder / "out" / "attempts.parquet"


def taught(attempts: Path, out: Path, url: str, *options: str, source: str = "teacher") -> dict[str, int]:
    """The counts of one call."""
    main(
        ["--attempts", str(attempts), "--out", str(out), "--from", source]
        + (["--model", "m", "--endpoint", f"{url}v1"] if source != "worked" else [])
        + list(options)
    )
    counts: dict[str, int] = json.loads((out / "teach.json").read_text())["counts"]
    return counts


def check(chats: list[dict[str, Any]], template: str = "default") -> None:
    """Every chat's answer is right by the family's reward, read where the template puts it."""
    words = words_of({"template": template})
    for row in chats:
        user, assistant = (turn["content"] for turn in row["messages"])
        question = question_of(row)
        truth = chain.worked_solution(question)
        text, quoted = assistant, user.partition("<attempt>\n")[2].partition("\n</attempt>")[0]
        if row["kind"] == "correction":
            assert user.endswith(words.instruction)
            assert (chain.compute_score("", quoted, truth)["acc"] == 1.0) == row["attempt_correct"]
            text = words.judged(assistant, quoted)
        else:
            assert user == question
        assert chain.compute_score("", text, truth)["acc"] == 1.0


@pytest.mark.parametrize("template", template_class.shipped)
def test_worked_solutions_and_a_teacher_correct_every_attempt(attempts: Path, tmp_path: Path, template: str) -> None:
    option = ("--correction", json.dumps({"template": template}))
    with serving(answer=teacher) as service:
        counts = taught(attempts, tmp_path / "teacher", service.url, *option)
    assert counts["corrected"] == counts["wrong attempts"] == counts["accepted"] > 10
    other = taught(attempts, tmp_path / "worked", NOBODY, *option, source="worked")
    assert {name: other[name] for name in ("corrected", "kept")} == {
        name: counts[name] for name in ("corrected", "kept")
    }
    for folder in ("teacher", "worked"):
        chats = rows_of(tmp_path / folder / "chats.parquet")
        check(chats, template)
        corrections = [row for row in chats if row["kind"] == "correction"]
        kept = sum(row["attempt_correct"] for row in corrections)
        assert kept / len(corrections) == pytest.approx(0.3, abs=0.03)
        assert {row["problem"] for row in chats if row["kind"] == "base"} == {row["problem"] for row in chats}


@pytest.mark.parametrize(
    "kind", heavy_where(GARBAGE, set(GARBAGE) - {"nothing", "truncated", "a list", "no heading", "lies"})
)
def test_garbage_and_lies_are_no_chats(
    attempts: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(answer=GARBAGE[kind]) as service, pytest.raises(SystemExit, match="2"):
        taught(attempts, tmp_path, service.url, "--limit", "3", "--samples", "1")
    assert "none of 3 wrong attempts was corrected" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "chats.parquet").exists()


@pytest.mark.parametrize("kind", heavy_where(GARBAGE, set(GARBAGE) - {"html", "huge", "usage"}))
def test_a_teacher_that_is_bad_at_first_costs_only_requests(attempts: Path, tmp_path: Path, kind: str) -> None:
    counted = Count(teacher, broken=5, otherwise=GARBAGE[kind])
    with serving(answer=counted) as service:
        counts = taught(attempts, tmp_path, service.url)
    assert counts["corrected"] == counts["wrong attempts"]
    assert counted.calls == counts["wrong attempts"] + 5
    check(rows_of(tmp_path / "chats.parquet"))


def slow(request: Any) -> dict[str, Any]:
    time.sleep(0.3)
    return teacher(request)


@pytest.mark.parametrize(
    "given",
    [
        {"status": 429, "for_s": 2.0, "headers": {"Retry-After": "1"}},
        {"status": 429, "for_s": 0.5},
        {"status": 429, "for_s": 0.5, "headers": {"Retry-After": "soon"}},
        {"answer": slow},
        {"answer": in_text},
    ],
    ids=["Retry-After", "429", "soon", "slow", "in text"],
)
@pytest.mark.usefixtures("quick_pauses")
def test_a_slow_or_busy_teacher_is_waited_for(attempts: Path, tmp_path: Path, given: dict[str, Any]) -> None:
    with serving(**{"answer": teacher} | given) as service:
        counts = taught(attempts, tmp_path, service.url, "--limit", "4")
    assert counts["corrected"] == 4


def drips(request: Any) -> Reply:
    """Each byte comes long before a reader's patience ends, and the answer never."""
    return Reply(repeat(b" ", 10**4), pause_s=0.02)


def hangs_up(request: Any) -> Reply:
    return Reply([b'{"choices": ['], {"Content-Length": "1000"})


def sleeps(request: Any) -> dict[str, Any]:
    time.sleep(2)
    return teacher(request)


@pytest.mark.parametrize("otherwise", [sleeps, drips, hangs_up], ids=lambda each: each.__name__)
@pytest.mark.usefixtures("quick_pauses")
def test_an_answer_that_does_not_end_is_asked_for_again(
    attempts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, otherwise: Answer
) -> None:
    monkeypatch.setattr("fail2fix.evaluate.openai_engine.TIMEOUT_S", 0.5)
    counted = Count(teacher, broken=2, otherwise=otherwise)
    with serving(answer=counted) as service:
        counts = taught(attempts, tmp_path, service.url, "--limit", "4")
    assert counts["corrected"] == 4
    assert counted.calls == 6


@pytest.mark.parametrize("otherwise", [sleeps, hangs_up], ids=lambda each: each.__name__)
def test_a_teacher_that_never_answers_ends_the_lesson_and_a_better_one_continues_it(
    attempts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    otherwise: Answer,
) -> None:
    monkeypatch.setattr("fail2fix.evaluate.openai_engine.TIMEOUT_S", 0.3)
    monkeypatch.setattr("fail2fix.evaluate.openai_engine.LIMIT_S", 0.3)
    with serving(answer=otherwise) as service, pytest.raises(SystemExit, match="2"):
        taught(attempts, tmp_path, service.url, "--limit", "3")
    line = capsys.readouterr().err.splitlines()[-1]
    assert "teach: error: --endpoint http" in line
    assert "the same command resumes" in line
    with serving(answer=teacher) as service:
        assert taught(attempts, tmp_path, service.url, "--limit", "3")["corrected"] == 3


MARKS = ("<|im_end|>\n<|im_start|>assistant\n", "</attempt>", "<attempt>")


def writes_marks(request: Any) -> dict[str, Any]:
    solution = chain.worked_solution(question_of(request))
    return completion(f"{''.join(MARKS)} Sum again.\n\n{HEADING}\n{solution}")


def test_marks_in_a_teachers_text_stay_in_the_response(attempts: Path, tmp_path: Path) -> None:
    with serving(answer=writes_marks) as service:
        taught(attempts, tmp_path, service.url, "--correction", '{"template": "diagnosis"}')
    chats = rows_of(tmp_path / "chats.parquet")
    assert any(MARKS[0] in row["messages"][-1]["content"] for row in chats)
    for row in chats:
        assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"]
        request = row["messages"][0]["content"]
        assert request.count("<attempt>") == request.count("</attempt>") == (row["kind"] == "correction")
        assert MARKS[0] not in request
    check(chats, "diagnosis")


@pytest.mark.parametrize(("source", "answer"), [("teacher", teacher), ("own", student)])
def test_recorded_answers_replay_byte_for_byte_without_the_teacher(
    attempts: Path, tmp_path: Path, source: str, answer: Answer
) -> None:
    """From any folder, and in any order of the answers in the file."""
    with serving(answer=Count(answer, broken=3, otherwise=lies)) as service:
        taught(attempts, tmp_path / "first", service.url, source=source)
    recorded = tmp_path / "answers.jsonl"
    lines = (tmp_path / "first" / "answers.jsonl").read_bytes().splitlines(keepends=True)
    recorded.write_bytes(before := b"".join(reversed(lines)))
    taught(attempts, tmp_path / "second", NOBODY, "--answers", str(recorded), source=source)
    assert recorded.read_bytes() == before
    chats = [(tmp_path / name / "chats.parquet").read_bytes() for name in ("first", "second")]
    assert chats[0] == chats[1]


@pytest.mark.parametrize("keep", [0.0, 0.4, 0.97])
def test_a_killed_lesson_asks_only_for_what_it_had_not_written(attempts: Path, tmp_path: Path, keep: float) -> None:
    counted = Count(teacher)
    with serving(answer=counted) as service:
        counts = taught(attempts, tmp_path, service.url)
        whole, chats = (tmp_path / "answers.jsonl").read_bytes(), (tmp_path / "chats.parquet").read_bytes()
        cut = whole[: int(len(whole) * keep)]
        (tmp_path / "answers.jsonl").write_bytes(cut)
        counted.calls = 0
        taught(attempts, tmp_path, service.url)
    assert counted.calls == counts["accepted"] - cut.count(b"\n")
    assert (tmp_path / "chats.parquet").read_bytes() == chats
    assert sorted((tmp_path / "answers.jsonl").read_bytes().splitlines()) == sorted(whole.splitlines())


def test_a_budget_bounds_all_answers_and_a_larger_one_continues(attempts: Path, tmp_path: Path) -> None:
    counted = Count(teacher)
    with serving(answer=counted) as service:
        for _ in range(2):  # the budget is of the file, not of the call
            counts = taught(attempts, tmp_path, service.url, "--most-tokens", "3500")
            assert 0 < counts["recorded tokens"] <= 3500
            assert 0 < counts["corrected"] < counts["wrong attempts"]
            assert counts["not asked"]
        asked = counted.calls
        counts = taught(attempts, tmp_path, service.url)
    assert counts["corrected"] == counts["wrong attempts"] == counted.calls
    assert counted.calls > asked


def test_the_key_is_in_no_file_and_no_output(
    attempts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "key-of-a-test-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", key)

    def repeats(request: Any) -> dict[str, Any]:
        return completion(f"You sent {key}.\n\n{HEADING}\n{chain.worked_solution(question_of(request))}")

    with serving(answer=repeats) as service:
        taught(attempts, tmp_path, service.url, "--correction", '{"template": "diagnosis"}')
    chats = rows_of(tmp_path / "chats.parquet")
    assert any("You sent ***." in row["messages"][-1]["content"] for row in chats)
    for path in tmp_path.iterdir():
        assert key.encode() not in path.read_bytes()
    assert key not in "".join(capsys.readouterr())


def test_own_corrections_are_sampled_until_one_is_right(attempts: Path, tmp_path: Path) -> None:
    counted = Count(student)
    with serving(answer=counted) as service:
        counts = taught(attempts, tmp_path, service.url, "--samples", "6", source="own")
    assert counts["accepted"] == counts["corrected"] > 0
    assert counts["rejected"] > 0
    assert counted.calls == counts["accepted"] + counts["rejected"]
    check(rows_of(tmp_path / "chats.parquet"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from", "own"], "--from own: give its --model"),
        (["--from", "worked", "--model", "m"], "--from worked: asks no --model"),
        (["--from", "worked", "--right-share", "1"], "--right-share 1.0"),
        (["--from", "worked", "--correction", '{"template": "none"}'], "cannot be loaded"),
        (["--from", "worked", "--attempts", "nothing.parquet"], "no such file: give files that fail2fix.collect wrote"),
        (["--from", "worked", "--self-correction", "3"], "unrecognized arguments: --self-correction 3"),
    ],
)
def test_bad_input_ends_in_one_line(
    attempts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--attempts", str(attempts), "--out", str(tmp_path / "out"), *options])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("teach: error: ")
    assert words in line


def test_a_training_file_holds_no_attempts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain.main([str(tmp_path / "data"), "--train", "8", "--held-out", "4"])
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        main(["--attempts", str(tmp_path / "data/train.parquet"), "--out", str(tmp_path / "out"), "--from", "worked"])
    assert capsys.readouterr().err.rstrip().endswith(": give files that fail2fix.collect wrote")


def test_a_file_that_is_no_answers_is_refused(
    attempts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.jsonl").write_text('{"key": "a"}\n')
    with pytest.raises(SystemExit, match="2"):
        taught(attempts, tmp_path, NOBODY, "--answers", str(tmp_path / "mine.jsonl"))
    assert "line 1: no recorded answer" in capsys.readouterr().err
