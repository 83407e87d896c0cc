"""Runs with one `trainer.default_local_dir`, one after the other and at once: each leaves the other's files alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Bench, Run, saved_steps
from tests.e2e.support.killing import Started

pytestmark = pytest.mark.e2e

SAVE = ("trainer.save_freq=1", "fail2fix.checkpoint.keep_last=1", "actor_rollout_ref.actor.use_kl_loss=false")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_another_run_is_refused_and_the_folders_own_run_goes_on(
    bench: Bench, own_folder: Path, lagged: Run, request: pytest.FixtureRequest
) -> None:
    assert sorted(lagged.metrics())[:2] == [1, 2]
    before = contents(own_folder)
    ours = (*SAVE, f"trainer.default_local_dir={own_folder}")
    retried = ["-m", "fail2fix.retry", "1", *bench.arguments("one_b", *ours)[2:]]
    for mode in ("auto", "disable"):
        told = bench.python([*retried, f"trainer.resume_mode={mode}"], bench.folder("one_b"))
        assert told.returncode == 2, told.output[-3000:]
        assert "fail2fix.run.name=lagged" in told.output
    assert contents(own_folder) == before
    assert not bench.folder("one_b").exists()
    longer = request.getfixturevalue("resumed")  # starts here, unless another test has asked for it before
    assert list(longer.metrics()) == [1, 2, 3]
    assert saved_steps(own_folder) == ["global_step_3"]


@pytest.mark.slow
def test_a_checkpoint_of_another_folder_starts_a_run_and_stays(bench: Bench) -> None:
    first, second = bench.root / "path_a", bench.root / "path_b"
    bench.train("path_a", *SAVE, f"trainer.default_local_dir={first}").ok()
    before = contents(first)
    by = ("trainer.resume_mode=resume_path", f"trainer.resume_from_path={first}/global_step_2")
    settings = (*SAVE, *by, "trainer.total_training_steps=3")
    assert bench.train("path_x", *settings, f"trainer.default_local_dir={first}").returncode == 2
    run = bench.train("path_b", *settings, f"trainer.default_local_dir={second}").ok()
    assert list(run.metrics()) == [2, 3]  # the line of the step it starts from, and its own
    assert saved_steps(second) == ["global_step_3"]
    assert contents(first) == before


@pytest.mark.slow
@pytest.mark.parametrize("saved", [False, True])
def test_a_retried_run_that_was_told_not_to_resume_stays_itself(bench: Bench, saved: bool) -> None:
    """Killed before or after its first checkpoint, with a checkpoint of another run named but not asked for."""
    other, own = bench.root / "told_other", bench.root / f"told_{saved}"
    if not other.exists():
        bench.train("told_other", *SAVE, f"trainer.default_local_dir={other}").ok()
    before = contents(other)
    name = f"told_{saved}"
    arguments = bench.arguments(
        name, *SAVE, f"trainer.default_local_dir={own}", "trainer.resume_mode=disable",
        f"trainer.resume_from_path={other}/global_step_2", "trainer.total_training_steps=4",
    )  # fmt: skip
    with Started([sys.executable, "-m", "fail2fix.retry", "1", *arguments[2:]], bench.root) as run:
        _wait(lambda: (own / "global_step_1" / "fail2fix_state.json").exists() if saved else own.exists(), run)
        kill_children(run.process)
        assert run.process.wait(timeout=420) == 0, run.log.read_text()[-6000:]
        said = run.log.read_text()
    assert "restart 1 of 1" in said
    assert ("Training from scratch" in said or "Load from checkpoint" in said) is saved
    assert saved_steps(own) == ["global_step_4"]
    assert contents(other) == before


@pytest.mark.slow
def test_two_runs_at_once_never_share_a_folder(bench: Bench) -> None:
    shared = bench.root / "at_once"
    ours = (*SAVE, f"trainer.default_local_dir={shared}")
    with Started([sys.executable, *bench.arguments("at_once_a", *ours)], bench.root) as first:
        _wait(lambda: "Training Progress" in first.log.read_text(), first)
        second = bench.train("at_once_b", *ours)
        assert second.returncode == 2
        assert "another process trains" in second.output or "fail2fix.run.name=at_once_a" in second.output
        assert first.process.wait(timeout=420) == 0, first.log.read_text()[-6000:]
    assert saved_steps(shared) == ["global_step_2"]


def kill_children(process: subprocess.Popen[bytes]) -> None:
    """Kill the training that `fail2fix.retry` started."""
    for child in psutil.Process(process.pid).children():
        child.kill()


def _wait(until: Callable[[], bool], run: Started) -> None:
    deadline = time.monotonic() + 300
    while not until():
        assert run.process.poll() is None, run.log.read_text()[-6000:]
        assert time.monotonic() < deadline
        time.sleep(0.2)
