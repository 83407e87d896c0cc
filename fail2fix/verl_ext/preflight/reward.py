"""The run's own reward function: does it load?"""

from __future__ import annotations

from omegaconf import DictConfig
from verl.trainer.ppo.reward import get_custom_reward_fn

from fail2fix.core.config import BadInput
from fail2fix.verl_ext.preflight.wording import first_line


def has_own_reward(config: DictConfig) -> bool:
    """Whether the run scores with a function of its own instead of our verifiers."""
    return bool((config.reward.get("custom_reward_function") or {}).get("path"))


def check_reward_function(config: DictConfig) -> None:
    """Load it here, where a failure is one line, not a worker's traceback.

    Raises:
        BadInput: the keys, and what loading it said.
    """
    given = config.reward.get("custom_reward_function") or {}
    try:
        get_custom_reward_fn(config)
    except Exception as error:  # a user's module may raise anything
        cause = error.__cause__ or error
        raise BadInput(
            f"reward.custom_reward_function.path={given.get('path')} name={given.get('name')}: cannot be loaded "
            f"({type(cause).__name__}: {first_line(cause)})"
        ) from error
