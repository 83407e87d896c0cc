"""What is allowed but hardly meant, as the config alone shows it: warnings, for a refusal would take away a choice."""

from __future__ import annotations

from omegaconf import DictConfig

from fail2fix.method.config import Scale
from fail2fix.run.config import Fail2FixConfig
from fail2fix.run.settings import inert_penalty


def doubts_of_config(config: DictConfig, settings: Fail2FixConfig) -> list[str]:
    """One line each; of a config that ``check_config`` accepts."""
    lines = [_foreign_code(config)]
    if settings.correction.enabled:
        lines += [_mismatched_scales(config, settings), inert_penalty(config, settings)]
    return [line for line in lines if line]


def _foreign_code(config: DictConfig) -> str:
    """The warning for a run that was told to run the model folder's own Python files; empty if it was not."""
    model = config.actor_rollout_ref.model
    if not model.trust_remote_code:
        return ""
    return (
        f"actor_rollout_ref.model.trust_remote_code=true: Python files of {model.path} run in every worker, with this "
        "user's rights and secrets; set it to false unless you have read them"
    )


def _mismatched_scales(config: DictConfig, settings: Fail2FixConfig) -> str:
    """The warning for two streams of which only one divides its advantages by a std; empty if they agree."""
    scale, divides = settings.advantage.scale, config.algorithm.norm_adv_by_std_in_grpo
    estimator = config.algorithm.adv_estimator
    if estimator != "grpo":  # RLOO's advantages are never divided
        remedy = "fail2fix.advantage.scale=none"
        return "" if scale is Scale.none else f"fail2fix.advantage.scale={scale.value} with {estimator}; set {remedy}"
    if (scale is not Scale.none) == divides:
        return ""
    base, fitting = ("", "false") if divides else (" not", "true")
    correction = " not" if scale is Scale.none else ""
    return (
        f"fail2fix.advantage.scale={scale.value} with algorithm.norm_adv_by_std_in_grpo={str(divides).lower()}: base "
        f"advantages are{base} divided by a std and corrections' are{correction}, so lambda no longer compares the "
        f"streams; set algorithm.norm_adv_by_std_in_grpo={fitting}"
    )
