"""What a GPU has to show, shown on the CPU with the tiny model: every item of gpu_check.sh, from its one command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.e2e import killing
from tests.e2e.conftest import Bench

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(2700)]  # ten trainings

ROOT = Path(__file__).parents[2]
STEPS = 4
SIZES = (
    "--device=cpu", f"--steps={STEPS}", "--repeats=1", "--mean=12", "--cap=48", "--seeds=1", "--rollouts=48",
    "--learning-setup=arithmetic",
)  # fmt: skip


def test_every_item_passes_and_says_what_it_saw(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(killing, "LIMIT_S", 2400.0)
    out = bench.root / "gpu_check"
    small = [key for key in bench.small() if not key.startswith(("trainer.", "actor_rollout_ref.model.path"))]
    overrides = [*small, "fail2fix.budget.matched_prompts=10", "fail2fix.held_out.samples=2"]
    command = ["scripts/gpu_check.sh", str(out), *SIZES, f"--model={bench.model}", *overrides]
    with killing.Started(command, ROOT, {"PYTHON": sys.executable}) as run:
        run.finish()
    items = {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}
    assert items.keys() == {"quickstart", "lambda_zero", "sleep", "step_time", "learning"}
    assert all(item["failures"] == [] and item["versions"] and item["commands"] for item in items.values())
    assert items["quickstart"]["figures"]["steps"] == STEPS, "one run, resumed after its second step"
    assert items["lambda_zero"]["figures"]["same_base_rollouts"] == 1.0
    assert items["lambda_zero"]["figures"]["grad_norms"][0] > 0
    assert "only a GPU" in items["sleep"]["figures"]["unproven"]
    assert items["step_time"]["figures"]["schedules"].keys() == {"plain", "serial", "streaming", "lagged"}
    assert items["learning"]["figures"]
