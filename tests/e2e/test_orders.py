"""The finishing order of rollouts changes no batch and no metric: steps with both streams in the engines at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Bench
from tests.e2e.support.killing import Started

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
STEPS, ORDERS = 3, 3
SETTINGS = (
    "setup=arithmetic",
    f"trainer.total_training_steps={STEPS}",
    "actor_rollout_ref.actor.use_kl_loss=false",  # so that rows without a gradient are left out
    "actor_rollout_ref.actor.ppo_mini_batch_size=1",  # four mini-batches: an odd number of attempts does not divide
)


def test_who_finishes_first_changes_nothing(bench: Bench) -> None:
    report = bench.root / "orders.jsonl"
    _, _, *arguments = bench.arguments("shuffled", *SETTINGS, config="cipo_lagged")  # without "-m fail2fix.train"
    script = "from tests.e2e.support.shuffling import main; main()"
    command = [sys.executable, "-c", script, str(ORDERS), str(report), *arguments]
    with Started(command, bench.root, {"PYTHONPATH": str(ROOT)}) as run:
        run.finish()
    steps = [json.loads(line) for line in report.read_text().splitlines()]
    assert [step["step"] for step in steps] == [1, 2, 3]
    assert all(step["differing"] == [] and step["outcomes"] == 1 for step in steps)
    assert all(step["finishing_orders"]["base"] == ORDERS for step in steps), "the orders were the same"
    assert all(step["finishing_orders"]["correction"] == ORDERS for step in steps[1:]), "the orders were the same"
