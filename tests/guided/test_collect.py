"""Collected attempts: every rollout with its verdict, once, however often the collection was interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from fail2fix.collect import main
from fail2fix.data.rows import verl_row, write_parquet
from fail2fix.data.tasks import chain
from fail2fix.evaluate.questions import read_questions
from tests.guided.classroom import Count, rows_of, student, training_file
from tests.services import serving


def collected(out: Path, data: Path, url: str, *options: str) -> Path:
    arguments = ["--model", "m", "--endpoint", f"{url}v1", "--data", str(data), "--out", str(out)]
    main([*arguments, "--samples", "4", "--batch", "16", *options])
    return out / "attempts.parquet"


def test_every_rollout_has_the_verdict_of_its_family(tmp_path: Path) -> None:
    data = training_file(tmp_path / "data")
    with serving(answer=student) as service:
        path = collected(tmp_path / "out", data, service.url)
    attempts = read_questions(path)
    assert len(attempts) == len({each.id for each in attempts}) == 12 * 4
    questions = {row["prompt"][0]["content"] for row in rows_of(data)}
    assert {each.messages[0]["content"] for each in attempts} == questions
    for each in attempts:
        assert each.attempt is not None
        assert each.attempt.correct == (chain.compute_score("", each.attempt.text, each.ground_truth)["acc"] == 1.0)
        assert each.tags["finish"] == "stop"
    assert {each.attempt.correct for each in attempts if each.attempt} == {True, False}


def test_an_interrupted_collection_resumes_and_writes_the_same(tmp_path: Path) -> None:
    data = training_file(tmp_path / "data")
    counted = Count(student)
    with serving(answer=counted) as service:
        whole = collected(tmp_path / "whole", data, service.url).read_bytes()
    assert counted.calls == 48
    counted = Count(student)
    with serving(answer=counted) as service:
        # A kill after two of three batches: what the third one had is gone.
        out = tmp_path / "killed"
        collected(out, data, service.url)
        for path in (out / "attempts.parquet", *out.glob("batches/00002.*")):
            path.unlink()
        assert collected(out, data, service.url).read_bytes() == whole
    assert counted.calls == 48 + 16


def test_a_limit_draws_rows_by_the_seed(tmp_path: Path) -> None:
    data = training_file(tmp_path / "data")
    with serving(answer=student) as service:
        path = collected(tmp_path / "out", data, service.url, "--limit", "3")
    assert len({each.tags["problem"] for each in read_questions(path)}) == 3


def test_rows_of_equal_ids_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [verl_row(chain.DATA_SOURCE, f"{chain_of(n)}", str(n + 5), "train", n) for n in range(2)]
    for row in rows:
        row["extra_info"]["id"] = "same"
    write_parquet(tmp_path / "twice.parquet", rows)
    with pytest.raises(SystemExit, match="2"):
        collected(tmp_path / "out", tmp_path / "twice.parquet", "http://127.0.0.1:9/")
    assert "row 1: id 'same' occurs twice" in capsys.readouterr().err


def chain_of(number: int) -> str:
    return f"Add step by step, one sum per line: {number} + 5"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "nothing.parquet"], "nothing.parquet: no such file: give a training file as --data"),
        (["--self-correction", "1"], "unrecognized arguments: --self-correction 1"),
        (["--temperature", "0"], "greedy samples are equal"),
        (["--limit", "0"], "--limit 0: must be at least 1"),
    ],
)
def test_bad_input_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    data = training_file(tmp_path / "data")
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        collected(tmp_path / "out", data, "http://127.0.0.1:9/", *options)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("collect: error: ")
    assert words in line
    assert not (tmp_path / "out").exists()
