"""A step with two updates instead of a joint one (ThinkTwice, arXiv 2604.01591): solve, learn, correct, learn.

Corrections are written by the policy that the first update has made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl import DataProto

from fail2fix.verl_ext.joint_batch import JointBatch
from fail2fix.verl_ext.replays import Replays
from fail2fix.verl_ext.step import Step

if TYPE_CHECKING:
    from fail2fix.verl_ext.trainer import Fail2FixTrainer


def alternating_step(trainer: Fail2FixTrainer, prompts: DataProto, step: Step) -> JointBatch:
    """One step; without corrections, the first update is all of it.

    Metrics that both updates have, such as ``actor/grad_norm``, are the second's. With several optimizer steps an
    update, those of log-probs before it (entropies, ``training/rollout_...``) are of both streams under the new policy.
    """
    with step.timer("gen"), trainer.engines_awake(step):
        base = trainer.base_rollouts(prompts, step)
    joint = trainer.join_streams([base], step)
    trainer.learn(joint, Replays(), step)
    with step.timer("update_weights"):
        trainer.sync_weights()
    with step.timer("gen"), trainer.engines_awake(step):
        replays = trainer.select_replays(trainer.source.attempts(base), step)
        corrections = trainer.correction_rollouts(replays, step)
        trainer.note_corrections(replays, corrections, step)
    if corrections:
        joint = trainer.join_streams([base, *corrections], step)
    trainer.check_accounting(joint, step)
    if corrections:
        trainer.learn(joint, replays, step, only=1)
    trainer.update_replay_ratio(step)
    trainer.source.end_step(base)
    return joint
