"""Faults, what each must lead to, and how a run of the real stack is broken from outside.

A run of the tiny model is started, found in its second step, and broken: a process is killed or stopped, a file
system is full, the reward function goes wrong, a signal arrives. What counts is how it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from fail2fix.cluster.processes import become_subreaper, end_descendants
from tests.e2e.conftest import FP32, Bench

ROOT = Path(__file__).parents[3]
REWARDS = Path(__file__).with_name("faulty_rewards.py")
STEPS = 3
HELD = "step 2, phase gen_base"  # where a run is when it is broken
PATIENCE_S = 600.0  # before a run counts as hung
KILL, STOP = signal.SIGKILL, signal.SIGSTOP
LONG = ("trainer.total_training_steps=60",)
GIVE_UP = ("fail2fix.verifier.retry_s=3",)
NAIVE = (
    "fail2fix.correction.enabled=false", "reward.reward_manager.source=register", "reward.reward_manager.name=naive",
)  # fmt: skip
WATCHDOG = ("fail2fix.watchdog.limit_s=60",)
NO_SAVES = ("trainer.save_freq=100",)

Injection = Callable[[subprocess.Popen[bytes], Path], None]


@dataclass(frozen=True)
class Fault:
    """One way to break a run.

    Attributes:
        what: in words.
        status: the exit status that it must end with.
        inject: breaks the run, once it is where `HELD` says; None: its config does.
        overrides: what its config adds. By default every step is saved.
        reward: how the reward function goes wrong (`faulty_rewards`).
        tmpfs: a file system of this size over a folder, "size folder"; "{run}" is the run's.
        retry: restarts allowed.
    """

    what: str
    status: int
    inject: Injection | None = None
    overrides: Sequence[str] = ()
    reward: str = ""
    tmpfs: str = ""
    retry: int | None = None


@dataclass(frozen=True)
class Outcome:
    """How a broken run ended.

    Attributes:
        status: its exit status; 124 where it had to be killed.
        seconds: from the fault to the end of the process.
        line: its last words.
        steps: the last step in metrics.jsonl.
        checkpoint: the step of the newest checkpoint.
        lost: what a resumption has to do again.
        left_behind: processes that outlived it.
    """

    name: str
    what: str
    wanted: int
    status: int
    seconds: float
    line: str
    steps: int
    checkpoint: int
    lost: str
    left_behind: int

    @property
    def as_wanted(self) -> bool:
        return self.status == self.wanted and self.left_behind == 0


def send(number: int, title: str) -> Injection:
    """Send a signal to the run's first process with this title."""

    def inject(run: subprocess.Popen[bytes], _: Path) -> None:
        found = sorted(
            (p for p in psutil.Process(run.pid).children(recursive=True) if _titled(p, title)), key=lambda p: p.pid
        )
        if not found:
            titles = sorted({_title(p)[:60] for p in psutil.Process(run.pid).children(recursive=True)})
            raise LookupError(f"no process {title!r} among {titles}")
        found[0].send_signal(number)

    return inject


def kill_all(title: str) -> Injection:
    """Kill every process of the run with this title."""

    def inject(run: subprocess.Popen[bytes], _: Path) -> None:
        found = [p for p in psutil.Process(run.pid).children(recursive=True) if _titled(p, title)]
        if not found:
            raise LookupError(f"no process {title!r}")
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    return inject


def judged_by(function: str) -> tuple[str, ...]:
    """Rewards of our own verifiers (`judging_rewards`)."""
    path = Path(__file__).with_name("judging_rewards.py")
    key = "reward.custom_reward_function"
    return (f"{key}.path={path}", f"{key}.name={function}")


def signal_run(number: int) -> Injection:
    return lambda run, _: run.send_signal(number)


def kill_training(run: subprocess.Popen[bytes], _: Path) -> None:
    """Kill the training under ``fail2fix.retry``, whose child it is."""
    (training,) = psutil.Process(run.pid).children()
    training.kill()


def fill_shared_memory(run: subprocess.Popen[bytes], _: Path) -> None:
    """All of the run's own /dev/shm."""
    with contextlib.suppress(OSError), open(f"/proc/{run.pid}/root/dev/shm/filled", "wb", buffering=0) as file:
        while file.write(bytes(1 << 20)):
            pass


def twice(number: int) -> Injection:
    def inject(run: subprocess.Popen[bytes], _: Path) -> None:
        run.send_signal(number)
        time.sleep(1.5)  # sooner, it counts as the same request
        run.send_signal(number)

    return inject


def trigger(_: subprocess.Popen[bytes], folder: Path) -> None:
    """Let the reward function go wrong from here on."""
    _trigger_of(folder).touch()


def ask(_: subprocess.Popen[bytes], folder: Path) -> None:
    (folder / "stop").touch()


FAULTS: dict[str, Fault] = {
    "engine_killed": Fault("vLLM's engine is killed", 75, send(KILL, "VLLM::EngineCore"), NO_SAVES),
    "engine_worker_killed": Fault("vLLM's worker is killed", 75, send(KILL, "VLLM::Worker"), NO_SAVES),
    "server_killed": Fault("the vLLM server actor is killed", 75, send(KILL, "ray::vLLMHttpServer"), NO_SAVES),
    "engine_hung": Fault("vLLM's engine is stopped: generation hangs", 75, send(STOP, "VLLM::EngineCore"), WATCHDOG),
    "balancer_killed": Fault("the load balancer actor is killed", 75, send(KILL, "LoadBalancer"), NO_SAVES),
    "reward_worker_killed": Fault("a reward worker is killed", 75, send(KILL, "ray::RewardLoopWorker"), NO_SAVES),
    "reward_worker_hung": Fault("a reward worker is stopped", 75, send(STOP, "ray::RewardLoopWorker"), WATCHDOG),
    "reward_worker_exits": Fault("the reward function ends its process", 75, trigger, NO_SAVES, reward="exit"),
    "agent_loop_killed": Fault("an agent loop worker is killed", 75, send(KILL, "ray::PromptIdsAgent"), NO_SAVES),
    "agent_loop_hung": Fault("an agent loop worker is stopped", 75, send(STOP, "ray::PromptIdsAgent"), WATCHDOG),
    "trainer_worker_killed": Fault("the worker that holds the weights is killed", 75, send(KILL, "ray::WorkerDict")),
    "trainer_worker_hung": Fault(
        "the worker that holds the weights is stopped", 75, send(STOP, "ray::WorkerDict"), WATCHDOG
    ),
    "task_runner_killed": Fault("the trainer's own process is killed", 75, send(KILL, "ray::Fail2FixTaskRunner")),
    "task_runner_hung": Fault(
        "the trainer's own process is stopped", 75, send(STOP, "ray::Fail2FixTaskRunner"), WATCHDOG
    ),
    "node_lost": Fault("the node's raylet is killed", 75, send(KILL, "raylet/raylet")),
    "gcs_killed": Fault("Ray's control store is killed", 75, send(KILL, "gcs_server"), LONG),
    "gcs_hung": Fault("Ray's control store is stopped", 75, send(STOP, "gcs_server"), (*WATCHDOG, *LONG)),
    "sigterm": Fault("SIGTERM to the driver", 143, signal_run(signal.SIGTERM), NO_SAVES),
    "sigint": Fault("SIGINT to the driver", 130, signal_run(signal.SIGINT), NO_SAVES),
    "sigint_twice": Fault("SIGINT to the driver, and again", 130, twice(signal.SIGINT)),
    "stop_file": Fault("a file named stop in the run's folder", 0, ask, NO_SAVES),
    # Alone, it would leave two idle agents of Ray's behind, which nobody is there to end.
    "driver_killed": Fault("the driver is killed, under fail2fix.retry", 128 + KILL, kill_training, retry=0),
    "reward_raises": Fault("the verifier's service is down", 75, trigger, (*NO_SAVES, *GIVE_UP), "raise"),
    "reward_bug": Fault("the reward function has a KeyError from the start", 2, None, NO_SAVES, "bug"),
    "reward_raises_some": Fault(
        "the verifier's service is down for one problem in four", 0, trigger,
        ("fail2fix.faults.max_excluded_groups=1", *GIVE_UP), "raise_some",
    ),
    "reward_hangs": Fault(
        "the reward function hangs", 75, trigger, ("fail2fix.verifier.call_s=5", "fail2fix.verifier.retries=1"), "hang"
    ),
    "reward_bug_naive": Fault(
        "the reward function has a KeyError, under verl's naive manager", 2, None, (*NO_SAVES, *NAIVE), "bug"
    ),
    "reward_nan": Fault("the reward function returns NaN", 2, trigger, NO_SAVES, "nan"),
    "reward_nan_naive": Fault(
        "the reward function returns NaN, under verl's naive manager", 2, trigger, (*NO_SAVES, *NAIVE), "nan"
    ),
    "timeouts": Fault("every check times out", 75, trigger, NO_SAVES, "timeout"),
    "empty_selection": Fault(
        "every check times out, allowed: no attempt to replay", 0, trigger, ("fail2fix.faults.max_timeouts=1",),
        "timeout",
    ),
    "verifier_killed": Fault(
        "all processes of the math verifier are killed", 0, kill_all("forkserver"), judged_by("expression")
    ),
    "sandboxes_killed": Fault("all sandboxes of programs are killed", 0, kill_all("bwrap"), judged_by("program")),
    "nan_gradient": Fault(
        "every gradient is NaN", 70, None,
        ("actor_rollout_ref.actor.use_kl_loss=true", "actor_rollout_ref.actor.kl_loss_coef=inf",
         "fail2fix.faults.max_skipped_updates=2", *NO_SAVES),
    ),
    "disk_full": Fault("the disk is full while a checkpoint is saved", 74, None, (), tmpfs="7m {run}/checkpoints"),
    "dumps_full": Fault("the disk is full while rollouts are dumped", 74, None, (), tmpfs="8k {run}/rollouts"),
    "shm_full": Fault("/dev/shm is too small for the weights: refused", 2, None, (), tmpfs="48m /dev/shm"),
    "shm_filled": Fault("/dev/shm is filled by somebody else", 74, fill_shared_memory, (), tmpfs="2g /dev/shm"),
    "retried": Fault("vLLM's engine is killed, one restart allowed", 0, send(KILL, "VLLM::EngineCore"), retry=1),
    "killed_and_retried": Fault("the driver is killed, one restart allowed", 0, kill_training, retry=1),
}  # fmt: skip


def break_run(bench: Bench, name: str) -> Outcome:
    """Start a run, break it, and see how it ends; nothing of it is left afterwards."""
    become_subreaper()
    fault, folder = FAULTS[name], bench.root / "outputs" / "e2e" / f"fault-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _trigger_of(folder).unlink(missing_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="f2f", dir="/tmp"))
    try:
        with (scratch / "log").open("w") as log:
            run = _start(bench, fault, folder, scratch, log)
            began = _wait_until_held(run, folder) if fault.inject else time.monotonic()
            if fault.inject and run.poll() is None:
                fault.inject(run, folder)
            status = _ended(run)
            seconds = time.monotonic() - began
        titles = [_title(process) for process in psutil.Process().children(recursive=True)]
        left = end_descendants()
        output = (scratch / "log").read_text(errors="replace")
        said = "".join(f"left behind: {title}\n" for title in titles)
        (folder.parent / f"fault-{name}.log").write_text(output + said)
        return _outcome(name, fault, folder, status, seconds, output, left)
    finally:
        end_descendants()
        shutil.rmtree(scratch, ignore_errors=True)


def _start(bench: Bench, fault: Fault, folder: Path, scratch: Path, log: object) -> subprocess.Popen[bytes]:
    start = ["fail2fix.train"] if fault.retry is None else ["fail2fix.retry", str(fault.retry)]
    command = [
        sys.executable, "-m", *start, "--config-name", "quickstart", *bench.small(), FP32,
        f"fail2fix.run.root={bench.root}/outputs", "trainer.experiment_name=e2e", f"fail2fix.run.name={folder.name}",
        f"reward.custom_reward_function.path={REWARDS}", f"trainer.total_training_steps={STEPS}",
        "trainer.save_freq=1", *fault.overrides,
    ]  # fmt: skip
    if fault.tmpfs:  # in a mount namespace of the run's own
        size, over = fault.tmpfs.format(run=folder).split()
        mount = f'mkdir -p {over} && mount -t tmpfs -o size={size} tmpfs {over} && exec "$@"'
        command = ["unshare", "-m", "sh", "-c", mount, "sh", *command, "fail2fix.run.restart=true"]
    env = os.environ | {
        "VERL_PLATFORM": "cpu", "RAY_TMPDIR": str(scratch), "PYTHONPATH": str(ROOT),
        "FAULT": fault.reward, "FAULT_TRIGGER": str(_trigger_of(folder)),
    }  # fmt: skip
    return subprocess.Popen(
        command, cwd=bench.root, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )


def _wait_until_held(run: subprocess.Popen[bytes], folder: Path) -> float:
    """When the run was found where it is to be broken, or ended before."""
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit and run.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            if json.loads((folder / "alive.json").read_text())["where"] == HELD:
                break
        time.sleep(0.1)
    return time.monotonic()


def _ended(run: subprocess.Popen[bytes]) -> int:
    try:
        return run.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        run.kill()
        run.wait()
        return 124


def _outcome(name: str, fault: Fault, folder: Path, status: int, seconds: float, output: str, left: int) -> Outcome:
    lines = [line for line in output.splitlines() if line.startswith(("fail2fix: error:", "fail2fix.retry:"))]
    metrics = folder / "metrics.jsonl"
    steps = len(metrics.read_text().splitlines()) if metrics.exists() else 0
    said = re.findall(r"last checkpoint: \S*global_step_(\d+)", output)
    tracker = folder / "checkpoints" / "latest_checkpointed_iteration.txt"
    checkpoint = int(tracker.read_text()) if tracker.exists() else int(said[-1]) if said else 0
    finished = (folder / "finished").exists()
    lost = "nothing" if finished or status in (0, 70, 130, 143) and checkpoint == steps else "the running step"
    if steps > checkpoint and not finished:
        lost = f"{steps - checkpoint} finished step(s) and the running one"
    return Outcome(
        name, fault.what, fault.status, status, round(seconds, 1), lines[-1] if lines else "", steps, checkpoint, lost,
        left,
    )  # fmt: skip


def _trigger_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.trigger")


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _titled(process: psutil.Process, title: str) -> bool:
    return title in _title(process)
