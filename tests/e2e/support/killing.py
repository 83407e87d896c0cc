"""Runs that are killed and started again, against one that was left alone.

A run has six steps over two epochs of three, checkpoints and validates every second of them, and is killed with all its
processes at an instant that is drawn: anywhere, or while a checkpoint is being written.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fail2fix.run.checkpoints import UNFINISHED
from tests.e2e.conftest import Bench, kill_run, shared_memory
from tests.e2e.support.same_run import differences

STEPS = 6
LIMIT_S = 600.0
Where = Literal["anywhere", "saving"]
SETTINGS = (
    f"trainer.total_training_steps={STEPS}",
    "data.train_max_samples=12",
    "data.val_max_samples=6",
    "trainer.save_freq=2",
    "trainer.test_freq=2",
    "trainer.val_before_train=true",
    "fail2fix.checkpoint.keep_last=2",
    "actor_rollout_ref.actor.use_kl_loss=false",
    "actor_rollout_ref.rollout.val_kwargs.do_sample=true",
    "actor_rollout_ref.rollout.val_kwargs.temperature=1.0",
    "data.max_response_length=16",
)


@dataclass(frozen=True)
class Trial:
    """One kill: when, into what, and what differed in the end from the run that was left alone."""

    source: str
    where: Where
    killed_after_s: float
    found: str
    starts: int
    seconds: float
    different: list[str]


def command(bench: Bench, source: str, name: str) -> list[str]:
    """``source``: of attempts."""
    ours = [f"fail2fix.replay.source={source}", "fail2fix.offline.prompts=8"]
    return [sys.executable, *bench.arguments(name, *SETTINGS, *ours)]


class Started:
    """A run with a log and a folder for Ray; nothing of it survives the block."""

    def __init__(self, arguments: list[str], root: Path, env: dict[str, str] | None = None) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="f2f", dir="/tmp"))  # Ray's sockets need a short path
        self.log = self.scratch / "log"
        self.segments = shared_memory()
        environment = os.environ | {"VERL_PLATFORM": "cpu", "RAY_TMPDIR": str(self.scratch)} | (env or {})
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                arguments, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        kill_run(self.process.pid, self.scratch)
        self.process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)
        for segment in shared_memory() - self.segments:
            segment.unlink(missing_ok=True)

    def finish(self) -> float:
        """Seconds until it ended well."""
        began = time.monotonic()
        try:
            code = self.process.wait(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            code = 124
        if code:
            raise RuntimeError(f"exit status {code}\n{self.log.read_text(errors='replace')[-6000:]}")
        return time.monotonic() - began


def run_alone(bench: Bench, source: str) -> tuple[Path, float]:
    """The folder of a run that nobody disturbs, and how long it took, in seconds."""
    name = f"{source}-alone"
    shutil.rmtree(bench.folder(name), ignore_errors=True)
    with Started(command(bench, source, name), bench.root) as run:
        seconds = run.finish()
    return bench.folder(name), seconds


def kill_and_resume(bench: Bench, source: str, where: Where, alone: Path, seconds: float, seed: int) -> Trial:
    """Kill a run once, at an instant drawn by ``seed``, start it again, and compare it with the one left alone.

    Args:
        alone, seconds: ``run_alone``'s.
    """
    name = f"{source}-{where}-{seed}"
    folder, draw, began = bench.folder(name), random.Random(f"{source}:{where}:{seed}"), time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    arguments = command(bench, source, name)
    with Started(arguments, bench.root) as run:
        if where == "saving":
            await_saving(run, folder, step=2 * draw.randrange(1, STEPS // 2 + 1))
            time.sleep(draw.uniform(0, 0.25))
        else:
            time.sleep(draw.uniform(0, seconds))
        ended = run.process.poll() is not None
        killed_after_s = time.monotonic() - began
    found = "it had ended" if ended else _what_was_left(folder)
    with Started(arguments, bench.root) as run:
        run.finish()
    different = differences(alone, folder, STEPS)
    if not different:
        shutil.rmtree(folder)
    return Trial(source, where, round(killed_after_s, 2), found, 2, round(time.monotonic() - began, 1), different)


def await_saving(run: Started, folder: Path, step: int) -> None:
    """Wait until the checkpoint of ``step`` is begun."""
    await_file(run, folder / "checkpoints" / f"global_step_{step}" / UNFINISHED)


def await_file(run: Started, path: Path) -> None:
    """Wait until a run has written this file."""
    deadline = time.monotonic() + LIMIT_S
    while not path.exists():
        if run.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{path} never came\n{run.log.read_text(errors='replace')[-6000:]}")
        time.sleep(0.002)


def _what_was_left(folder: Path) -> str:
    """What a kill found: the checkpoints, whole and unfinished, and the last line of metrics."""
    parts = sorted((folder / "checkpoints").glob("global_step_*"))
    states = [f"{part.name[12:]}{'?' if (part / UNFINISHED).exists() else ''}" for part in parts]
    metrics = folder / "metrics.jsonl"
    lines = len(metrics.read_text().splitlines()) if metrics.exists() else 0
    return f"checkpoints {' '.join(states) or 'none'}, {lines} lines"
