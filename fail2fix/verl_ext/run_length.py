"""Determine the number of steps of a run: ``trainer.total_training_steps`` or ``trainer.total_epochs``, the smaller.

Shipped configs set steps as ``${unless_epochs:500}``, which applies until a user sets ``trainer.total_epochs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig, open_dict

if TYPE_CHECKING:
    from verl.trainer.ppo.ray_trainer import RayPPOTrainer

# Epochs of a run without steps and epochs: `fail2fix.budget.rollouts` ends it.
UNBOUNDED_EPOCHS = 1000


def settle_length(config: DictConfig) -> None:
    """Set both of verl's numbers. An epoch has at least one step, so as many epochs as steps never end a run early."""
    trainer = config.trainer
    with open_dict(config):
        trainer.total_training_steps = trainer.total_training_steps
        if trainer.total_epochs is None:
            trainer.total_epochs = trainer.total_training_steps or UNBOUNDED_EPOCHS


def bound_by_epochs(trainer: RayPPOTrainer) -> None:
    """End the run with its last epoch; verl counts only the steps of ``total_training_steps``."""
    config = trainer.config
    reach = len(trainer.train_dataloader) * config.trainer.total_epochs
    if reach >= trainer.total_training_steps:
        return
    print(
        f"fail2fix: trainer.total_epochs={config.trainer.total_epochs} ends the run after step {reach}, before "
        f"trainer.total_training_steps={trainer.total_training_steps}"
    )
    trainer.total_training_steps = reach
    with open_dict(config):
        config.actor_rollout_ref.actor.optim.total_training_steps = reach


def count_alternating_updates(trainer: RayPPOTrainer) -> None:
    """Lay a learning-rate schedule out over both updates of a step: verl counts steps, and its cosine rises again."""
    correction, optim = trainer.config.fail2fix.correction, trainer.config.actor_rollout_ref.actor.optim
    if correction.enabled and correction.alternate:
        with open_dict(optim):
            optim.total_training_steps = 2 * trainer.total_training_steps
