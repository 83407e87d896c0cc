"""A guided start on the real stack: attempts by vLLM, corrections, and verl's SFT trainer on both kinds of chats."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fail2fix.data.rows import read_parquet
from fail2fix.data.tasks import chain
from fail2fix.warmup import STAMP
from tests.e2e.conftest import Bench, kill_group
from tests.e2e.test_evaluate import finish, started, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def command(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"fail2fix.{module}", *map(str, arguments)]


def test_a_killed_collection_a_lesson_and_a_warm_up_in_a_row(bench: Bench, tmp_path: Path) -> None:
    chain.main([str(tmp_path / "data"), "--train", "8", "--held-out", "4"])
    engine = ("--dtype", "float32", "--max-model-len", "1024", "--max-tokens", "200")
    asked = ("--model", bench.model, "--data", tmp_path / "data" / "train.parquet", *engine, "--batch", "8")
    log, whole, cut = tmp_path / "log", tmp_path / "whole", tmp_path / "cut"
    finish(command("collect", *asked, "--out", whole), log)
    with started(command("collect", *asked, "--out", cut), log) as process:
        wait_for(cut / "batches" / "00001.answers.parquet", process, log)
        kill_group(process.pid)
    assert not (cut / "attempts.parquet").exists(), "killed too late to tell"
    finish(command("collect", *asked, "--out", cut), log)
    attempts = whole / "attempts.parquet"
    assert read_parquet(cut / "attempts.parquet", "", "") == read_parquet(attempts, "", "")

    words = ("--correction", '{"template": "diagnosis"}', "--attempts", attempts)
    finish(command("teach", *words, "--out", tmp_path / "worked", "--from", "worked"), log)
    own = command("teach", *words, "--out", tmp_path / "own", "--from", "own", "--model", bench.model, *engine)
    with started(own, log) as process:  # a model of random weights corrects nothing
        assert process.wait(timeout=400) == 2, log.read_text()[-4000:]
    assert "was corrected" in log.read_text()
    assert (tmp_path / "own" / "answers.jsonl").stat().st_size

    chats, out = tmp_path / "worked" / "chats.parquet", tmp_path / "start"
    options = ("--steps", 6, "--batch-size", 4, "--lr", "1e-3", "--held-out", 0.25, "--max-length", 900)
    finish(command("warmup", "--model", bench.model, "--chats", chats, "--out", out, *options), log)
    result = json.loads((out / STAMP).read_text())["result"]
    assert result["last_loss"] < result["first_loss"]
    losses = {int(step): loss for step, loss in result["held_out_losses"].items()}
    assert max(losses) == 6
    assert losses[6] < losses[min(losses)]
    assert result["left_out"] == 0
