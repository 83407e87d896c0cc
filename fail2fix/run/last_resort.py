"""A checkpoint for a run that fails between two updates: only the running step is lost.

After a step's update the trainer is *at rest*: its weights are those of a whole step, and stay so until the next
update begins. If the run fails before that (a verifier, an engine, a reward worker is gone), the state at rest is
saved, provided that the workers that hold the weights still answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray

from fail2fix.method.ledger import Ledger
from fail2fix.run.failures import failure_of
from fail2fix.run.faults import Exit
from fail2fix.run.folder import as_json

if TYPE_CHECKING:
    from fail2fix.verl_ext.loop import Step, TrainingLoop

ANSWER_S = 60.0  # how long a worker may take to say that it is there


@dataclass(frozen=True)
class Rest:
    """What else belongs to the weights of a finished step."""

    step: int
    metrics: dict[str, Any]
    dataloader: dict[str, Any]
    ledger: dict[str, Any]
    kl_coefficient: float | None

    def state_dict(self) -> dict[str, Any]:
        """The data loader's state before it drew the failed step's problems; verl saves what a loader says here."""
        return self.dataloader


def rest_after(step: Step, trainer: TrainingLoop) -> Rest:
    """The state after a step's update."""
    state = trainer.train_dataloader.state_dict(), trainer.ledger.state_dict(), trainer.kl_coefficient
    return Rest(step.number, as_json(step.metrics), *state)


@contextmanager
def saving_what_is_left(trainer: TrainingLoop) -> Iterator[None]:
    """Save the state at rest if the training fails; its error goes on to whoever reports it."""
    try:
        yield
    except Exception as error:
        if trainer.rest is not None and trainer.config.trainer.save_freq > 0 and _has_space(error):
            with trainer.watchdog.phase("saving after a failure"):
                _try_to_save(trainer, trainer.rest)
        raise


def _has_space(error: Exception) -> bool:
    return failure_of(error).status != Exit.NO_SPACE


def _try_to_save(trainer: TrainingLoop, rest: Rest) -> None:
    if rest.step in trainer.checkpoints.complete():
        return
    try:
        _require_workers(trainer)
        trainer.global_steps, trainer.train_dataloader = rest.step, rest
        trainer.ledger, trainer.kl_coefficient = Ledger.from_state(rest.ledger), rest.kl_coefficient
        trainer._save_checkpoint(rest.metrics)
    except Exception as error:  # it is the first error that ended the run
        print(f"fail2fix: step {rest.step} could not be saved either: {failure_of(error).line}", flush=True)


def _require_workers(trainer: TrainingLoop) -> None:
    """Raises unless all workers that hold weights answer."""
    ray.get([worker.__ray_ready__.remote() for worker in trainer.actor_rollout_wg.workers], timeout=ANSWER_S)
