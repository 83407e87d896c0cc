"""Evaluations on the real engine: one that was killed ends like one left alone; an endpoint answers like it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fail2fix.data.rows import verl_row, write_splits
from fail2fix.evaluate.store import read_records
from tests.e2e.conftest import Bench, kill_group, shared_memory

pytestmark = pytest.mark.e2e
QUESTIONS, SAMPLES, ROUNDS = 6, 2, 1
LIMIT_S = 400


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared set under the name of a real one: facts that the tiny model has seen the words of."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for number in range(QUESTIONS):
        row = verl_row(
            "openai/gsm8k", f"What is {number} + 2? Answer with the number only.", str(number + 2), "test", number
        )
        row["extra_info"] |= {"id": f"fact-{number}", "source": "gsm8k"}
        rows.append(row)
    write_splits(folder / "gsm8k", [], rows)
    return folder


def command(bench: Bench, data: Path, out: Path, *more: str) -> list[str]:
    engine = () if "--endpoint" in more else ("--dtype", "float32", "--max-model-len", "512")
    return [
        sys.executable, "-m", "fail2fix.evaluate", "--model", str(bench.model), "--benchmarks", "gsm8k",
        "--data", str(data), "--out", str(out), "--max-tokens", "12", "--channel", "auto", *engine, *more,
    ]  # fmt: skip


@contextmanager
def started(arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    segments = shared_memory()
    with log.open("w") as output:
        process = subprocess.Popen(
            arguments,
            env=os.environ | {"VERL_PLATFORM": "cpu"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill_group(process.pid)
            process.wait()
            for segment in shared_memory() - segments:
                segment.unlink(missing_ok=True)


def finish(arguments: list[str], log: Path) -> None:
    with started(arguments, log) as process:
        assert process.wait(timeout=LIMIT_S) == 0, log.read_text()[-4000:]


def wait_for(path: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not path.exists():
        assert process.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def benchmarks(folder: Path) -> Any:
    return json.loads((folder / "evaluation.json").read_text())["benchmarks"]


def test_a_killed_evaluation_goes_on_to_the_same_end(bench: Bench, data: Path, tmp_path: Path) -> None:
    sampled = ("--self-correction", str(ROUNDS), "--samples", str(SAMPLES), "--temperature", "0.8", "--batch", "2")
    whole, cut, log = tmp_path / "whole", tmp_path / "cut", tmp_path / "log"
    finish(command(bench, data, whole, *sampled), log)
    with started(command(bench, data, cut, *sampled), log) as process:
        wait_for(cut / "batches" / "00002.answers.parquet", process, log)
        kill_group(process.pid)
    assert not (cut / "evaluation.json").exists(), "killed too late to tell"
    finish(command(bench, data, cut, *sampled), log)

    rows = read_records(whole, "gsm8k")
    assert len(rows) == QUESTIONS * SAMPLES * (ROUNDS + 1)
    assert read_records(cut, "gsm8k") == rows
    assert benchmarks(cut) == benchmarks(whole)
    # Samples of a question have seeds of their own, and a correction knows what became of what it corrects.
    assert len({row["seed"] for row in rows}) == len(rows)
    first = {(row["id"], row["sample"]): row for row in rows if row["round"] == 0}
    for row in rows:
        if row["round"] == 1:
            before = first[row["id"], row["sample"]]
            assert row["attempt_correct"] == before["correct"]
            assert row["finish"] == "skipped" or "<attempt>" in row["prompt"]


@pytest.mark.slow
def test_an_endpoint_answers_like_the_engine(bench: Bench, data: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(bench.model), "--host", "127.0.0.1",
        "--port", str(port), "--dtype", "float32", "--max-model-len", "512", "--enforce-eager", "--max-num-seqs", "16",
        "--generation-config", "vllm",
    ]  # fmt: skip
    finish(command(bench, data, tmp_path / "engine"), tmp_path / "engine.log")
    log = tmp_path / "server.log"
    with started(server, log) as process:
        await_health(port, process, log)
        endpoint = ("--endpoint", f"http://127.0.0.1:{port}/v1")
        finish(command(bench, data, tmp_path / "endpoint", *endpoint), tmp_path / "endpoint.log")
    ours, theirs = (read_records(tmp_path / name, "gsm8k") for name in ("engine", "endpoint"))
    # The engine decodes as training does; a service's stream of text holds back an unfinished character, and ends.
    assert [row["response"] for row in theirs] == [row["response"].rstrip("\ufffd") for row in ours]
    assert [row["prompt_tokens"] for row in theirs] == [row["prompt_tokens"] for row in ours]


def await_health(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-4000:]
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text()[-4000:])
