"""What scores the run's rollouts: does it load?"""

from __future__ import annotations

from omegaconf import DictConfig
from verl.trainer.ppo.reward import get_custom_reward_fn, resolve_reward_manager_cls

from fail2fix.method.errors import InputError
from fail2fix.preflight.wording import first_line
from fail2fix.verl_ext.reward_manager import is_risk_averse


def judged_by_us(config: DictConfig) -> bool:
    """Whether our verifiers judge: neither a reward function of the run's own nor another reward manager does."""
    own = (config.reward.get("custom_reward_function") or {}).get("path")
    return not own and is_risk_averse(config)


def check_reward_function(config: DictConfig) -> None:
    """Load the reward function and the reward manager here, where a failure is one line, not a worker's traceback.

    Raises:
        InputError: the keys, and what loading said.
    """
    given = config.reward.get("custom_reward_function") or {}
    try:
        get_custom_reward_fn(config)
    except Exception as error:  # a user's module may raise anything
        cause = error.__cause__ or error
        raise InputError(
            f"reward.custom_reward_function.path={given.get('path')} name={given.get('name')}: cannot be loaded "
            f"({type(cause).__name__}: {first_line(cause)})"
        ) from error
    manager = config.reward.reward_manager
    try:
        resolve_reward_manager_cls(config)
    except Exception as error:  # a user's module may raise anything
        path = (manager.get("module") or {}).get("path")
        raise InputError(
            f"reward.reward_manager.name={manager.name}: not found with source={manager.get('source')} and module.path="
            f"{path} ({first_line(error)}); for a manager of verl's own set reward.reward_manager.source=register"
        ) from error
