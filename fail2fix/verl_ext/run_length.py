"""How many steps a run has: ``trainer.total_training_steps``, ``trainer.total_epochs``, whichever ends first.

Shipped configs give steps as ``${unless_epochs:500}``: they hold until a user sets ``trainer.total_epochs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig, open_dict

if TYPE_CHECKING:
    from verl.trainer.ppo.ray_trainer import RayPPOTrainer

# Epochs of a run that is given neither steps nor epochs: `fail2fix.budget.rollouts` ends it.
UNBOUNDED_EPOCHS = 1000


def settle_length(config: DictConfig) -> None:
    """Give verl both numbers. An epoch has a step at least, so as many epochs as steps never end a run early."""
    trainer = config.trainer
    with open_dict(config):
        trainer.total_training_steps = trainer.total_training_steps
        if trainer.total_epochs is None:
            trainer.total_epochs = trainer.total_training_steps or UNBOUNDED_EPOCHS


def bound_by_epochs(trainer: RayPPOTrainer) -> None:
    """Let the epochs' last step be the run's last one where verl only counts the steps asked for."""
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
