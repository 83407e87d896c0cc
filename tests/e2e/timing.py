"""A run whose steps take turns between the schedules, with response lengths drawn from a heavy-tailed distribution.

``main`` takes what ``fail2fix.train`` takes, with ``+timing.mean``, ``+timing.sigma`` and ``+timing.cap`` (tokens) and
``+timing.only_generation``: ``scripts/bench_step.py`` calls it. Trainer, engine, reward and update are the real ones; a
rollout ends where its own draw says, whatever it writes. With ``only_generation`` no step has log-probs or an update.
"""

from __future__ import annotations

import math
import random
from typing import Any

from omegaconf import DictConfig
from verl import DataProto

from fail2fix import train
from fail2fix.core.config import Schedule
from fail2fix.verl_ext import rollout
from fail2fix.verl_ext.loop import Step
from fail2fix.verl_ext.sources.lagged import LaggedAttempts
from fail2fix.verl_ext.sources.online import OnlineAttempts
from fail2fix.verl_ext.streams import JointBatch
from fail2fix.verl_ext.task_runner import Fail2FixTaskRunner
from fail2fix.verl_ext.trainer import Fail2FixTrainer
from fail2fix.verl_ext.training_prompts import drawn_prompts
from tests.e2e.turns import schedule_of


class SetLengths(rollout.PromptIdsAgentLoopWorker):
    """Our worker; each rollout has as many tokens as its seed draws."""

    async def _run_agent_loop(self, sampling_params: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        length = self.config.timing
        draw = random.Random(int(kwargs[rollout.SEED]))
        tokens = draw.lognormvariate(math.log(length.mean) - length.sigma**2 / 2, length.sigma)
        tokens = max(1, min(length.cap, round(tokens)))
        return await super()._run_agent_loop(
            sampling_params | {"max_tokens": tokens, "ignore_eos": True}, *args, **kwargs
        )


class SchedulesInTurn(Fail2FixTrainer):
    """Our trainer; a step's number says which schedule it has. ``plain`` is GRPO with as many rollouts: 2B problems."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.online, self.lagged = OnlineAttempts(self.config), LaggedAttempts(self.config)

    def train_step(self, prompts: DataProto, step: Step) -> JointBatch:
        schedule = schedule_of(step.number)
        self.settings.schedule = Schedule.streaming if schedule == "streaming" else Schedule.serial
        self.settings.correction.enabled = schedule != "plain"
        self.source = self.lagged if schedule == "lagged" else self.online
        if schedule == "plain":
            problems = 2 * len(prompts)
            temperature = prompts.meta_info["temperature"]
            prompts = drawn_prompts(self.train_dataset, problems, "timing", step.number)
            prompts.meta_info["temperature"] = temperature
        joint = super().train_step(prompts, step)
        if schedule in ("serial", "streaming"):
            self.lagged.end_step(joint.base)
        return joint

    def log_probs(self, joint: JointBatch, step: Step) -> None:
        if self.config.timing.only_generation:
            joint.rows.batch["old_log_probs"] = joint.rows.batch["rollout_log_probs"]
        else:
            super().log_probs(joint, step)

    def update_policy(self, joint: JointBatch, step: Step) -> None:
        if not self.config.timing.only_generation:
            super().update_policy(joint, step)


class TimingTaskRunner(Fail2FixTaskRunner):
    """Our task runner with the trainer and the workers of this module."""

    trainer_class = SchedulesInTurn

    def run(self, config: DictConfig) -> None:
        rollout.PromptIdsAgentLoopWorker = SetLengths
        super().run(config)


def main() -> None:
    """The command line."""
    train.main(TimingTaskRunner)
