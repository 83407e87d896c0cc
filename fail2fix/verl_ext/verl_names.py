"""Names that verl resolves only in a worker, long after the start: asked of verl itself, so that both know the same."""

from __future__ import annotations

from typing import Any

import torch
from omegaconf import DictConfig
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, POLICY_LOSS_REGISTRY, get_kl_controller, kl_penalty
from verl.utils.torch_dtypes import PrecisionType


def policy_losses() -> list[str]:
    """Registered values of ``actor.policy_loss.loss_mode``."""
    return sorted(POLICY_LOSS_REGISTRY)


def advantage_estimators() -> list[str]:
    """Registered values of ``algorithm.adv_estimator``."""
    return sorted(str(getattr(name, "value", name)) for name in ADV_ESTIMATOR_REGISTRY)


def knows_kl_penalty(name: Any) -> bool:
    """Whether verl computes a KL estimate of this name."""
    try:
        kl_penalty(torch.zeros(1), torch.zeros(1), name)
    except (NotImplementedError, AttributeError):  # an unknown name; no text
        return False
    return True


def knows_kl_controller(section: DictConfig) -> bool:
    """Whether verl can make the controller of the KL coefficient that a section of keys describes."""
    try:
        get_kl_controller(section)
    except (NotImplementedError, AssertionError, TypeError):
        return False
    return True


def knows_precision(name: Any) -> bool:
    """Whether verl knows a number format of this name; null leaves the choice to verl."""
    try:
        return name is None or bool(PrecisionType.to_dtype(name))
    except RuntimeError:
        return False
