"""The streaming schedule on the real stack, from its shipped config: the same batches whoever finishes first."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Bench
from tests.e2e.support.killing import Started

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
STEPS, ORDERS = 4, 3
SETTINGS = (
    "setup=arithmetic",
    f"trainer.total_training_steps={STEPS}",
    "fail2fix.streaming.patience=0.8",
    "actor_rollout_ref.actor.use_kl_loss=false",  # so that rows without a gradient are left out
    "actor_rollout_ref.actor.ppo_mini_batch_size=1",  # four mini-batches: an odd number of attempts does not divide
)


@pytest.fixture(scope="module")
def shuffled(bench: Bench) -> list[dict[str, Any]]:
    """Steps done several times over, their rollouts finishing in another order each time."""
    report = bench.root / "orders.jsonl"
    _, _, *arguments = bench.arguments("shuffled", *SETTINGS, config="cipo_streaming")  # without "-m fail2fix.train"
    script = "from tests.e2e.support.shuffling import main; main()"
    command = [sys.executable, "-c", script, str(ORDERS), str(report), *arguments]
    with Started(command, bench.root, {"PYTHONPATH": str(ROOT)}) as run:
        run.finish()
    return read(report)


def test_who_finishes_first_changes_nothing(shuffled: list[dict[str, Any]]) -> None:
    assert [step["step"] for step in shuffled] == [1, 2, 3, 4]
    assert all(step["differing"] == [] and step["outcomes"] == 1 for step in shuffled)
    assert all(step["finishing_orders"]["base"] == ORDERS for step in shuffled), "the orders were the same"


def test_late_groups_are_corrected_in_the_next_step(shuffled: list[dict[str, Any]], bench: Bench) -> None:
    folder = bench.folder("shuffled")
    steps = {row["step"]: row for row in read(folder / "metrics.jsonl")}
    assert "fail2fix/replay/carried" not in steps[1], "nothing has shown yet where to cut: the first step is serial"
    assert steps[3]["fail2fix/replay/carried"] == steps[2]["fail2fix/replay/carried_on"] > 0
    assert steps[4]["fail2fix/replay/carried"] == steps[3]["fail2fix/replay/carried_on"]
    corrections = [row for row in read(folder / "rollouts" / "3.jsonl") if row["stream"] == "correction"]
    corrected = Counter(row["uid"] for row in corrections if row["uid"].startswith("f2f-2-"))
    assert set(corrected.values()) == {2}, "G' corrections of each attempt of step 2"
    carried, put_back = steps[3]["fail2fix/replay/carried"], steps[3].get("fail2fix/replay/trimmed", 0)
    assert carried - put_back <= len(corrected) <= carried


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
