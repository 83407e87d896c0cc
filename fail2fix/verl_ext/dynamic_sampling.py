"""DAPO's dynamic sampling: groups that teach nothing are replaced before the update (arXiv 2503.14476, sec. 3.2).

verl's keys, ``algorithm.filter_groups.{enable,metric,max_num_gen_batches}``. Rounds are bounded; what they leave
missing is filled up with groups without a signal, so that every step has its B groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from fail2fix.method.advantage import ZERO_VARIANCE
from fail2fix.method.rollouts import Bools
from fail2fix.verl_ext.generation import Generation, drawn_prompts
from fail2fix.verl_ext.loop import TrainingLoop
from fail2fix.verl_ext.step import Step
from fail2fix.verl_ext.stream import Stream, concatenated

# filter_groups.metric -> what a group's spread is taken of: its rewards or its verdicts.
REWARD_METRICS = ("reward", "score", "seq_reward", "seq_final_reward")
METRICS = (*REWARD_METRICS, "acc")


def with_signal(stream: Stream, metric: str) -> Bools:
    """Groups (N / G,) whose rollouts differ in the metric and whose verifier did not fail."""
    read = stream.rollouts
    values = read.reward if metric in REWARD_METRICS else read.correct.astype(float)
    return np.asarray(read.by_group(values).std(axis=1, ddof=1) >= ZERO_VARIANCE) & ~read.excluded


def refilled(
    first: Stream, more: Callable[[int, int], Stream | None], metric: str, rounds: int
) -> tuple[Stream, dict[str, float]]:
    """As many groups as ``first`` has, those with a signal first, and what that took.

    Args:
        first: the step's own groups, round 1.
        more: (missing groups, round) -> rollouts of as many problems, or fewer; None where none can be afforded.
        rounds: most rounds, the first included.
    """
    wanted, sampled_rounds = first.rollouts.groups, [first]
    while len(sampled_rounds) < rounds:
        missing = wanted - sum(int(with_signal(stream, metric).sum()) for stream in sampled_rounds)
        if missing <= 0 or (others := more(missing, len(sampled_rounds) + 1)) is None:
            break
        sampled_rounds.append(others)
    sampled = concatenated(sampled_rounds)
    read, signal = sampled.rollouts, with_signal(sampled, metric)
    verified = read.correct[read.included]
    # A group without a signal still measures p-hat and gives attempts; one whose verifier failed gives nothing.
    parts = (signal, ~signal & ~read.excluded, read.excluded)
    chosen = np.sort(np.concatenate([np.flatnonzero(part) for part in parts])[:wanted])
    counts = {
        "sampling_rounds": float(len(sampled_rounds)),
        "sampled_groups": float(read.groups),
        "sampled_excluded_groups": float(read.excluded.sum()),
        "sampled_accuracy": float(verified.mean()) if len(verified) else 0.0,
        "discarded_groups": float(read.groups - wanted),
        "unfilled_groups": float(max(0, wanted - int(signal.sum()))),
    }
    return sampled.groups_at(chosen), {f"fail2fix/base/{name}": value for name, value in counts.items()}


def discarded(base: Stream, counts: Mapping[str, float]) -> dict[str, int]:
    """What ``refilled`` left out, as the base stream's account counts it.

    Args:
        base: the step's base stream.
        counts: what ``refilled`` counted; empty without it.
    """
    groups = int(counts.get("fail2fix/base/discarded_groups", 0))
    excluded = int(base.rollouts.excluded.sum())
    failed = int(counts.get("fail2fix/base/sampled_excluded_groups", excluded)) - excluded
    return {"recorded": groups * base.rollouts.group_size, "failed": failed, "discarded": groups - failed}


def solve_others(
    trainer: TrainingLoop, generation: Generation, step: Step, problems: int, round_number: int
) -> Stream | None:
    """G rollouts of each of ``problems`` problems from the whole training set, as far as the budget allows.

    The step's corrections come first: what they need is not spent here.
    """
    config, settings = trainer.config, trainer.settings
    rollouts, correction = config.actor_rollout_ref.rollout.n, settings.correction
    reserved = correction.attempts * correction.rollouts if correction.enabled else 0
    left = trainer.ledger.left(settings.budget.rollouts) - reserved
    problems = int(min(problems, left // rollouts))
    if problems < 1:
        return None
    prompts = drawn_prompts(trainer.train_dataset, problems, settings.seed, "refill", step.number, round_number)
    prompts.meta_info["temperature"] = config.actor_rollout_ref.rollout.temperature
    return generation.solve_problems(prompts, step, config.data.train_batch_size * rollouts * round_number)
