"""A guided start on the real stack: attempts by vLLM, corrections, and verl's SFT trainer on both kinds of chats."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from fail2fix.data.rows import read_parquet
from fail2fix.data.tasks import chain
from fail2fix.evaluate.store import read_records
from fail2fix.warmup import STAMP
from tests.e2e.conftest import FP32, Bench, kill_group, kill_run, shared_memory
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


ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 600
EVALUATION, RUN = "evaluation-cipo-2", "tiny-cipo/run"
Place = Callable[[Path, str], bool]
"""Whether a story in a folder, with this output of its running command, has come to a place."""


def reached(file: str) -> Place:
    return lambda folder, output: (folder / file).exists()


def said(words: str) -> Place:
    return lambda folder, output: words in output


KILLS: dict[str, tuple[Place, str]] = {
    "collect": (reached("attempts/batches/00001.answers.parquet"), "attempts/attempts.parquet"),
    "teach": (said("-m fail2fix.teach"), "chats/chats.parquet"),
    "warmup": (said("warm-up step 2/"), "start"),
    "train": (reached(f"{RUN}/checkpoints/latest_checkpointed_iteration.txt"), f"{RUN}/finished"),
    "export": (said("-m fail2fix.export"), "trained-cipo-2"),
    "evaluate": (reached(f"{EVALUATION}/batches/00001.answers.parquet"), f"{EVALUATION}/evaluation.json"),
}
"""{stage: where it is killed, and the file or folder that it would have made}."""


def told(bench: Bench, data: Path, folder: Path, until: Place = lambda folder, output: False) -> str:
    """The output of the one command, run to its end, or killed with all its processes at a place."""
    given = ("data.train_files", "data.val_files", "actor_rollout_ref.model.path")
    small = [argument for argument in bench.small() if not argument.startswith(given)]
    scratch = tempfile.mkdtemp(prefix="f2f", dir="/tmp")
    settings = {
        "PYTHON": sys.executable, "VERL_PLATFORM": "cpu", "RAY_TMPDIR": scratch, "NAME": "tiny",
        "MODEL": str(bench.model), "DATA": str(data), "GUIDED": str(folder), "PROBLEMS": "8", "MAX_TOKENS": "200",
        "MAX_LENGTH": "900", "STEPS": "6", "BATCH": "4", "LR": "1e-3",
        "ENGINE": "--dtype float32 --max-model-len 1024 --batch 8",
    }  # fmt: skip
    log, segments = folder.with_suffix(".log"), shared_memory()
    try:
        with log.open("w") as output:
            process = subprocess.Popen(
                [ROOT / "scripts" / "train_guided.sh", "chain", FP32, *small, "trainer.save_freq=1"],
                env=os.environ | settings, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            deadline = time.monotonic() + LIMIT_S
            while process.poll() is None and not until(folder, log.read_text(errors="replace")):
                assert time.monotonic() < deadline, log.read_text(errors="replace")[-6000:]
                time.sleep(0.01)
            ended = process.poll()
            kill_run(process.pid, scratch)
            process.wait()
    finally:
        kill_run(process.pid, scratch)
        shutil.rmtree(scratch, ignore_errors=True)
        for segment in shared_memory() - segments:
            segment.unlink(missing_ok=True)
    text = log.read_text(errors="replace")
    assert ended in (None, 0), text[-6000:]
    return text


def test_a_story_killed_at_each_stage_ends_like_one_left_alone(bench: Bench, tmp_path: Path) -> None:
    data, whole, cut = tmp_path / "data", tmp_path / "whole", tmp_path / "cut"
    chain.main([str(data), "--train", "8", "--held-out", "12"])
    told(bench, data, whole)
    for stage, (place, made) in KILLS.items():
        told(bench, data, cut, until=place)
        assert not (cut / made).exists(), f"{stage}: killed too late to tell"
    told(bench, data, cut)

    attempts = [read_parquet(folder / "attempts" / "attempts.parquet", "", "") for folder in (whole, cut)]
    assert attempts[0] == attempts[1]
    assert (cut / "chats" / "chats.parquet").read_bytes() == (whole / "chats" / "chats.parquet").read_bytes()
    stamps = [json.loads((folder / "start" / STAMP).read_text())["inputs"] for folder in (whole, cut)]
    assert stamps[0] == stamps[1]
    weights = [AutoModelForCausalLM.from_pretrained(folder / "start").state_dict() for folder in (whole, cut)]
    for name, values in weights[0].items():
        torch.testing.assert_close(weights[1][name], values)
    for folder in (whole, cut):
        assert len(read_records(folder / EVALUATION, "file")) == 12 * 2
        assert not [*folder.glob(".start.*"), *folder.glob(".trained-*")], "nothing half-made is left"
    # A finished story is only looked at.
    again = [line for line in told(bench, data, cut).splitlines() if line.startswith("+ ")]
    assert len(again) == 1
    assert "-m fail2fix.warmup" in again[0]
