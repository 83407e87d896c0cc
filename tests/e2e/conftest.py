"""Running the real stack from tests: one process group a run, a time-out around it, its shared memory cleaned up."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from fail2fix.data.tasks import arithmetic

# In the environment of every run, as a user's keys are.
PLANTED = {
    name: f"canary{number}b1d7e04bdonottellcanary{number}b1d7e04bdonottell"
    for number, name in enumerate(("WANDB_API_KEY", "HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY"))
}
REWARDS = Path(__file__).with_name("support") / "rewards.py"
FP32 = "device=cpu_fp32"
MATCHED = 5  # problems of grpo_bs256, another number than the setup's, so that its own line is what decides
SETUP = ("setup=arithmetic", f"fail2fix.budget.matched_prompts={MATCHED}")
SAVED = (*SETUP, "trainer.save_freq=1", "fail2fix.checkpoint.keep_last=1", "actor_rollout_ref.actor.use_kl_loss=false")
LAGGED: dict[str, Any] = {"config": "cipo_lagged"}


@dataclass(frozen=True)
class Run:
    """A finished process and the run folder it left. ``told``: files of Ray's session that hold a planted secret."""

    returncode: int
    output: str
    folder: Path
    told: tuple[str, ...] = ()

    def metrics(self) -> dict[int, dict[str, Any]]:
        lines = (self.folder / "metrics.jsonl").read_text().splitlines()
        return {row["step"]: row for row in map(json.loads, lines)}

    def rollouts(self, step: int) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "rollouts" / f"{step}.jsonl").read_text().splitlines()]

    def validation(self, step: int) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "validation" / f"{step}.jsonl").read_text().splitlines()]

    def ok(self) -> Run:
        assert self.returncode == 0, self.output[-6000:]
        return self


@dataclass(frozen=True)
class Bench:
    """Where the end-to-end runs live: model, data, outputs."""

    root: Path
    model: Path

    def train(
        self,
        name: str,
        *overrides: str,
        config: str = "quickstart",
        env: dict[str, str] | None = None,
        small: list[str] | None = None,
    ) -> Run:
        """``python -m fail2fix.train`` on the tiny model: 4 problems x 4, 4 attempts x 2, two steps."""
        return self.python(self.arguments(name, *overrides, config=config, small=small), self.folder(name), env)

    def arguments(
        self, name: str, *overrides: str, config: str = "quickstart", small: list[str] | None = None
    ) -> list[str]:
        """What follows ``python`` in the command of a run."""
        return [
            "-m", "fail2fix.train", "--config-name", config, *(small or self.small()), FP32,
            f"fail2fix.run.root={self.root}/outputs", "trainer.experiment_name=e2e", f"fail2fix.run.name={name}",
            *overrides,
        ]  # fmt: skip

    def folder(self, name: str) -> Path:
        return self.root / "outputs" / "e2e" / name

    def small(self) -> list[str]:
        return [
            f"data.train_files={self.root}/arithmetic/train.parquet",
            f"data.val_files={self.root}/arithmetic/test.parquet",
            f"actor_rollout_ref.model.path={self.model}",
            f"reward.custom_reward_function.path={REWARDS}",
            "data.train_batch_size=4",
            "data.max_prompt_length=96",
            "fail2fix.correction.attempts=4",
            "fail2fix.correction.rollouts=2",
            "fail2fix.correction.max_prompt_length=512",
            "actor_rollout_ref.rollout.n=4",
            "actor_rollout_ref.rollout.temperature=1.0",
            "actor_rollout_ref.rollout.max_model_len=1024",
            "actor_rollout_ref.rollout.val_kwargs.n=1",
            # As on a GPU: packed rows and dynamic batch sizes.
            "actor_rollout_ref.model.use_remove_padding=true",
            "actor_rollout_ref.actor.use_dynamic_bsz=true",
            "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=1024",
            "actor_rollout_ref.actor.optim.lr=1e-3",
            "trainer.logger=[console]",  # verl's own output, which tests read
            "fail2fix.held_out.enabled=false",
            "actor_rollout_ref.model.custom_chat_template=null",
            "trainer.total_training_steps=2",
            "trainer.val_before_train=false",
            "trainer.test_freq=-1",
            "trainer.save_freq=-1",
        ]

    def python(
        self, arguments: list[str], folder: Path, env: dict[str, str] | None = None, python: str = sys.executable
    ) -> Run:
        """Run Python to its end or its time-out; nothing that it started survives."""
        # Ray's sockets need a short path.
        scratch = tempfile.mkdtemp(prefix="f2f", dir="/tmp")
        log = Path(scratch) / "log"
        segments = shared_memory()
        environment = os.environ | PLANTED | {"VERL_PLATFORM": "cpu", "RAY_TMPDIR": scratch} | (env or {})
        try:
            with log.open("w") as output:
                process = subprocess.Popen(
                    [python, *arguments],
                    cwd=self.root,
                    env=environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                try:
                    code = process.wait(timeout=420)
                except subprocess.TimeoutExpired:
                    code = 124
                finally:
                    kill_run(process.pid, scratch)
            return Run(code, log.read_text(errors="replace"), folder, tuple(holding(Path(scratch), PLANTED.values())))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            for segment in shared_memory() - segments:
                segment.unlink(missing_ok=True)


def saved_steps(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("global_step_*"))


def holding(folder: Path, secrets: Iterable[str]) -> Iterator[str]:
    """The files below a folder in which one of the secrets stands."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            text = path.read_bytes()
            if any(secret.encode() in text for secret in secrets):
                yield str(path)


def kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def kill_run(driver: int, scratch: str | Path) -> None:
    """Kill a run with all its processes in one instant: Ray's, in groups of their own, would go on for a while."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [psutil.Process(driver), *psutil.Process(driver).children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    # What was started meanwhile knows the run's folder for Ray's files.
    while left := [process for process in psutil.process_iter() if _belongs(process, str(scratch))]:
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=10)


def _belongs(process: psutil.Process, scratch: str) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get("RAY_TMPDIR") == scratch
    return False


def shared_memory() -> set[Path]:
    """vLLM's ring buffers, which it leaves behind when its worker dies with its parent."""
    return set(Path("/dev/shm").glob("psm_*"))


def make_bench(root: Path) -> Bench:
    """A bench in a folder, made unless it is there."""
    from tests.e2e.support.tiny import make_model

    if not (root / "ready").exists():
        arithmetic.main([str(root / "arithmetic"), "--seed", "0"])
        make_model(root / "tiny")
        (root / "ready").touch()
    return Bench(root, root / "tiny")


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="session")
def once(bench: Bench) -> Callable[..., Run]:
    """A run by name, started once a session: engines are slow to start, and many tests read the same run."""
    runs: dict[str, Run] = {}

    def get(name: str, *overrides: str, **options: Any) -> Run:
        if name not in runs:
            runs[name] = bench.train(name, *overrides, **options)
        return runs[name].ok()

    return get


@pytest.fixture(scope="session")
def own_folder(bench: Bench) -> Path:
    """Folder that the lagged run's `trainer.default_local_dir` names."""
    return bench.root / "one_folder"


@pytest.fixture(scope="session")
def lagged(once: Callable[..., Run], own_folder: Path) -> Run:
    """Two steps of ``cipo_lagged``, each saved, the last one kept, in a checkpoint folder of the run's own."""
    run = once("lagged", *SAVED, f"trainer.default_local_dir={own_folder}", "trainer.total_epochs=1", **LAGGED)
    assert saved_steps(own_folder) == ["global_step_2"]
    return run


@pytest.fixture(scope="session")
def resumed(lagged: Run, bench: Bench, own_folder: Path) -> Run:
    """The lagged run, started again for a third step; ``lagged.rollouts`` reads its files from then on too."""
    steps = "trainer.total_training_steps=3"
    return bench.train("lagged", *SAVED, f"trainer.default_local_dir={own_folder}", steps, **LAGGED).ok()
