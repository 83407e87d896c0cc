"""Programs as a task: the paper's code experiment, small, on the real stack with a real language model."""

from __future__ import annotations

import shutil

import pytest

from fail2fix.data.tasks import programs, smollm2
from tests.e2e.conftest import Bench

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("bwrap") is None, reason="programs run in bubblewrap only, and it is not installed"
    ),
]


def test_smollm2_trains_on_one_line_programs_with_both_verdicts_in_both_streams(bench: Bench) -> None:
    programs.main([str(bench.root / "programs"), "--train", "64", "--held-out", "16"])
    model = bench.root / "smollm2"
    smollm2.main([str(model)])
    arguments = [
        "-m", "fail2fix.train", "--config-name", "cipo_code", "setup=programs", "device=cpu",
        f"data.train_files={bench.root}/programs/train.parquet", f"data.val_files={bench.root}/programs/test.parquet",
        f"actor_rollout_ref.model.path={model}", "data.train_batch_size=4", "actor_rollout_ref.rollout.n=4",
        "fail2fix.correction.attempts=4", "fail2fix.correction.rollouts=4", "trainer.total_training_steps=2",
        "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=16",
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=16",
        "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=16",
        "trainer.val_before_train=false", "trainer.test_freq=-1", "trainer.save_freq=-1",
        f"fail2fix.run.root={bench.root}/outputs", "fail2fix.run.name=code",
    ]  # fmt: skip
    run = bench.python(arguments, bench.root / "outputs" / "cipo_code" / "code").ok()
    rows = [row for step in (1, 2) for row in run.rollouts(step)]
    for stream in ("base", "correction"):
        assert {row["verdict"] for row in rows if row["stream"] == stream} == {0, 1}
    assert {row["verify_status"] for row in rows} <= {"ok", "no_answer", "timeout"}
    assert all("def f" in row["pred"] and "```" in row["output"] for row in rows if row["verdict"])
    assert all(run.metrics()[step]["actor/grad_norm"] > 0 for step in (1, 2))
