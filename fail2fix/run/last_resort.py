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


class Trainer(Protocol):
    """A trainer whose last finished step can be saved."""

    config: DictConfig
    rest: Rest | None
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
        rest = trainer.rest
        if rest is not None and trainer.config.trainer.save_freq > 0 and failure_of(error).status != Exit.NO_SPACE:
            with trainer.watchdog.phase("saving after a failure"):
                _try_to_save(trainer, rest)
        raise


def _try_to_save(trainer: Trainer, rest: Rest) -> None:
    if rest.step in trainer.checkpoints.complete():
        return
    try:
        trainer.require_workers(ANSWER_S)
        trainer.global_steps, trainer.train_dataloader = rest.step, rest
        trainer.ledger, trainer.kl_coefficient = Ledger.from_state(rest.ledger), rest.kl_coefficient
        trainer.save_checkpoint(rest.metrics)
    except Exception as error:  # the first error ended the run, and is the one to report
        print(f"fail2fix: step {rest.step} could not be saved either: {failure_of(error).line}", flush=True)
