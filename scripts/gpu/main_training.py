"""The main item: one training that takes plain, online and lagged in turn, its engines asleep between them.

Its learning rate moves the policy, so that a lost weight sync shows in the next step's correlation of rollout and actor
probabilities. The first round does not count; the last has the other seeding of requests. A training that does not get
through its first step is tried again with a remedy.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import psutil

from gpu import figures
from gpu.bench import Bench
from gpu.place import ROOT
from gpu.processes import end
from gpu.remedies import merged
from gpu.report import Report
from gpu.settings import GRAPHS, TURNS
from gpu.stopping import ask_to_stop

TRAIN = "from tests.e2e.support.timing import main; main()"
SYNCED = 0.99  # least correlation of rollout and actor probabilities: the engine has the actor's weights
PROBLEM, WORDS = 96, 256  # most tokens of a problem, and of what stands around an attempt
LOOK_S = 1.0  # between two looks at a training
RESERVE_S = 45.0  # of the whole check, to stop after a step and to write reports


def main_training(bench: Bench) -> None:
    """Train until every kind of step has run; after a failed try, add a remedy and try again."""
    report = bench.report("main", bench.clock.left)
    bench.remedies.take(bench.remedies.asked_for(bench.probe))
    attempt, folder = 0, None
    while bench.clock.left >= min(bench.sizes.start_s, 60) or not attempt:
        attempt += 1
        folder = turns(bench, report, f"main{attempt}-{int(time.time())}")
        remedies = further(bench)
        if len(figures.rows(folder)) >= len(TURNS) or not remedies:
            break
        bench.remedies.take(remedies)
        bench.say(f"another try, without: {bench.remedies.words}")
    report.given_up += bench.remedies.words
    judge(bench, report, figures.rows(folder))
    report.end()


def further(bench: Bench) -> list[str]:
    """Remedies for another try; a CPU has none."""
    return [] if bench.cpu else bench.remedies.next(bench.probe)


def start_limit_s(bench: Bench) -> float:
    """Seconds until a first step; where another try is possible, half of what is left stays for it."""
    half = bench.clock.left / 2
    another = half >= bench.sizes.engine_s and further(bench)
    return min(bench.sizes.start_s, half if another else bench.clock.left)


def turns(bench: Bench, report: Report, run: str) -> Path:
    """One try; the training's run folder."""
    command = bench.python("-c", TRAIN, "--config-name", "cipo", *overrides(bench, run))
    folder, process = bench.place.run(run), bench.start(report, run, command)
    watch(bench, report, process, folder)
    end(process)
    steps = figures.rows(folder)
    report.figures[run] = {"steps": len(steps), "exit": process.returncode}
    if len(steps) < len(TURNS):
        report.figures[run]["error"] = bench.processes.tail(run, 40)
    bench.say(f"{run}: {len(steps)} steps")
    report.save()
    return folder


def watch(bench: Bench, report: Report, process: psutil.Popen, folder: Path) -> None:
    """Wait for the end, and report each step: a killed check leaves its figures.

    Returns early if the training does not get through its first step; asks it to stop when its time is over.
    """
    limits, began, reported = bench.sizes, time.monotonic(), 0
    start_s = start_limit_s(bench)
    while process.poll() is None and bench.clock.left > 10:
        time.sleep(LOOK_S)
        spent, steps = time.monotonic() - began, figures.rows(folder)
        if not steps and spent > start_s:
            return
        if len(steps) > reported:
            report.figures |= summary(steps, seeded(bench))
            report.save()
            reported = len(steps)
        if steps and (spent > limits.main_s or bench.clock.left < RESERVE_S):
            ask_to_stop(folder)


def seeded(bench: Bench) -> list[bool]:
    """Whether the requests of each round have seeds: as ``seeded_rollouts=auto`` has them, the last round otherwise."""
    return [bench.cpu] * (bench.sizes.rounds - 1) + [not bench.cpu]


def overrides(bench: Bench, run: str) -> list[str]:
    sizes, place = bench.sizes, bench.place
    prompt = PROBLEM + sizes.cap + WORDS
    flags = ",".join(map(str, seeded(bench))).lower()
    return merged(bench.training(
        run, f"actor_rollout_ref.model.path={place.random}", f"data.train_files={place.arithmetic}/train.parquet",
        f"data.val_files={place.arithmetic}/test.parquet",
        f"reward.custom_reward_function.path={ROOT}/tests/e2e/support/rewards.py",
        f"data.train_batch_size={sizes.problems}", f"fail2fix.correction.attempts={sizes.problems}",
        f"actor_rollout_ref.rollout.n={sizes.rollouts}", f"fail2fix.correction.rollouts={sizes.rollouts}",
        f"data.max_prompt_length={PROBLEM}", f"data.max_response_length={sizes.cap}",
        f"fail2fix.correction.max_prompt_length={prompt}",
        f"actor_rollout_ref.rollout.max_model_len={prompt + sizes.cap}", "actor_rollout_ref.rollout.max_num_seqs=256",
        f"actor_rollout_ref.actor.ppo_max_token_len_per_gpu={sizes.tokens_per_gpu}",
        *([] if bench.cpu else [GRAPHS]), "actor_rollout_ref.actor.optim.lr=3e-4",
        "trainer.val_before_train=false", "trainer.test_freq=-1", "trainer.save_freq=-1",
        f"trainer.total_training_steps={len(TURNS) * sizes.rounds}",
        f"+timing.turns=[{','.join(TURNS)}]", f"+timing.seeded=[{flags}]", f"+timing.mean={sizes.mean}",
        "+timing.sigma=1.0", f"+timing.cap={sizes.cap}", "+timing.only_generation=false", *bench.remedies.overrides,
    ))  # fmt: skip


def judge(bench: Bench, report: Report, steps: list[figures.Row]) -> None:
    """Every step in sync and finite, corrections in every turn that has them, at least one counted round."""
    wanted = len(TURNS) * bench.sizes.rounds
    report.figures |= summary(steps, seeded(bench))
    pearson = report.figures["pearson_min"]
    report.require(len(steps) == wanted, f"{len(steps)} steps of {wanted}")
    report.require(pearson > SYNCED, f"rollout and actor probabilities correlate by {pearson} only, {SYNCED} is wanted")
    losses = [step.get(f"actor/{name}", math.nan) for step in steps for name in ("pg_loss", "grad_norm")]
    report.require(bool(losses) and all(map(math.isfinite, losses)), "a loss or a gradient is not finite, or missing")
    report.require(any(step.get("actor/grad_norm") for step in steps), "no step moved the policy")
    report.require(bool(report.figures.get("rounds")), "no round counts")
    corrections = sum(step.get("fail2fix/correction/rollouts") or 0 for step in steps)
    report.require(corrections > 0, "no corrections")
    ratios = report.figures.get("step_to_plain", {})
    report.shown = {"least correlation": pearson, "counted rounds": report.figures.get("rounds", 0),
                    **{f"{name} to plain": ratio for name, ratio in ratios.items() if name != "plain"}}  # fmt: skip


def summary(steps: list[figures.Row], flags: list[bool]) -> dict[str, Any]:
    """Figures of the steps; ``flags``: whether the requests of each round have seeds."""
    rounds = figures.rounds(steps, TURNS)
    counted, other = rounds[1 : len(flags) - 1], rounds[len(flags) - 1 :]
    return {
        "pearson_min": figures.least(steps, figures.PEARSON),
        **figures.step_times(counted),
        "counted_rounds_seeded": flags[1],
        "generation_with_other_seeding_to_counted": figures.seeds_cost(other[0], counted) if other else None,
        "all_steps": figures.excerpt(steps),
    }
