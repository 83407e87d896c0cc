"""A run that does every step many times over, its rollouts finishing in another order each time, and compares them.

``main`` takes ORDERS, REPORT and what ``fail2fix.train`` takes (``scripts/faults/shuffle_orders.py`` calls it).
The trainer, the engine and the reward workers are the real ones. A rollout waits before its request and after its
answer, each time for another while, so that the engine batches other requests together and groups finish in another
order. After each repetition weights, optimizer and state are put back as they were. REPORT gets JSON.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sys
import tempfile
import time
from copy import copy, deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from verl import DataProto

from fail2fix import train
from fail2fix.method.accounting import Account
from fail2fix.method.ledger import Ledger
from fail2fix.verl_ext import rollout
from fail2fix.verl_ext.joint_batch import JointBatch
from fail2fix.verl_ext.loop import Step
from fail2fix.verl_ext.task_runner import Fail2FixTaskRunner
from fail2fix.verl_ext.trainer import Fail2FixTrainer
from tests.e2e.support.same_run import CLOCKED, MEASURED

LONGEST_WAIT_S = 0.4
FINISHED = "finished_seconds"
# What the engine measured: log-probs in its own rounding, tokens that its prefix cache held already.
ENGINE = ("rollout_log_probs", "num_cached_tokens")


class LateWorker(rollout.PromptIdsAgentLoopWorker):
    """Our worker; each rollout starts late and ends late."""

    async def _run_agent_loop(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(random.uniform(0, LONGEST_WAIT_S))
        output = await super()._run_agent_loop(*args, **kwargs)
        await asyncio.sleep(random.uniform(0, LONGEST_WAIT_S))
        output.extra_fields[FINISHED] = time.time()
        return output


class RepeatingTrainer(Fail2FixTrainer):
    """Our trainer; what differs between the repetitions of a step is in ``report``."""

    orders: int
    report: Path

    def train_step(self, prompts: DataProto, step: Step) -> JointBatch:
        seen: dict[str, dict[str, Any]] = {}
        finished: dict[str, set[str]] = {"base": set(), "correction": set()}
        with tempfile.TemporaryDirectory() as folder:
            put_back = self._remember(Path(folder))
            for order in range(self.orders):
                accounts = {name: Account(name) for name in step.accounts}
                again = replace(step, ledger=self.ledger, accounts=accounts, metrics={}, timing={})
                joint = super().train_step(deepcopy(prompts), again)
                facts = facts_of(joint, again.metrics)
                seen.setdefault(json.dumps(facts, sort_keys=True), facts)
                for name, orders in finished.items():
                    orders.add(finishing_order(joint, name))
                if order < self.orders - 1:
                    put_back()
        for mine, last in ((step.accounts, again.accounts), (step.metrics, again.metrics), (step.timing, again.timing)):
            mine.update(last)
        self._note(step.number, list(seen.values()), finished)
        return joint

    def _remember(self, folder: Path) -> Any:
        """Save everything a step changes; the function that puts it back and wakes the engines."""
        self.actor_rollout_wg.save_checkpoint(str(folder / "actor"), None, 0, None)
        self.save_files(folder)
        state, ledger, skipped = deepcopy(self.state_dict()), self.ledger.state_dict(), self.updates.in_a_row
        source = copy(self.source)  # before the first step a source may have nothing to save

        def put_back() -> None:
            self.actor_rollout_wg.load_checkpoint(str(folder / "actor"))
            self.source = copy(source)
            self.load_state_dict(deepcopy(state), folder)
            self.ledger, self.updates.in_a_row = Ledger.from_state(deepcopy(ledger)), skipped
            self.checkpoint_manager.update_weights(self.global_steps - 1)

        return put_back

    def _note(self, step: int, seen: list[dict[str, Any]], finished: dict[str, set[str]]) -> None:
        differing = sorted({name for facts in seen[1:] for name in facts if facts[name] != seen[0].get(name)})
        line = {
            "step": step,
            "orders": self.orders,
            "finishing_orders": {name: len(orders) for name, orders in finished.items()},
            "compared": len(seen[0]),
            "outcomes": len(seen),
            "differing": differing,
        }
        with self.report.open("a") as file:
            file.write(json.dumps(line) + "\n")


def facts_of(joint: JointBatch, metrics: dict[str, Any]) -> dict[str, Any]:
    """Every metric and a digest of every tensor and column, but for what a clock or an engine measured."""
    rows = joint.rows
    names = [name for name in rows.batch.keys() if name not in ENGINE]  # noqa: SIM118
    tensors = {f"tensor {name}": digest(rows.batch[name].numpy()) for name in names}
    columns = {
        f"column {name}": hashlib.sha256(repr(values.tolist()).encode()).hexdigest()
        for name, values in rows.non_tensor_batch.items()
        if name not in ENGINE and not CLOCKED.search(name)
    }
    numbers = {f"metric {name}": float(value) for name, value in metrics.items() if not MEASURED.search(name)}
    return tensors | columns | numbers


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def finishing_order(joint: JointBatch, name: str) -> str:
    stream = joint.base if name == "base" else joint.correction
    return "" if stream is None else repr(np.argsort(stream.rows.non_tensor_batch[FINISHED]).tolist())


class ShufflingTaskRunner(Fail2FixTaskRunner):
    """Our task runner with the trainer and the workers of this module."""

    trainer_class = RepeatingTrainer

    def run(self, config: DictConfig) -> None:
        rollout.PromptIdsAgentLoopWorker = LateWorker
        RepeatingTrainer.orders, RepeatingTrainer.report = config.shuffling.orders, Path(config.shuffling.report)
        super().run(config)


def main() -> None:
    """The command line."""
    orders, report = sys.argv.pop(1), sys.argv.pop(1)
    sys.argv += [f"+shuffling.orders={orders}", f"+shuffling.report={Path(report).absolute()}"]
    train.main(ShufflingTaskRunner)
