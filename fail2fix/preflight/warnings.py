"""Warn of valid settings that are probably a mistake, as far as the config alone shows them."""

from __future__ import annotations

from omegaconf import DictConfig

from fail2fix.method.config import Scale
from fail2fix.run.config import Fail2FixConfig
from fail2fix.run.settings import fail2fix_settings, inert_penalty, shares_prefixes


def config_warnings(config: DictConfig) -> list[str]:
    """One line for each warning; of a config that ``check_config`` accepts."""
    settings, lines = fail2fix_settings(config), [_remote_code(config), _unshared_prefixes(config)]
    if settings.correction.enabled:
        lines += [_mismatched_scales(config, settings), inert_penalty(config, settings)]
    return [line for line in lines if line]


def _remote_code(config: DictConfig) -> str:
    """The warning for a run that executes the model folder's Python files; empty if it does not."""
    model = config.actor_rollout_ref.model
    if not model.trust_remote_code:
        return ""
    return (
        f"actor_rollout_ref.model.trust_remote_code=true: Python files of {model.path} run in every worker, with this "
        "user's rights and secrets; set it to false unless you have read them"
    )


def _unshared_prefixes(config: DictConfig) -> str:
    """The warning for a strategy under which no start is shared; empty otherwise."""
    strategy = config.actor_rollout_ref.actor.strategy
    if not shares_prefixes(config) or strategy == "fsdp2":
        return ""
    return f"fail2fix.share_prefixes: actor_rollout_ref.actor.strategy={strategy} uses verl's own pass; set it to fsdp2"


def _mismatched_scales(config: DictConfig, settings: Fail2FixConfig) -> str:
    """The warning for two streams of which only one divides its advantages by a std; empty if they agree."""
    scale, divides = settings.advantage.scale, config.algorithm.norm_adv_by_std_in_grpo
    estimator = config.algorithm.adv_estimator
    given = f"fail2fix.advantage.scale={scale.value} with"
    if estimator != "grpo":  # RLOO's advantages are never divided
        return "" if scale is Scale.none else f"{given} {estimator}; set fail2fix.advantage.scale=none"
    if (scale is not Scale.none) == divides:
        return ""
    base, fitting = ("", "false") if divides else (" not", "true")
    correction = " not" if scale is Scale.none else ""
    return (
        f"{given} algorithm.norm_adv_by_std_in_grpo={str(divides).lower()}: base advantages are{base} divided by a std "
        f"and corrections' are{correction}, so lambda does not compare the streams; set "
        f"algorithm.norm_adv_by_std_in_grpo={fitting}"
    )
