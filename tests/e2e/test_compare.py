"""A whole comparison on the real stack: two configs at equal rollouts, kept runs, a JSON and a picture."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import FP32, Bench

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BUDGET = 80  # two steps of 8 x 4 + 4 x 2 rollouts, or of 10 x 4


def test_two_configs_are_compared_at_equal_rollouts_and_their_runs_are_kept(bench: Bench) -> None:
    out = bench.root / "comparison"
    # The number of problems is the setup's, so that the baseline's own line decides it.
    small = [argument for argument in bench.small() if not argument.startswith(("data.train_batch_size", "trainer."))]
    arguments = [
        "-m", "fail2fix.compare", "grpo_bs256", "cipo", "--seeds", "1", "--rollouts", str(BUDGET), "--out", str(out),
        FP32, "setup=arithmetic", *small, "fail2fix.budget.matched_prompts=10",
        "trainer.test_freq=1", "trainer.save_freq=-1", "fail2fix.held_out.samples=2",
    ]  # fmt: skip
    bench.python(arguments, out).ok()
    records = {path.stem: path.stat().st_mtime_ns for path in (out / "runs").glob("*.json")}
    assert records.keys() == {"grpo_bs256-seed0", "cipo-seed0"}
    assert (out / "comparison.json").exists()
    assert (out / "comparison.png").stat().st_size > 10_000
    for name in records:
        folder = out / "training" / name.removesuffix("-seed0") / name
        last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
        assert last["fail2fix/ledger/total/rollouts"] == BUDGET
        assert last["fail2fix/held_out/corrections"] > 0

    again = bench.python(arguments, out).ok()
    assert "run folder:" not in again.output
    assert {path.stem: path.stat().st_mtime_ns for path in (out / "runs").glob("*.json")} == records
