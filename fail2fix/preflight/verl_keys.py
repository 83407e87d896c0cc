"""Types of verl's keys that our checks and our loop read: verl's config is untyped until its workers read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from fail2fix.method.errors import InputError
from fail2fix.verl_ext.names import LOGGERS

ABSENT = object()


@dataclass(frozen=True)
class Allowed:
    """What a value must be, in words and as a test."""

    wanted: str
    holds: Callable[[Any], bool]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_folder_name(value: Any) -> bool:
    return _is_text(value) and not set(value) & {"/", "\\", "\n"} and value not in (".", "..")


def _is_list_of(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, ListConfig | list | tuple) and all(holds(item) for item in value)


def _or_null(allowed: Allowed) -> Allowed:
    return Allowed(f"{allowed.wanted}, or null", lambda value: value in (None, ABSENT) or allowed.holds(value))


def _or_absent(allowed: Allowed) -> Allowed:
    """For keys that only some of verl's engines have."""
    return Allowed(allowed.wanted, lambda value: value is ABSENT or allowed.holds(value))


def _choice(*words: str) -> Allowed:
    return Allowed(f"one of {', '.join(words)}", lambda value: value in words)


SECTION = Allowed("a section of keys (leave it out to keep its defaults)", OmegaConf.is_dict)
POSITIVE = Allowed("a whole number of at least 1", lambda value: _is_int(value) and value >= 1)
WHOLE = Allowed("a whole number", _is_int)
FREQUENCY = Allowed("a whole number of steps, -1 for never", _is_int)
NUMBER = Allowed("a number", lambda value: _is_int(value) or isinstance(value, float))
FLAG = Allowed("true or false", lambda value: isinstance(value, bool))
TEXT = Allowed("text that is not empty", _is_text)
NAME = Allowed("one folder name, without / and not ..", _is_folder_name)
PATHS = Allowed(
    "a path or a list of at least one path",
    lambda value: _is_text(value) or (_is_list_of(value, _is_text) and len(value) > 0),
)
STEPS = Allowed("a list of step numbers, like [1,2]", lambda value: _is_list_of(value, _is_int))
TRACKERS = Allowed(
    f"one or several of {', '.join(LOGGERS)}",
    lambda value: _is_list_of([value] if _is_text(value) else value, lambda item: item in LOGGERS),
)
DTYPE = _choice("auto", "half", "float16", "bfloat16", "float", "float32")
SCHEDULER = _or_absent(_choice("constant", "cosine"))
RESUME_MODE = _choice("auto", "disable", "resume_path")

# A section, and the keys in it by type. A section comes after the one that holds it.
TABLE: dict[str, dict[Allowed, str]] = {
    "fail2fix": {},
    "data": {
        PATHS: "train_files val_files",
        TEXT: "prompt_key",
        POSITIVE: "train_batch_size max_prompt_length max_response_length",
        WHOLE: "train_max_samples val_max_samples",
        FLAG: "filter_overlong_prompts",
        _or_null(POSITIVE): "gen_batch_size",
        _or_null(SECTION): "apply_chat_template_kwargs custom_cls",
        _or_null(TEXT): "custom_cls.path",
    },
    "actor_rollout_ref": {},
    "actor_rollout_ref.model": {
        TEXT: "path",
        FLAG: "trust_remote_code",
        _or_null(SECTION): "override_config",
        _or_null(TEXT): "tokenizer_path override_config.attn_implementation",
    },
    "actor_rollout_ref.actor": {
        SECTION: "checkpoint optim policy_loss",
        TEXT: "strategy loss_agg_mode kl_loss_type",
        POSITIVE: "ppo_epochs ppo_mini_batch_size ppo_max_token_len_per_gpu",
        FLAG: "use_dynamic_bsz use_kl_loss",
        _or_null(POSITIVE): "ppo_micro_batch_size_per_gpu",
        _or_absent(POSITIVE): "ulysses_sequence_parallel_size",
        SCHEDULER: "optim.lr_scheduler_type",
    },
    "actor_rollout_ref.ref": {
        POSITIVE: "log_prob_max_token_len_per_gpu",
        FLAG: "log_prob_use_dynamic_bsz",
        _or_null(POSITIVE): "log_prob_micro_batch_size_per_gpu",
    },
    "actor_rollout_ref.rollout": {
        SECTION: "agent multi_turn val_kwargs checkpoint_engine",
        TEXT: "name",
        DTYPE: "dtype",
        NUMBER: "temperature val_kwargs.temperature",
        POSITIVE: "n prompt_length response_length tensor_model_parallel_size log_prob_max_token_len_per_gpu "
        "val_kwargs.n agent.num_workers checkpoint_engine.update_weights_bucket_megabytes",
        FLAG: "log_prob_use_dynamic_bsz val_kwargs.do_sample",
        _or_null(POSITIVE): "max_model_len log_prob_micro_batch_size_per_gpu data_parallel_size",
    },
    "algorithm": {
        SECTION: "filter_groups kl_ctrl",
        TEXT: "adv_estimator kl_penalty",
        FLAG: "norm_adv_by_std_in_grpo use_kl_in_reward",
        _or_null(SECTION): "rollout_correction",
    },
    "reward": {
        SECTION: "reward_manager reward_model",
        POSITIVE: "num_workers",
        TEXT: "reward_manager.name",
        _or_null(SECTION): "custom_reward_function",
        _or_null(TEXT): "custom_reward_function.path custom_reward_function.name",
    },
    "trainer": {
        TEXT: "project_name default_local_dir device",
        NAME: "experiment_name",
        TRACKERS: "logger",
        POSITIVE: "n_gpus_per_node nnodes",
        WHOLE: "critic_warmup",
        FREQUENCY: "save_freq test_freq",
        NUMBER: "esi_redundant_time",
        FLAG: "balance_batch",
        RESUME_MODE: "resume_mode",
        _or_null(POSITIVE): "total_epochs total_training_steps max_actor_ckpt_to_keep",
        _or_null(TEXT): "rollout_data_dir validation_data_dir resume_from_path",
    },
    "global_profiler": {_or_null(STEPS): "steps", FLAG: "profile_continuous_steps"},
    "ray_kwargs": {},
    "skip": {SECTION: "rollout"},
    "transfer_queue": {},
}
KEYS: dict[str, Allowed] = {"distillation": _or_null(SECTION)}
for _section, _types in TABLE.items():
    KEYS[_section] = SECTION
    KEYS |= {f"{_section}.{name}": allowed for allowed, names in _types.items() for name in names.split()}


def check_keys(config: DictConfig) -> None:
    """Refuse the first value of the table that has another type.

    Raises:
        InputError: the key, its value and what it must be.
    """
    for key, allowed in KEYS.items():
        value = OmegaConf.select(config, key, default=ABSENT)
        if not allowed.holds(value):
            shown = "(missing)" if value is ABSENT else "null" if value is None else " ".join(str(value).split())
            raise InputError(f"{key}={shown}: must be {allowed.wanted}")
