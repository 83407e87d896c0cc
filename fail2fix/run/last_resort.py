"""A checkpoint for a run that fails between two updates: only the running step is lost.

Between two updates the weights belong to a completed step and can be saved. If the run fails in that time (a verifier,
an engine or a reward worker died), that step is saved if the workers that hold the weights still answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from omegaconf import DictConfig

from fail2fix.method.ledger import Ledger
from fail2fix.run.checkpoints import Checkpoints
from fail2fix.run.exit_status import Exit
from fail2fix.run.failures import failure_of
from fail2fix.run.watchdog import Watchdog

ANSWER_S = 60.0  # how long a worker may take to answer


@dataclass(frozen=True)
class FinishedStep:
    """What a checkpoint of the last finished step holds beside the weights."""

    step: int
    metrics: dict[str, Any]
    dataloader: dict[str, Any]
    ledger: dict[str, Any]
    kl_coefficient: float | None

    def state_dict(self) -> dict[str, Any]:
        """The data loader's state before it drew the failed step's problems; verl saves what a loader says here."""
        return self.dataloader


class Trainer(Protocol):
    """A trainer whose last finished step can be saved."""

    config: DictConfig
    finished_step: FinishedStep | None
    watchdog: Watchdog
    checkpoints: Checkpoints
    global_steps: int
    train_dataloader: Any
    ledger: Ledger
    kl_coefficient: float | None

    def require_workers(self, timeout_s: float) -> None: ...

    def save_checkpoint(self, metrics: dict[str, Any] | None = None) -> None: ...


@contextmanager
def saving_what_is_left(trainer: Trainer) -> Iterator[None]:
    """Save the last finished step if the training fails, and raise its error again."""
    try:
        yield
    except Exception as error:
        finished = trainer.finished_step
        if finished is not None and trainer.config.trainer.save_freq > 0 and failure_of(error).status != Exit.NO_SPACE:
            with trainer.watchdog.phase("saving after a failure"):
                _try_to_save(trainer, finished)
        raise


def _try_to_save(trainer: Trainer, finished: FinishedStep) -> None:
    if finished.step in trainer.checkpoints.complete():
        return
    try:
        trainer.require_workers(ANSWER_S)
        trainer.global_steps, trainer.train_dataloader = finished.step, finished
        trainer.ledger, trainer.kl_coefficient = Ledger.from_state(finished.ledger), finished.kl_coefficient
        trainer.save_checkpoint(finished.metrics)
    except Exception as error:  # the first error ended the run, and is the one to report
        print(f"fail2fix: step {finished.step} could not be saved either: {failure_of(error).line}", flush=True)
