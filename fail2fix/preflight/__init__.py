"""Refuse everything that can be refused before Ray starts, each in one line that says what to do.

``check_config`` reads the config alone, and a dry run stops after it. ``check_inputs`` reads the files, the environment
and the disk. Each check has its own file. Refused: what would end the run or lose something silently. Warned of: what
is suspicious, or only counted.
"""

from __future__ import annotations

import os

from omegaconf import DictConfig

from fail2fix.method.errors import InputError, reading
from fail2fix.preflight.attention import check_attention, dry_run_note, settle_attention
from fail2fix.preflight.chat import Chat, check_correction_prompts
from fail2fix.preflight.data_files import DataCheck, paths
from fail2fix.preflight.doors import check_doors
from fail2fix.preflight.ground_truths import GroundTruths
from fail2fix.preflight.model_folder import check_model, check_reach, check_weights
from fail2fix.preflight.no_secrets import refuse_secrets
from fail2fix.preflight.place import check_place
from fail2fix.preflight.reward import check_reward_function, judged_by_us
from fail2fix.preflight.rollout_files import check_rollout_files
from fail2fix.preflight.room import check_room
from fail2fix.preflight.sizes_fit import check_sizes
from fail2fix.preflight.trackers import check_trackers
from fail2fix.preflight.unsupported import refuse_unsupported
from fail2fix.preflight.verl_keys import check_keys
from fail2fix.preflight.warnings import config_warnings
from fail2fix.run.folder import echo_folder
from fail2fix.run.settings import fail2fix_settings, overlong_buffer, refuse_legacy_reward_keys
from fail2fix.verl_ext import names

__all__ = [
    "check_config",
    "check_inputs",
    "check_reward_function",
    "config_warnings",
    "missing_inputs",
    "settle_attention",
]


def check_config(config: DictConfig) -> None:
    """Refuse what the config alone shows to be wrong, and a place where the run cannot write its files.

    Raises:
        InputError: the key, its value unless that is a secret, and what to do.
    """
    refuse_secrets(config)
    check_keys(config)
    settings = fail2fix_settings(config)
    refuse_legacy_reward_keys(config)
    refuse_unsupported(config, settings)
    check_place(config)
    check_sizes(config, settings)
    check_doors(settings)
    if settings.held_out.enabled and config.data.get("validation_shuffle"):
        raise InputError(
            "data.validation_shuffle=true: held-out corrections find their problems by position in the validation set; "
            "set it to false, or fail2fix.held_out.enabled=false"
        )
    overlong_buffer(config)
    with reading("verl refuses the config", Exception):  # assertions, and any error of a value of a wrong type
        names.validate(config)


def check_inputs(config: DictConfig) -> list[str]:
    """Refuse what the run would find missing or malformed once it holds its devices.

    Returns warnings of what is suspicious or was counted, one line each.

    Raises:
        InputError: the file, row and field, or the variable, and what to do.
    """
    model_config = check_model(config)
    notes = check_attention(config, model_config)
    check_reward_function(config)
    notes += check_trackers(config)
    chat = Chat(config, model_config)
    size = check_weights(config)
    check_reach(config, model_config)
    notes += check_room(config, size)
    settings = fail2fix_settings(config)
    verifiers = GroundTruths(settings.verifier, config.data.prompt_key) if judged_by_us(config) else None
    notes += DataCheck(config, chat, verifiers).notes()
    if verifiers:
        lines = [*verifiers.describe(config.reward.num_workers), verifiers.echoes(echo_folder(config))]
        for line in filter(None, lines):
            print(f"fail2fix: {line}", flush=True)
    notes += check_correction_prompts(config, chat.tokenizer)
    check_rollout_files(config, chat.tokenizer)
    return notes + chat.notes()


def missing_inputs(config: DictConfig) -> list[str]:
    """Files and packages that a dry run does not read, and whether they exist."""
    files = [*paths(config.data.train_files), *paths(config.data.val_files), config.actor_rollout_ref.model.path]
    notes = [f"{path} ({'present' if os.path.exists(os.path.expanduser(path)) else 'not here'})" for path in files]
    return notes + dry_run_note(config)
