"""Load the run's reward function and reward manager before the workers do."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from omegaconf import DictConfig

from fail2fix.method.errors import InputError, reason_of
from fail2fix.verl_ext.names import get_custom_reward_fn, resolve_reward_manager_cls
from fail2fix.verl_ext.reward_manager import is_risk_averse

# What our reward manager passes to a reward function.
ARGUMENTS = ("data_source", "solution_str", "ground_truth", "extra_info")


def judged_by_us(config: DictConfig) -> bool:
    """Whether our verifiers judge, rather than the user's reward function or another reward manager."""
    own = (config.reward.get("custom_reward_function") or {}).get("path")
    return not own and is_risk_averse(config)


def check_reward_function(config: DictConfig) -> None:
    """Load the reward function and the reward manager here, where a failure is one line, not a worker's traceback.

    Raises:
        InputError: the keys, and the error of loading, or the arguments that the function does not take.
    """
    given, manager = config.reward.get("custom_reward_function") or {}, config.reward.reward_manager
    named = f"reward.custom_reward_function.path={given.get('path')} name={given.get('name')}"
    loaded = _load(lambda: get_custom_reward_fn(config), f"{named}: cannot be loaded", "correct the module or the keys")
    if loaded and is_risk_averse(config):
        function, extra = loaded.args  # verl binds both
        arguments = dict.fromkeys((*ARGUMENTS, *extra))
        _load(
            lambda: signature(function).bind(**arguments),
            f"{named}: does not take the arguments of a reward function",
            f"it is called with {', '.join(f'{name}=...' for name in arguments)}",
        )
    _load(
        lambda: resolve_reward_manager_cls(config),
        f"reward.reward_manager.name={manager.name}: not found with source={manager.get('source')} and module.path="
        f"{(manager.get('module') or {}).get('path')}",
        "for a manager of verl's own set reward.reward_manager.source=register",
    )


def _load(load: Callable[[], Any], failure: str, hint: str) -> Any:
    try:
        return load()
    except Exception as error:  # a user's module may raise anything
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise InputError(f"{failure} ({reason_of(cause)}); {hint}") from error
