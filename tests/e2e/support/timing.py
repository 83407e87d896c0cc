"""A run whose steps take turns between plain GRPO and sources of attempts; response lengths are heavy-tailed draws.

``main`` takes what ``fail2fix.train`` takes, with ``+timing.mean``, ``+timing.sigma`` and ``+timing.cap`` (tokens) and
``+timing.only_generation``: ``scripts/bench/step.py`` calls it. ``+timing.turns`` names the steps of a round;
``+timing.seeded``, a flag for each round, says whether its requests have seeds (``scripts/gpu_check``).

Trainer, engine, reward and update are the real ones; a rollout ends where a draw says, whatever it writes. With
``only_generation`` no step has log-probs or an update.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import ray
from omegaconf import DictConfig, open_dict
from verl import DataProto

from fail2fix import train
from fail2fix.verl_ext import rollout
from fail2fix.verl_ext.generation import drawn_prompts
from fail2fix.verl_ext.joint_batch import JointBatch
from fail2fix.verl_ext.loop import Step
from fail2fix.verl_ext.sources.lagged import LaggedAttempts
from fail2fix.verl_ext.sources.online import OnlineAttempts
from fail2fix.verl_ext.task_runner import Fail2FixTaskRunner
from fail2fix.verl_ext.trainer import Fail2FixTrainer
from tests.e2e.support.turns import TURNS, round_of, turn_of


def turns_of(timing: DictConfig) -> tuple[str, ...]:
    return tuple(timing.get("turns") or TURNS)


@ray.remote(num_cpus=0)
class Lengths:
    """How long rollouts are: the n-th that starts in a step is as long as in each step of its round."""

    def __init__(self, timing: DictConfig) -> None:
        self.timing, self.started = timing, Counter[int]()

    def next(self, step: int) -> int:
        draw = random.Random(f"{round_of(step, turns_of(self.timing))}:{self.started[step]}")
        self.started[step] += 1
        tokens = draw.lognormvariate(math.log(self.timing.mean) - self.timing.sigma**2 / 2, self.timing.sigma)
        return max(1, min(self.timing.cap, round(tokens)))


class SetLengths(rollout.PromptIdsAgentLoopWorker):
    """Our worker; every worker's rollouts are as long as ``Lengths`` says: steps of a round compare."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lengths = Lengths.options(name="lengths", get_if_exists=True).remote(self.config.timing)

    async def _run_agent_loop(
        self, sampling_params: dict[str, Any], trajectory: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        limit = {"max_tokens": await self.lengths.next.remote(trajectory["step"]), "ignore_eos": True}
        return await super()._run_agent_loop(sampling_params | limit, trajectory, *args, **kwargs)


class StepsInTurn(Fail2FixTrainer):
    """Our trainer; a step's number says what it is. ``plain`` is GRPO with as many rollouts: 2B problems."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.online, self.lagged = OnlineAttempts(self.config), LaggedAttempts(self.config)
        self.online.end_of_turn = self.lagged.end_of_turn = self.source.end_of_turn

    def train_step(self, prompts: DataProto, step: Step) -> JointBatch:
        self.seed_requests(step.number)
        turn = turn_of(step.number, turns_of(self.config.timing))
        self.settings.correction.enabled = turn != "plain"
        self.source = self.lagged if turn == "lagged" else self.online
        if turn == "plain":
            problems = 2 * len(prompts)
            temperature = prompts.meta_info["temperature"]
            prompts = drawn_prompts(self.train_dataset, problems, "timing", step.number)
            prompts.meta_info["temperature"] = temperature
        joint = super().train_step(prompts, step)
        if turn == "online":
            self.lagged.end_step(joint.base)
        return joint

    def seed_requests(self, step: int) -> None:
        """Requests of this step's round have seeds where ``timing.seeded`` says so."""
        if seeded := self.config.timing.get("seeded"):
            config = self.async_rollout_manager.config
            with open_dict(config):
                config.fail2fix.seeded_rollouts = seeded[round_of(step, turns_of(self.config.timing))]

    def log_probs(self, joint: JointBatch, step: Step) -> None:
        if self.config.timing.only_generation:
            joint.rows.batch["old_log_probs"] = joint.rows.batch["rollout_log_probs"]
        else:
            super().log_probs(joint, step)

    def update_policy(self, joint: JointBatch, step: Step, only: int | None = None) -> None:
        if not self.config.timing.only_generation:
            super().update_policy(joint, step, only)


class TimingTaskRunner(Fail2FixTaskRunner):
    """Our task runner with the trainer and the workers of this module."""

    trainer_class = StepsInTurn

    def run(self, config: DictConfig) -> None:
        rollout.PromptIdsAgentLoopWorker = SetLengths
        super().run(config)


def main() -> None:
    """The command line."""
    train.main(TimingTaskRunner)
