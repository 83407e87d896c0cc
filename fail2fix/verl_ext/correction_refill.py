"""Refill of the correction stream: groups that teach nothing give way to corrections of further attempts (ours).

One round, of at most as many attempts as there are such groups, within the budget of rollouts. The ledger is charged
for all rollouts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fail2fix.method.config import Baseline
from fail2fix.method.rollouts import CORRECTION, Bools
from fail2fix.method.selection import PromptGroup, distinct_candidates
from fail2fix.verl_ext.dynamic_sampling import best_groups, with_signal
from fail2fix.verl_ext.replays import Replay, Replays, build_replays, place_of, without
from fail2fix.verl_ext.step import Step
from fail2fix.verl_ext.stream import Stream, concatenated

if TYPE_CHECKING:
    from fail2fix.verl_ext.trainer import Fail2FixTrainer

METRIC = "reward"  # shaped: a group in which all rollouts are wrong may still differ in the penalty


def refilled_corrections(
    trainer: Fail2FixTrainer, replays: Replays, first: Stream, step: Step
) -> tuple[Replays, Stream]:
    """As many correction groups as in ``first``, and their replays; groups that teach are kept before others."""
    baseline = trainer.settings.advantage.baseline
    idle = int((~teaches(first, replays.replays, baseline)).sum())
    further = further_replays(trainer, replays, idle, step)
    sampled, everything = first, [*replays.replays, *further]
    if further:
        answers = trainer.generation.ask_corrections(Replays(further), step, len(first))
        sampled = concatenated([first, trainer.generation.enter(CORRECTION, answers, step)])
    signal = teaches(sampled, everything, baseline)
    chosen = best_groups(sampled, len(replays), signal)
    kept = sampled.groups_at(chosen)
    failed = int(sampled.rollouts.excluded.sum() - kept.rollouts.excluded.sum())
    step.accounts[CORRECTION].leave(
        recorded=len(further) * kept.rollouts.group_size, failed=failed, discarded=len(further) - failed
    )
    unfilled = len(chosen) - int(signal[chosen].sum())
    counts = {"idle_groups": idle, "further_groups": len(further), "unfilled_groups": unfilled}
    step.metrics |= {f"fail2fix/refill/{name}": float(count) for name, count in counts.items()}
    return Replays([everything[group] for group in chosen], replays.groups), kept


def teaches(corrections: Stream, replays: Sequence[Replay], baseline: Baseline) -> Bools:
    """Groups (K,) whose rewards differ, or ``with_attempt`` those whose verdicts differ from the attempt's."""
    read = corrections.rollouts
    signal = with_signal(corrections, METRIC)
    if baseline is Baseline.with_attempt:
        signal |= (read.by_group(read.correct) != Replays(replays).correct[:, None]).any(axis=1) & ~read.excluded
    return signal


def further_replays(trainer: Fail2FixTrainer, replays: Replays, idle: int, step: Step) -> list[Replay]:
    """Up to ``idle`` attempts that the selection rule chooses from `without_chosen`."""
    settings = trainer.settings
    left = trainer.ledger.left(settings.budget.rollouts) // settings.correction.rollouts
    groups = without_chosen(replays)
    wanted = int(min(idle, left, len(distinct_candidates(groups)[0])))
    if wanted < 1:
        return []
    chance = settings.replay, settings.seed, step.number
    chosen = trainer.select_attempts(groups, wanted, trainer.ratio.rho, *chance).attempts[:wanted]
    further, counts = build_replays(replays.replays[0].pool, chosen, trainer.prompt_builder)
    step.accounts[CORRECTION].enter(prompts=len(chosen))
    step.accounts[CORRECTION].leave(no_room=counts["skipped"])
    return further


def without_chosen(replays: Replays) -> list[PromptGroup]:
    """The problems less the chosen attempts and those identical to one of them, which the first round stands for."""
    places = {replay.place for replay in replays.replays}
    every = [(group.key, attempt) for group in replays.groups for attempt in group.attempts]
    chosen = {(key, attempt.content) for key, attempt in every if place_of(attempt) in places}
    used = places | {place_of(attempt) for key, attempt in every if (key, attempt.content) in chosen}
    return [without(group, used) for group in replays.groups]
