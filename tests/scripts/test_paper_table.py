"""The paper's table, with a Python that only leaves what each stage would leave."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETS = ("aime24", "aime25", "amc23", "math500", "minerva", "olympiadbench")
TRAINED = ("grpo", "grpo_bs256", "cipo", "cipo_offline")
# Says what it was asked in $TOLD, and leaves what the stage leaves. The call number $FAILS fails and leaves nothing.
STUB = """#!/usr/bin/env bash
set -euo pipefail
echo "$*" >> "$TOLD"
[[ $(wc -l < "$TOLD") != "$FAILS" ]] || exit 1
case $2 in
  fail2fix.compare)
    [[ ! -d $MADE/training ]] || exit 0
    for name in grpo grpo_bs256 cipo cipo_offline; do
      mkdir -p "$MADE/training/$name/$name-seed0/checkpoints"
      echo 4 > "$MADE/training/$name/$name-seed0/checkpoints/latest_checkpointed_iteration.txt"
    done ;;
  fail2fix.export) mkdir -p "$4" ;;
esac
"""


def table(tmp_path: Path, *arguments: str, fails: int = 0, model: str = "/m") -> subprocess.CompletedProcess[str]:
    (tmp_path / "python").write_text(STUB)
    (tmp_path / "python").chmod(0o755)
    places = {"PYTHON": str(tmp_path / "python"), "MODEL": model, "DATA": "/d", "DEVICE": "gpu"}
    places |= {"TOLD": str(tmp_path / "told"), "FAILS": str(fails), "MADE": str(tmp_path / "out")}
    places["SETS"] = str(tmp_path / "sets")
    places["HF_HUB_OFFLINE"] = "1"  # should the script ever choose another Python
    command = [str(ROOT / "scripts" / "paper_table.sh"), "--out", str(tmp_path / "out"), *arguments]
    return subprocess.run(command, env=os.environ | places, capture_output=True, text=True, timeout=60)


def told(tmp_path: Path) -> list[list[str]]:
    return [line.split() for line in (tmp_path / "told").read_text().splitlines()]


def test_a_stage_reads_what_the_one_before_wrote(tmp_path: Path) -> None:
    assert table(tmp_path, "--setup", "organism_latin", "--limit", "7", "a=1").returncode == 0
    compare, start, *rest, last = told(tmp_path)
    assert compare[1] == "fail2fix.compare"
    assert {*TRAINED, "setup=organism_latin", "a=1"} <= set(compare)
    out = tmp_path / "out"
    assert start[1:6] == ["fail2fix.evaluate", "--model", "/m", "--out", f"{out}/evaluations/start"]
    for name, export, evaluate in zip(TRAINED, rest[::2], rest[1::2], strict=True):
        checkpoint = f"{out}/training/{name}/{name}-seed0/checkpoints/global_step_4"
        assert export[1:] == ["fail2fix.export", checkpoint, f"{out}/models/{name}"]
        assert evaluate[2:6] == ["--model", f"{out}/models/{name}", "--out", f"{out}/evaluations/{name}"]
    assert all(line[-2:] == ["--limit", "7"] for line in [start, *rest[1::2]])
    named = [f"{name}={out}/evaluations/{name}" for name in ("start", *TRAINED)]
    assert last[2:] == ["table", *named, "--out", str(out)]


@pytest.mark.parametrize("fails", range(1, 12))
def test_whichever_stage_fails_the_same_call_goes_on_there(tmp_path: Path, fails: int) -> None:
    assert table(tmp_path, "--setup", "organism_latin", fails=fails).returncode == 1
    before = told(tmp_path)
    assert len(before) == fails
    (tmp_path / "told").unlink()
    assert table(tmp_path, "--setup", "organism_latin").returncode == 0
    after = told(tmp_path)
    exported = [line[3] for line in [*before[:-1], *after] if line[1] == "fail2fix.export"]
    assert exported == [f"{tmp_path}/out/models/{name}" for name in TRAINED]
    assert after[-1][1:3] == ["fail2fix.evaluate", "table"]


@pytest.mark.parametrize("model", ["/m", "../m", ".models/m", "hub/m"])
def test_the_papers_protocol_does_not_depend_on_where_the_model_is(tmp_path: Path, model: str) -> None:
    assert table(tmp_path, model=model).returncode == 0
    asked = [line for line in told(tmp_path) if line[1] == "fail2fix.evaluate" and line[2] == "--model"]
    assert len(asked) == 5
    for line in asked:
        assert set(SETS) <= set(line)
        assert not {"--max-model-len", "--max-tokens", "--samples", "--temperature"} & set(line)


def test_sets_that_are_not_there_are_prepared_before_anything_is_trained(tmp_path: Path) -> None:
    for name in SETS[:2]:
        (tmp_path / "sets" / name).mkdir(parents=True)
        (tmp_path / "sets" / name / "test.parquet").touch()
    assert table(tmp_path, fails=1).returncode == 1
    assert [line[1:] for line in told(tmp_path)] == [["fail2fix.prepare", *SETS[2:], "--out", f"{tmp_path}/sets"]]


def test_a_deleted_checkpoint_is_said_in_one_line(tmp_path: Path) -> None:
    assert table(tmp_path, "--setup", "gsm8k", fails=3).returncode == 1
    checkpoints = tmp_path / "out" / "training" / "grpo" / "grpo-seed0" / "checkpoints"
    (checkpoints / "latest_checkpointed_iteration.txt").unlink()
    done = table(tmp_path, "--setup", "gsm8k")
    assert done.returncode == 2
    refusals = [line for line in done.stderr.splitlines() if not line.startswith("+ ")]
    assert refusals == [f"paper_table: {checkpoints}: no checkpoint to export: put it back, or use another --out"]
