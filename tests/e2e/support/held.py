"""A run that stops short of committing its last checkpoint, all its files written, and waits there to be killed.

``main`` takes what ``fail2fix.train`` takes.
"""

from __future__ import annotations

import time
from typing import Any

from omegaconf import DictConfig

from fail2fix import train
from fail2fix.run.checkpoints import Checkpoints
from fail2fix.verl_ext import loop
from fail2fix.verl_ext.task_runner import Fail2FixTaskRunner

STEP = 4
HELD = "held"  # in the checkpoint's folder


class HeldCheckpoints(Checkpoints):
    """Ours; the one of step 4 is never committed."""

    def commit(self, step: int, state: dict[str, Any]) -> None:
        if step == STEP:
            (self.folder(step) / HELD).touch()
            time.sleep(3600)
        super().commit(step, state)


class HoldingTaskRunner(Fail2FixTaskRunner):
    """Our task runner with these checkpoints."""

    def run(self, config: DictConfig) -> None:
        loop.Checkpoints = HeldCheckpoints
        super().run(config)


def main() -> None:
    """The command line."""
    train.main(HoldingTaskRunner)
