"""Everything that can be refused before Ray starts, each in one line that says what to do.

``check_config`` reads the config alone (a dry run stops there); ``check_inputs`` reads the files, the environment and
the disk. One file an idea. Refused is what would end the run, or lose something without a word; what is merely
suspicious, or counted, is a line of ``doubts`` or of what ``check_inputs`` returns.
"""

from __future__ import annotations

import os

from omegaconf import DictConfig, OmegaConf
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import omega_conf_to_dataclass, validate_config

from fail2fix.method.errors import InputError
from fail2fix.preflight.attention import check_attention, dry_run_note, settle_attention
from fail2fix.preflight.chat import Chat, check_correction_prompts
from fail2fix.preflight.data_files import DataCheck
from fail2fix.preflight.doors import check_doors
from fail2fix.preflight.doubtful import doubts_of_config
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
from fail2fix.preflight.wording import paths
from fail2fix.run.config import Fail2FixConfig
from fail2fix.run.settings import fail2fix_settings, overlong_buffer, refuse_legacy_reward_keys

__all__ = ["check_config", "check_inputs", "doubts", "missing_inputs", "settle_attention"]


def check_config(config: DictConfig) -> None:
    """Refuse what the config alone shows to be wrong, and a place where the run cannot leave its files.

    Raises:
        InputError: the key, its value, and what to do; the value not where it is a secret.
    """
    refuse_secrets(config)
    check_keys(config)
    settings = fail2fix_settings(config)
    refuse_legacy_reward_keys(config)
    refuse_unsupported(config, settings)
    check_place(config)
    check_sizes(config, settings)
    _check_sources(config, settings)
    overlong_buffer(config)
    _check_verl_config(config)


def check_inputs(config: DictConfig) -> list[str]:
    """Refuse what the run would find missing or malformed once it holds its devices.

    Returns what was counted or is suspicious, one line each.

    Raises:
        InputError: the file, row and field, or the variable, and what to do.
    """
    model_config = check_model(config)
    notes = check_attention(config, model_config)
    check_reward_function(config)
    notes += check_trackers(config)
    chat = Chat(config, model_config)
    weights = check_weights(config)
    check_reach(config, model_config)
    notes += check_room(config, weights)
    verifiers = GroundTruths(fail2fix_settings(config).verifier) if judged_by_us(config) else None
    notes += DataCheck(config, chat, verifiers).notes()
    if verifiers:
        for line in [*verifiers.judges(), *verifiers.check_they_run(config.reward.num_workers)]:
            print(f"fail2fix: {line}", flush=True)
    notes += check_correction_prompts(config, chat.tokenizer)
    check_rollout_files(config, chat.tokenizer)
    return notes + chat.notes()


def doubts(config: DictConfig) -> list[str]:
    """What is allowed but hardly meant, one line each; of a config that ``check_config`` accepts."""
    return doubts_of_config(config, fail2fix_settings(config))


def missing_inputs(config: DictConfig) -> list[str]:
    """Files and packages a dry run did not look into, and whether they are there."""
    files = [*paths(config.data.train_files), *paths(config.data.val_files), config.actor_rollout_ref.model.path]
    notes = [f"{path} ({'present' if os.path.exists(os.path.expanduser(path)) else 'not here'})" for path in files]
    return notes + dry_run_note(config)


def _check_sources(config: DictConfig, settings: Fail2FixConfig) -> None:
    check_doors(settings)
    if settings.held_out.enabled and config.data.get("validation_shuffle"):
        raise InputError(
            "data.validation_shuffle=true: held-out corrections know their problems by their place in the validation "
            "set; set it to false, or fail2fix.held_out.enabled=false"
        )


def _check_verl_config(config: DictConfig) -> None:
    """verl's own validation, whose assertions come out as our one line."""
    resolved = OmegaConf.create(OmegaConf.to_container(config, resolve=True))
    try:
        omega_conf_to_dataclass(resolved.actor_rollout_ref.rollout)  # otherwise read in the workers only
        validate_config(
            resolved, use_reference_policy=need_reference_policy(resolved), use_critic=need_critic(resolved)
        )
    except Exception as error:  # plain assertions, and whatever a value of a wrong type runs into
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"verl refuses the config: {reason}") from error
