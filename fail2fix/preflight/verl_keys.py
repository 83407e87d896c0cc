"""verl's keys that our checks and our loop compute with, and what their values must be.

verl's config is untyped until its workers read it, long after the start. A table, so that a reader sees at once
what is assumed of a config and a test can walk it. Sections come first: a key is looked up in sections that hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from verl.utils.tracking import Tracking

from fail2fix.method.errors import InputError

ABSENT = object()
# verl still takes the old name of wandb.
LOGGERS = (*Tracking.supported_backend, "tracking")


@dataclass(frozen=True)
class Kind:
    """What a value must be, in words and as a test."""

    wanted: str
    holds: Callable[[Any], bool]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_logger(value: Any) -> bool:
    return value in LOGGERS


def _is_name(value: Any) -> bool:
    return _is_text(value) and not set(value) & {"/", "\\", "\n"} and value not in (".", "..")


def _all(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, ListConfig | list | tuple) and all(holds(item) for item in value)


def _or_null(kind: Kind) -> Kind:
    return Kind(f"{kind.wanted}, or null", lambda value: value is None or value is ABSENT or kind.holds(value))


def _or_absent(kind: Kind) -> Kind:
    """For keys that only some of verl's engines have: which engine may be used is not this table's question."""
    return Kind(kind.wanted, lambda value: value is ABSENT or kind.holds(value))


def _choice(*allowed: str) -> Kind:
    return Kind(f"one of {', '.join(allowed)}", lambda value: value in allowed)


SECTION = Kind("a section of keys (leave it out to keep its defaults)", OmegaConf.is_dict)
POSITIVE = Kind("a whole number of at least 1", lambda value: _is_int(value) and value >= 1)
WHOLE = Kind("a whole number", _is_int)
NUMBER = Kind("a number", lambda value: _is_int(value) or isinstance(value, float))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
TEXT = Kind("text that is not empty", _is_text)
NAME = Kind("one folder name, without / and not ..", _is_name)
PATHS = Kind(
    "a path or a list of at least one path", lambda value: _is_text(value) or (_all(value, _is_text) and len(value) > 0)
)
STEPS = Kind("a list of step numbers, like [1,2]", lambda value: _all(value, _is_int))
TRACKERS = Kind(
    f"one or several of {', '.join(LOGGERS)}", lambda value: _all([value] if _is_text(value) else value, _is_logger)
)


KEYS: dict[str, Kind] = {
    "fail2fix": SECTION,
    "data": SECTION,
    "data.apply_chat_template_kwargs": _or_null(SECTION),
    "data.custom_cls": _or_null(SECTION),
    "actor_rollout_ref": SECTION,
    "actor_rollout_ref.model": SECTION,
    "actor_rollout_ref.model.override_config": _or_null(SECTION),
    "actor_rollout_ref.actor": SECTION,
    "actor_rollout_ref.actor.checkpoint": SECTION,
    "actor_rollout_ref.actor.optim": SECTION,
    "actor_rollout_ref.actor.policy_loss": SECTION,
    "actor_rollout_ref.ref": SECTION,
    "actor_rollout_ref.rollout": SECTION,
    "actor_rollout_ref.rollout.agent": SECTION,
    "actor_rollout_ref.rollout.multi_turn": SECTION,
    "actor_rollout_ref.rollout.val_kwargs": SECTION,
    "actor_rollout_ref.rollout.checkpoint_engine": SECTION,
    "algorithm": SECTION,
    "algorithm.filter_groups": SECTION,
    "algorithm.kl_ctrl": SECTION,
    "algorithm.rollout_correction": _or_null(SECTION),
    "reward": SECTION,
    "reward.custom_reward_function": _or_null(SECTION),
    "reward.reward_manager": SECTION,
    "reward.reward_model": SECTION,
    "trainer": SECTION,
    "global_profiler": SECTION,
    "ray_kwargs": SECTION,
    "skip": SECTION,
    "skip.rollout": SECTION,
    "distillation": _or_null(SECTION),
    "transfer_queue": SECTION,
    "data.train_files": PATHS,
    "data.val_files": PATHS,
    "data.prompt_key": TEXT,
    "data.train_batch_size": POSITIVE,
    "data.gen_batch_size": _or_null(POSITIVE),
    "data.max_prompt_length": POSITIVE,
    "data.max_response_length": POSITIVE,
    "data.filter_overlong_prompts": FLAG,
    "data.train_max_samples": WHOLE,
    "data.val_max_samples": WHOLE,
    "data.custom_cls.path": _or_null(TEXT),
    "actor_rollout_ref.model.path": TEXT,
    "actor_rollout_ref.model.tokenizer_path": _or_null(TEXT),
    "actor_rollout_ref.model.trust_remote_code": FLAG,
    "actor_rollout_ref.model.override_config.attn_implementation": _or_null(TEXT),
    "actor_rollout_ref.actor.strategy": TEXT,
    "actor_rollout_ref.actor.loss_agg_mode": TEXT,
    "actor_rollout_ref.actor.ppo_epochs": POSITIVE,
    "actor_rollout_ref.actor.ppo_mini_batch_size": POSITIVE,
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu": _or_null(POSITIVE),
    "actor_rollout_ref.actor.ppo_max_token_len_per_gpu": POSITIVE,
    "actor_rollout_ref.actor.ulysses_sequence_parallel_size": _or_absent(POSITIVE),
    "actor_rollout_ref.actor.use_dynamic_bsz": FLAG,
    "actor_rollout_ref.actor.use_kl_loss": FLAG,
    "actor_rollout_ref.actor.kl_loss_type": TEXT,
    "actor_rollout_ref.actor.optim.lr_scheduler_type": _or_absent(_choice("constant", "cosine")),
    "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": _or_null(POSITIVE),
    "actor_rollout_ref.ref.log_prob_max_token_len_per_gpu": POSITIVE,
    "actor_rollout_ref.ref.log_prob_use_dynamic_bsz": FLAG,
    "actor_rollout_ref.rollout.name": TEXT,
    "actor_rollout_ref.rollout.n": POSITIVE,
    "actor_rollout_ref.rollout.temperature": NUMBER,
    "actor_rollout_ref.rollout.prompt_length": POSITIVE,
    "actor_rollout_ref.rollout.response_length": POSITIVE,
    "actor_rollout_ref.rollout.max_model_len": _or_null(POSITIVE),
    "actor_rollout_ref.rollout.tensor_model_parallel_size": POSITIVE,
    "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu": _or_null(POSITIVE),
    "actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu": POSITIVE,
    "actor_rollout_ref.rollout.log_prob_use_dynamic_bsz": FLAG,
    "actor_rollout_ref.rollout.data_parallel_size": _or_null(POSITIVE),
    "actor_rollout_ref.rollout.dtype": _choice("auto", "half", "float16", "bfloat16", "float", "float32"),
    "actor_rollout_ref.rollout.val_kwargs.n": POSITIVE,
    "actor_rollout_ref.rollout.val_kwargs.do_sample": FLAG,
    "actor_rollout_ref.rollout.val_kwargs.temperature": NUMBER,
    "actor_rollout_ref.rollout.agent.num_workers": POSITIVE,
    "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes": POSITIVE,
    "algorithm.adv_estimator": TEXT,
    "algorithm.kl_penalty": TEXT,
    "algorithm.norm_adv_by_std_in_grpo": FLAG,
    "algorithm.use_kl_in_reward": FLAG,
    "reward.num_workers": POSITIVE,
    "reward.reward_manager.name": TEXT,
    "reward.custom_reward_function.path": _or_null(TEXT),
    "reward.custom_reward_function.name": _or_null(TEXT),
    "trainer.project_name": TEXT,
    "trainer.experiment_name": NAME,
    "trainer.default_local_dir": TEXT,
    "trainer.rollout_data_dir": _or_null(TEXT),
    "trainer.validation_data_dir": _or_null(TEXT),
    "trainer.device": TEXT,
    "trainer.logger": TRACKERS,
    "trainer.n_gpus_per_node": POSITIVE,
    "trainer.nnodes": POSITIVE,
    "trainer.total_epochs": _or_null(POSITIVE),
    "trainer.total_training_steps": _or_null(POSITIVE),
    "trainer.critic_warmup": WHOLE,
    "trainer.save_freq": Kind("a whole number of steps, -1 for never", _is_int),
    "trainer.test_freq": Kind("a whole number of steps, -1 for never", _is_int),
    "trainer.esi_redundant_time": NUMBER,
    "trainer.max_actor_ckpt_to_keep": _or_null(POSITIVE),
    "trainer.balance_batch": FLAG,
    "trainer.resume_mode": _choice("auto", "disable", "resume_path"),
    "trainer.resume_from_path": _or_null(TEXT),
    "global_profiler.steps": _or_null(STEPS),
    "global_profiler.profile_continuous_steps": FLAG,
}


def check_keys(config: DictConfig) -> None:
    """Refuse the first value of the table that is not of its kind.

    Raises:
        InputError: the key, its value and what it must be.
    """
    for key, kind in KEYS.items():
        value = OmegaConf.select(config, key, default=ABSENT)
        if not kind.holds(value):
            raise InputError(f"{key}={_shown(value)}: must be {kind.wanted}")


def _shown(value: Any) -> str:
    if value is ABSENT:
        return "(missing)"
    return "null" if value is None else " ".join(str(value).split())
