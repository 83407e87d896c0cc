"""The learning item: cipo against grpo_bs256 over seeds, at equal rollouts, on a set that the model solves in part.

All trainings run at once on one device: engines stay awake with a fixed share of its memory, and each process has its
own /tmp, where verl's weight-sync names are the same in every run. Where a process cannot have one, one seed's runs
follow one another.
"""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import Any

import psutil

from gpu import figures
from gpu.bench import Bench
from gpu.main_training import SYNCED
from gpu.processes import end, has_own_tmp, own_tmp
from gpu.remedies import AWAKE, NO_GRAPHS, merged
from gpu.report import Report
from gpu.settings import CONFIGS, SHARED_DEVICE
from gpu.stopping import ask_to_stop

LAST_STEP_S = 25.0


def learning(bench: Bench) -> None:
    """Train every config with every seed."""
    report = bench.report("learning", limit_s(bench))
    apart = has_own_tmp(bench.place)
    if not apart:
        report.given_up.append("trainings at once (no /tmp of their own): one seed, in turn")
    runs = [(config, seed) for seed in range(bench.sizes.seeds if apart else 1) for config in CONFIGS]
    groups = [runs] if apart and not bench.cpu else [[run] for run in runs]
    for at, group in enumerate(groups):
        share = report.clock.left / (len(groups) - at)
        train(bench, report, group, apart, share)
    report.given_up += bench.remedies.words
    report.figures = {run_name(*run): learned(bench.place.run(run_name(*run))) for run in runs}
    judge(bench, report)
    report.end()


def limit_s(bench: Bench) -> float:
    """Seconds of this item; resume gets its share of what is left, at most half."""
    share = bench.sizes.engine_s if "resume" in bench.wanted else 0.0
    left = bench.clock.left
    return min(bench.sizes.learning_s, max(left - share, left / 2))


def run_name(config: str, seed: int) -> str:
    return f"{config}-{seed}"


def train(bench: Bench, report: Report, group: list[tuple[str, int]], apart: bool, limit_s: float) -> None:
    """Train one group at once; shortly before the limit its runs are asked to stop after their step."""
    processes: dict[Path, psutil.Popen] = {}
    for config, seed in group:
        run = run_name(config, seed)
        prefix = own_tmp(bench.place, run) if apart else ()
        command = bench.python(*arguments(bench, config, seed, bench.sizes.steps))
        shutil.rmtree(bench.place.run(run), ignore_errors=True)
        processes[bench.place.run(run)] = bench.start(report, run, command, prefix)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and any(process.poll() is None for process in processes.values()):
        time.sleep(1)
        report.figures |= {folder.name: learned(folder) for folder in processes}
        report.save()
        if time.monotonic() > deadline - LAST_STEP_S:
            for folder in processes:
                ask_to_stop(folder)
    for process in processes.values():
        end(process)


def arguments(bench: Bench, config: str, seed: int, steps: int) -> list[str]:
    """Of ``python``, for one training."""
    tiny, sizes = bench.place.tiny, bench.sizes
    awake = () if bench.cpu else (*AWAKE, *SHARED_DEVICE, *NO_GRAPHS)
    run = bench.training(
        run_name(config, seed), f"fail2fix.seed={seed}", f"actor_rollout_ref.model.path={tiny}/model",
        f"data.train_files={tiny}/data/train.parquet", f"data.val_files={tiny}/data/test.parquet",
        *(["data.train_batch_size=16"] if config == "cipo" else []),  # grpo_bs256 takes `matched_prompts`
        "actor_rollout_ref.rollout.n=8",
        "fail2fix.correction.attempts=16", "fail2fix.correction.rollouts=8", "fail2fix.budget.matched_prompts=32",
        "data.max_prompt_length=96", "fail2fix.correction.max_prompt_length=256",
        "actor_rollout_ref.rollout.max_model_len=288", "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=8192",
        "actor_rollout_ref.actor.use_dynamic_bsz=true", "actor_rollout_ref.actor.optim.lr=1e-4",
        "actor_rollout_ref.rollout.temperature=1.0", "actor_rollout_ref.rollout.val_kwargs.n=2",
        f"trainer.total_training_steps={steps}", "trainer.val_before_train=true", f"trainer.test_freq={sizes.tested}",
        f"trainer.save_freq={sizes.steps}", "fail2fix.checkpoint.keep_last=1", "fail2fix.held_out.enabled=false",
        *bench.remedies.overrides, *awake,
    )  # fmt: skip
    return ["-m", "fail2fix.train", "--config-name", config, "setup=sorting", *merged(run)]


def learned(folder: Path) -> dict[str, Any]:
    """Figures of one training; accuracies are shares from 0 to 1, by step."""
    steps = figures.rows(folder)
    trained = [step for step in steps if step["step"] > 0]
    return {
        "steps": len(trained), "held_out": figures.held_out(steps),
        "pearson_min": figures.least(trained, figures.PEARSON),
        "rollouts": sum(figures.total(step, "rollouts") for step in trained),
        "base_accuracy": [step.get("fail2fix/base/accuracy") for step in trained][::5],
        "correction_accuracy": [step.get("fail2fix/correction/accuracy") for step in trained][::5],
        "step_s": figures.median(step.get("timing_s/step") for step in trained),
    }  # fmt: skip


def judge(bench: Bench, report: Report) -> None:
    """Every run whole, in sync and tested at both ends; which one learns more is a figure, not a condition."""
    for run, found in report.figures.items():
        whole = report.require(found["steps"] >= bench.sizes.tested, f"{run}: {found['steps']} steps")
        report.require(found["pearson_min"] > SYNCED, f"{run}: correlation {found['pearson_min']}")
        report.require(len(found["held_out"]) >= 2, f"{run}: {len(found['held_out'])} validations, 2 are wanted")
        if not whole:
            found["error"] = bench.processes.tail(run)
        bench.say(f"{run}: {found['steps']} steps, held out {found['held_out']}")
    report.shown = {run: ends(found["held_out"]) for run, found in report.figures.items()}


def ends(held_out: dict[int, float]) -> str:
    """First and last accuracy."""
    values = [value for _, value in sorted(held_out.items()) if not math.isnan(value)]
    return f"{values[0]:.2f} to {values[-1]:.2f}" if values else "none"
