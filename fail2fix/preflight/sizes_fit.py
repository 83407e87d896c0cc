"""Check that lengths, batches, devices and budgets fit together."""

from __future__ import annotations

from omegaconf import DictConfig

from fail2fix.method.errors import InputError
from fail2fix.method.objective import feasible_attempts
from fail2fix.run.config import Fail2FixConfig
from fail2fix.run.settings import asks_for_corrections
from fail2fix.run.step_sizes import (
    batch_split,
    data_parallel_ranks,
    rollouts_a_step,
    rollouts_before_training,
    rows_beside_corrections,
    sequence_parallel,
    world_size,
)

COMPARE_WITHIN_GROUPS = (
    *("grpo", "grpo_vectorized", "grpo_passk", "rloo", "rloo_vectorized", "opo", "reinforce_plus_plus_baseline"),
)
ROLLOUT = "actor_rollout_ref.rollout"
ULYSSES = "actor_rollout_ref.actor.ulysses_sequence_parallel_size"


def check_sizes(config: DictConfig, settings: Fail2FixConfig) -> None:
    """Refuse prompts longer than the engine takes, rows that do not divide, and a budget below one step.

    Raises:
        InputError: the key, its value, and the nearest that works.
    """
    _check_sequence_parallel(config)
    _check_tensor_parallel(config)
    _check_lengths(config, settings)
    _check_tokens_per_gpu(config)
    _check_batches(config, settings)
    _check_budget(config, settings)


def _check_sequence_parallel(config: DictConfig) -> None:
    """verl gathers a shared sequence in flash attention only; otherwise a device would attend to its own part."""
    shared, world, model = sequence_parallel(config), world_size(config), config.actor_rollout_ref.model
    if shared == 1:
        return
    if world % shared:
        raise InputError(f"{ULYSSES}={shared} does not divide the {world} devices (trainer.nnodes x n_gpus_per_node)")
    attention = (model.get("override_config") or {}).get("attn_implementation") or "flash_attention_2"
    if not attention.startswith("flash_attention") or not model.get("use_remove_padding"):
        raise InputError(
            f"{ULYSSES}={shared}: sequences are shared with flash attention on packed rows only (attn_implementation="
            f"{attention}, use_remove_padding={model.get('use_remove_padding')}); set it to 1, or change these"
        )


def _check_tensor_parallel(config: DictConfig) -> None:
    """verl gives each engine the same number of devices, of one node or of whole nodes."""
    rollout, node, world = config.actor_rollout_ref.rollout, config.trainer.n_gpus_per_node, world_size(config)
    engine = rollout.tensor_model_parallel_size * (rollout.get("data_parallel_size") or 1)
    if world % engine or engine % min(engine, node):
        raise InputError(
            f"{ROLLOUT}.tensor_model_parallel_size={rollout.tensor_model_parallel_size}: an engine takes {engine} "
            f"devices, which do not divide the {world} (trainer.nnodes x n_gpus_per_node); use a divisor"
        )


def _check_lengths(config: DictConfig, settings: Fail2FixConfig) -> None:
    rollout, longest = config.actor_rollout_ref.rollout, config.data.max_prompt_length
    needed = {"data.max_prompt_length": longest}
    if asks_for_corrections(settings):
        needed["fail2fix.correction.max_prompt_length"] = settings.correction.max_prompt_length
    for key, length in needed.items():
        if rollout.prompt_length < length:
            raise InputError(
                f"{ROLLOUT}.prompt_length={rollout.prompt_length} is below {key}={length}: verl would cut prompts from "
                "the left; raise it to the larger of the two"
            )
    total = rollout.prompt_length + rollout.response_length
    if rollout.max_model_len is not None and rollout.max_model_len < total:
        raise InputError(
            f"{ROLLOUT}.max_model_len={rollout.max_model_len} is below prompt_length + response_length = {total}; "
            "raise it or leave it null"
        )


def _check_tokens_per_gpu(config: DictConfig) -> None:
    """The limits of a micro-batch's tokens that apply must hold the longest row."""
    actor, rollout, ref = (config.actor_rollout_ref[name] for name in ("actor", "rollout", "ref"))
    shared, total = sequence_parallel(config), rollout.prompt_length + rollout.response_length
    uses_reference = actor.use_kl_loss or config.algorithm.use_kl_in_reward
    limits = {
        "actor.ppo_max_token_len_per_gpu": actor.use_dynamic_bsz,
        "rollout.log_prob_max_token_len_per_gpu": rollout.log_prob_use_dynamic_bsz,
        "ref.log_prob_max_token_len_per_gpu": ref.log_prob_use_dynamic_bsz and uses_reference,
    }
    for key in (key for key, applies in limits.items() if applies):
        worker, name = key.split(".")
        tokens = config.actor_rollout_ref[worker][name]
        if tokens * shared < total:
            times = f" x {shared} GPUs a sequence" if shared > 1 else ""
            raise InputError(
                f"actor_rollout_ref.{key}={tokens}{times} is below the longest row, prompt_length + response_length = "
                f"{total}; raise it, or lower data.max_response_length or fail2fix.correction.max_prompt_length"
            )


def _check_batches(config: DictConfig, settings: Fail2FixConfig) -> None:
    batch, mini = config.data.train_batch_size, config.actor_rollout_ref.actor.ppo_mini_batch_size
    if batch % mini:
        raise InputError(
            f"data.train_batch_size={batch} is not a multiple of actor_rollout_ref.actor.ppo_mini_batch_size={mini}"
        )
    rollouts, estimator = config.actor_rollout_ref.rollout.n, config.algorithm.adv_estimator
    correction = settings.correction
    if rollouts < 2 and (correction.enabled or estimator in COMPARE_WITHIN_GROUPS):
        raise InputError(f"{ROLLOUT}.n={rollouts}: {estimator} compares the rollouts of a group; use at least 2")
    rows, split = batch * rollouts, batch_split(config, data_parallel_ranks(config))
    if not split.divides(rows, 0):
        raise InputError(
            f"data.train_batch_size={batch} x rollout.n={rollouts} = {rows} rows do not split into {split}"
        )
    if not correction.enabled:
        return
    beside = rows_beside_corrections(config, settings)
    fits = feasible_attempts(correction.attempts, correction.rollouts, beside, split)
    if fits != correction.attempts:
        raise InputError(
            f"fail2fix.correction.attempts={correction.attempts} x rollouts={correction.rollouts} rows beside "
            f"{beside} base rows do not split into {split}; the next smaller number that does is {fits}"
            + (" (none: change correction.rollouts or the micro-batch sizes)" if fits == 0 else "")
        )


def _check_budget(config: DictConfig, settings: Fail2FixConfig) -> None:
    budget = settings.budget.rollouts
    needed = rollouts_before_training(config, settings) + rollouts_a_step(config, settings)
    if budget is not None and budget < needed:
        raise InputError(f"fail2fix.budget.rollouts={budget} is below the {needed} rollouts of one step; raise it")
