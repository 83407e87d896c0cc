"""What start-up checks ask verl itself: registered names, limits, and loaders that verl otherwise runs in a worker.

Knows: verl. Must not know: our settings. Checks outside `fail2fix.verl_ext` import this file in the place of verl.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout, suppress
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from verl.single_controller.ray.base import ResourcePoolManager
from verl.trainer.distillation import is_distillation_enabled
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, POLICY_LOSS_REGISTRY, get_kl_controller, kl_penalty
from verl.trainer.ppo.reward import get_custom_reward_fn, resolve_reward_manager_cls
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils import hf_tokenizer
from verl.utils.config import omega_conf_to_dataclass, validate_config
from verl.utils.torch_dtypes import PrecisionType
from verl.utils.tracking import Tracking

__all__ = ["get_custom_reward_fn", "hf_tokenizer", "need_critic", "resolve_reward_manager_cls"]

CPUS_A_WORKER = ResourcePoolManager.max_colocate_count
# verl still takes the old name of wandb.
LOGGERS = (*Tracking.supported_backend, "tracking")


def policy_losses() -> list[str]:
    """Registered values of ``actor.policy_loss.loss_mode``."""
    return sorted(POLICY_LOSS_REGISTRY)


def advantage_estimators() -> list[str]:
    """Registered values of ``algorithm.adv_estimator``."""
    return sorted(str(getattr(name, "value", name)) for name in ADV_ESTIMATOR_REGISTRY)


def knows_kl_penalty(name: Any) -> bool:
    """Whether verl computes a KL estimate of this name."""
    with suppress(NotImplementedError, AttributeError):  # an unknown name; not a string
        kl_penalty(torch.zeros(1), torch.zeros(1), name)
        return True
    return False


def knows_kl_controller(section: DictConfig) -> bool:
    """Whether verl can build the controller of the KL coefficient that a section of keys describes."""
    with suppress(NotImplementedError, AssertionError, TypeError):
        get_kl_controller(section)
        return True
    return False


def knows_precision(name: Any) -> bool:
    """Whether verl knows a number format of this name; null leaves the choice to verl."""
    with suppress(RuntimeError):
        return name is None or bool(PrecisionType.to_dtype(name))
    return False


def distills(config: DictConfig) -> bool:
    """Whether the run distills a teacher."""
    return bool(is_distillation_enabled(config.get("distillation")))


def validate(config: DictConfig) -> None:
    """Validate a config as verl does, rollout settings included, which verl reads in its workers only.

    Raises:
        Exception: an assertion of verl's, or any error that a value of a wrong type causes.
    """
    OmegaConf.to_container(config, resolve=True)  # verl resolves what its workers get: every interpolation must hold
    omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
    with redirect_stdout(io.StringIO()):  # it prints that all is well
        validate_config(config, need_reference_policy(config), need_critic(config))
