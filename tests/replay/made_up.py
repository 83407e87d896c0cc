"""Made-up steps, recorded as a run records them: what `fail2fix.method` chooses and gives."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from fail2fix.method.advantage import AdvantageRule, CorrectionGroups, advantage_estimator
from fail2fix.method.config import CorrectionConfig
from fail2fix.method.objective import BatchSplit, feasible_attempts
from fail2fix.method.ratio import ReplayRatio
from fail2fix.method.selection import Attempt, PromptGroup, Selection, select_fitting, selection_rule
from fail2fix.method.shaping import penalty_rule
from fail2fix.replay.decisions import RecordedStep, RewardedRows
from fail2fix.run.config import Fail2FixConfig

PROBLEMS, ROLLOUTS, ATTEMPTS, CORRECTIONS = 12, 6, 8, 4


def settings(**sections: object) -> Fail2FixConfig:
    """Small streams, and the defaults of everything else."""
    correction = CorrectionConfig(attempts=ATTEMPTS, rollouts=CORRECTIONS)
    return replace(Fail2FixConfig(correction=correction, seed=7), **sections)


def pool(draw: np.random.Generator) -> list[PromptGroup]:
    """Problems of all difficulties; some attempts repeat, are cut off or cannot be replayed."""
    groups = []
    for group in range(PROBLEMS):
        ease = draw.random()
        attempts = tuple(
            Attempt(
                group,
                sample,
                correct=bool(draw.random() < ease),
                content=draw.bytes(1) + bytes(15),
                cut_off=bool(draw.random() < 0.1),
                replayable=bool(draw.random() < 0.9),
            )
            for sample in range(ROLLOUTS)
        )
        groups.append(PromptGroup(f"problem{group}", attempts))
    return groups


def recorded_run(config: Fail2FixConfig, steps: int, seed: int = 0, online: bool = True) -> list[RecordedStep]:
    """Steps 1 to ``steps`` of a run with random verdicts and continuous rewards."""
    draw, ratio = np.random.default_rng(seed), ReplayRatio(config.ratio)
    found = []
    for number in range(1, steps + 1):
        step = recorded_step(config, ratio, number, draw, online)
        found.append(step)
        if step.correction is not None:
            verdicts = step.correction.by_group(step.correction.correct)
            trained = step.correction.by_group(step.correction.trained).all(axis=1)
            right = np.array([step.attempts[place].correct for place in step.chosen])
            ratio.update(int(verdicts[right & trained].sum()), verdicts[right & trained].size)
    return found


def recorded_step(
    config: Fail2FixConfig, ratio: ReplayRatio, number: int, draw: np.random.Generator, online: bool
) -> RecordedStep:
    groups, split = pool(draw), BatchSplit()
    ratio.follow(groups)
    fits = partial(feasible_attempts, rollouts=CORRECTIONS, base_rows=PROBLEMS * ROLLOUTS, split=split)
    rule = selection_rule(config.replay)
    selection = select_fitting(groups, ATTEMPTS, fits, rule, ratio.rho, config.replay, config.seed, number)
    right = np.array([attempt.correct for attempt in selection.attempts])
    shape, n = (len(right), CORRECTIONS), PROBLEMS * ROLLOUTS
    correct = draw.random(shape) < 0.6
    plain = correct + draw.normal(0, 0.1, shape)
    shape_reward = penalty_rule(config.risk)
    shaped = np.array(
        [
            [shape_reward(float(r), bool(a), bool(v), config.risk) for r, v in zip(rs, vs, strict=True)]
            for rs, vs, a in zip(plain, correct, right, strict=True)
        ]
    )
    attempt_plain = right + draw.normal(0, 0.1, len(right))
    taken = plain - shaped if config.risk.beyond_broken else None
    made = CorrectionGroups(plain, correct, attempt_plain, right, taken)
    weights, kept = AdvantageRule.of(config.advantage, config.risk, False), draw.random(len(right)) < 0.9
    advantage = np.zeros(shape)
    if kept.any():
        advantage[kept] = advantage_estimator(config.advantage)(made.kept(kept), weights).values
    trained = np.repeat(kept, CORRECTIONS)
    correction = RewardedRows(
        group_size=CORRECTIONS,
        correct=correct.ravel(),
        reward=shaped.ravel(),
        taken=(plain - shaped).ravel(),
        plain=plain.ravel(),
        advantage=np.where(trained, advantage.ravel(), 0).astype(np.float32),
        trained=trained,
        dumped=np.arange(n, n + plain.size),
    )
    verdicts = np.array([attempt.correct for group in groups for attempt in group.attempts])
    rewards = verdicts.astype(float)
    base = RewardedRows(
        group_size=ROLLOUTS,
        correct=verdicts,
        reward=rewards,
        taken=np.zeros(n),
        plain=rewards,
        advantage=(rewards - rewards.mean()).astype(np.float32),
        trained=np.ones(n, dtype=bool),
        dumped=np.arange(n),
    )
    return RecordedStep(
        step=number,
        settings=config,
        leave_one_out=False,
        base_rows=n,
        split=split,
        state=ratio.state,
        online=online,
        pool=groups,
        chosen=[(attempt.group, attempt.sample) for attempt in selection.attempts],
        wanted_correct=selection.wanted_correct,
        attempt_plain=attempt_plain,
        base=base,
        correction=correction,
    )


def stubborn(reward: float, attempt_correct: bool, correct: bool, risk: object) -> float:
    """A penalty rule of one's own: leaving a wrong attempt wrong costs half of what breaking a correct one costs."""
    return reward if correct else reward - (1.0 if attempt_correct else 0.5)


# Selection rules of one's own that return a wrong value, but for `plain_counts`.


def nothing(groups: object, k: int, rho: float, config: object, seed: int, step: int) -> None:
    """Returns no selection."""


def a_list(groups: list[PromptGroup], k: int, rho: float, config: object, seed: int, step: int) -> list[Attempt]:
    return list(groups[0].attempts)


def foreign_attempts(groups: object, k: int, rho: float, config: object, seed: int, step: int) -> Selection:
    return Selection(["an attempt"] * k, 0)  # type: ignore[list-item]


def plain_counts(groups: list[PromptGroup], k: int, rho: float, config: object, seed: int, step: int) -> Selection:
    return Selection([group.attempts[0] for group in groups][:k], 0, {})  # type: ignore[arg-type]


def fails(groups: object, k: int, rho: float, config: object, seed: int, step: int) -> Selection:
    raise RuntimeError("\x1b[2J")
