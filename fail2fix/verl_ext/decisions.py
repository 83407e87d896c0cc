"""Record what a step decided, for `fail2fix.replay`."""

from __future__ import annotations

import numpy as np

from fail2fix.method.advantage import AdvantageRule
from fail2fix.method.objective import BatchSplit
from fail2fix.method.ratio import RatioState
from fail2fix.replay.decisions import RecordedStep, RewardedRows
from fail2fix.run.config import Fail2FixConfig
from fail2fix.verl_ext.joint_batch import JointBatch
from fail2fix.verl_ext.replays import Replays
from fail2fix.verl_ext.step import Step


def recorded_step(
    joint: JointBatch,
    replays: Replays,
    step: Step,
    settings: Fail2FixConfig,
    rule: AdvantageRule,
    state: RatioState,
    split: BatchSplit,
    base_rows: int,
) -> RecordedStep:
    """The record of a step whose advantages are in ``joint``; ``state``: the replay ratio's as the step began."""
    rewards = joint.rewards()
    first_token = joint.rows.batch["advantages"][:, 0].numpy(), joint.rows.batch["response_mask"][:, 0].numpy() > 0
    advantages, trained = (joint.per_stream(values) for values in first_token)
    dumped = joint.per_stream(np.arange(len(joint.order)))
    streams = [
        RewardedRows(
            group_size=stream.rollouts.group_size,
            correct=stream.rollouts.correct,
            reward=stream.rollouts.reward,
            taken=stream.rollouts.taken,
            plain=rewards[place] + stream.rollouts.taken,
            advantage=np.where(trained[place], advantages[place], np.float32(0)),
            trained=trained[place],
            dumped=dumped[place],
        )
        for place, stream in enumerate(joint.streams)
    ]
    return RecordedStep(
        step=step.number,
        settings=settings,
        leave_one_out=rule.leave_one_out,
        base_rows=base_rows,
        split=split,
        state=state,
        online=any(replay.pool is joint.base for replay in replays.replays),
        pool=replays.groups,
        chosen=[(replay.attempt.group, replay.attempt.sample) for replay in replays.replays],
        wanted_correct=int(step.metrics.get("fail2fix/replay/wanted_correct", 0)),
        attempt_plain=replays.rewards(joint.base, rewards[0]),
        base=streams[0],
        correction=streams[1] if len(streams) > 1 else None,
    )
