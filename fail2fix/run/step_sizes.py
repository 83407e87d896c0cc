"""Compute the sizes of a step from verl's config."""

from __future__ import annotations

from math import lcm

from omegaconf import DictConfig

from fail2fix.method.objective import BatchSplit
from fail2fix.run.config import Fail2FixConfig


def world_size(config: DictConfig) -> int:
    """All devices of the run."""
    return int(config.trainer.n_gpus_per_node * config.trainer.nnodes)


def sequence_parallel(config: DictConfig) -> int:
    """How many devices share a sequence (Ulysses). Of verl's two keys the older takes precedence."""
    actor = config.actor_rollout_ref.actor
    older = actor.get("ulysses_sequence_parallel_size", 1)
    return int(older if older > 1 else (actor.get("fsdp_config") or {}).get("ulysses_sequence_parallel_size", 1))


def data_parallel_ranks(config: DictConfig) -> int:
    """FSDP's data-parallel ranks: all devices, divided by those that share a sequence."""
    return max(1, world_size(config) // sequence_parallel(config))


def mini_batches(config: DictConfig) -> int:
    """M, optimizer steps a step (METHOD.md, "Symbols")."""
    return max(1, config.data.train_batch_size // config.actor_rollout_ref.actor.ppo_mini_batch_size)


def batch_split(config: DictConfig, ranks: int) -> BatchSplit:
    """The split of a joint batch into ranks, mini-batches and, without dynamic batch sizes, micro-batches."""
    actor, rollout, ref = (config.actor_rollout_ref[name] for name in ("actor", "rollout", "ref"))
    update = 1 if actor.use_dynamic_bsz else actor.ppo_micro_batch_size_per_gpu or 1
    infer = 1 if rollout.log_prob_use_dynamic_bsz else rollout.log_prob_micro_batch_size_per_gpu or 1
    if actor.use_kl_loss or config.algorithm.use_kl_in_reward:
        infer = lcm(infer, 1 if ref.log_prob_use_dynamic_bsz else ref.log_prob_micro_batch_size_per_gpu or 1)
    return BatchSplit(ranks=ranks, mini_batches=mini_batches(config), update_micro=update, infer_micro=infer)


def rows_beside_corrections(config: DictConfig, settings: Fail2FixConfig) -> int:
    """Base rows in the update that corrections are in: B G, or none where the two streams' updates alternate."""
    alone = settings.correction.enabled and settings.correction.alternate
    return 0 if alone else int(config.data.train_batch_size * config.actor_rollout_ref.rollout.n)


POOL_STEPS = 4  # default offline pool: the problems of four steps (METHOD.md, item 2)


def pool_problems(config: DictConfig, settings: Fail2FixConfig) -> int:
    """Problems of the offline pool, G rollouts each."""
    return int(settings.offline.prompts or POOL_STEPS * config.data.train_batch_size)


def rollouts_before_training(config: DictConfig, settings: Fail2FixConfig) -> int:
    """Rollouts that the starting model generates for training before the first step."""
    needs_pool = settings.correction.enabled and settings.replay.source == "offline"
    return pool_problems(config, settings) * config.actor_rollout_ref.rollout.n if needs_pool else 0


def rollouts_a_step(config: DictConfig, settings: Fail2FixConfig) -> int:
    """B G + K G', the rollouts of a full step before any refill."""
    correction = settings.correction
    corrections = correction.attempts * correction.rollouts if correction.enabled else 0
    return int(config.data.train_batch_size * config.actor_rollout_ref.rollout.n + corrections)
