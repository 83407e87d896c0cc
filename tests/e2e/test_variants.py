"""The same loop under other settings: ranks, forms, streams off, failing rewards, broken sync, stock verl."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import pytest

from fail2fix.console.secret_text import kind_of_secret
from fail2fix.report.live import OUTPUT
from tests import wheel
from tests.e2e.conftest import PLANTED, Bench, Run, saved_steps

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def ranks(once: Callable[..., Run]) -> Run:
    """2 FSDP ranks, 2 vLLM replicas, fixed micro-batches, padding, M = 2, KL in the reward, a profiled step."""
    return once(
        "ranks",
        "trainer.n_gpus_per_node=2",
        "fail2fix.correction.form=turn",
        "fail2fix.advantage.baseline=with_attempt",
        "actor_rollout_ref.actor.ppo_mini_batch_size=2",
        "actor_rollout_ref.actor.use_dynamic_bsz=false",
        "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=2",
        "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=4",
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=4",
        "actor_rollout_ref.model.use_remove_padding=false",
        "actor_rollout_ref.actor.use_kl_loss=false",
        "algorithm.use_kl_in_reward=true",
        "algorithm.rollout_correction.rollout_is=token",
        "global_profiler.tool=torch",
        "global_profiler.steps=[2]",
        "actor_rollout_ref.actor.profiler.enable=true",
        "actor_rollout_ref.actor.profiler.all_ranks=true",
        "actor_rollout_ref.actor.profiler.tool_config.torch.contents=[cpu]",
        "global_profiler.save_path=profile",
    )


def test_two_ranks_and_two_replicas_with_the_turn_form(ranks: Run) -> None:
    for step in (1, 2):
        row = ranks.metrics()[step]
        assert row["training/rollout_actor_probs_pearson_corr"] > 0.9999
        assert row["fail2fix/correction/rollouts"] == 8
        assert "actor/reward_kl_penalty" in row
        assert "rollout_corr/rollout_is_mean" in row
        dumped = [r for r in ranks.rollouts(step) if r["stream"] == "correction"]
        turned = [r for r in dumped if "<attempt>" not in r["input"]]
        assert turned, "every attempt fell back to the block form"
        assert len(dumped) - len(turned) == 2 * row["fail2fix/replay/fell_back_to_block"]


def test_profiled_steps_leave_traces(ranks: Run, bench: Bench) -> None:
    assert ranks.metrics()
    assert list((bench.root / "profile").rglob("*.json*"))


@pytest.fixture(scope="module")
def grpo(once: Callable[..., Run], bench: Bench) -> Run:
    """One epoch of two steps of GRPO: our math verifier in the reward workers, offload on; only the end is due."""
    small = [setting for setting in bench.small() if not setting.startswith("trainer.")]
    return once(
        "grpo",
        "fail2fix.correction.enabled=false",
        "reward.custom_reward_function.path=null",
        "actor_rollout_ref.actor.use_kl_loss=false",
        "actor_rollout_ref.actor.fsdp_config.param_offload=true",
        "actor_rollout_ref.actor.fsdp_config.optimizer_offload=true",
        "data.train_max_samples=8",
        "data.val_max_samples=4",
        "trainer.total_epochs=1",
        "trainer.val_before_train=false",
        "trainer.test_freq=50",
        "trainer.save_freq=50",
        small=small,
    )


def test_grpo_is_the_same_loop_with_the_correction_stream_off(grpo: Run) -> None:
    """No correction metric but the ratio's."""
    for step in (1, 2):
        row = grpo.metrics()[step]
        assert row["fail2fix/base/rollouts"] == 16
        assert "fail2fix/correction/rollouts" not in row
        assert row["fail2fix/base/verifier_errors"] == 0
        statuses = [r["verify_status"] for r in grpo.rollouts(step)]
        assert set(statuses) <= {"ok", "no_answer", "timeout"}  # a tiny model may write anything, or nothing
        assert row["fail2fix/base/verifier_no_answer"] == statuses.count("no_answer")
        assert row["fail2fix/base/verifier_timeouts"] == statuses.count("timeout")


def test_the_update_gives_old_log_probs_and_what_their_pass_measures(grpo: Run) -> None:
    """One optimizer step a step: no pass of its own, and the engines' probabilities are the trainer's."""
    for row in grpo.metrics().values():
        assert "timing_s/old_log_prob" not in row
        assert {"actor/entropy", "fail2fix/base/entropy", "rollout_corr/kl"} <= row.keys()
        assert row["training/rollout_actor_probs_pearson_corr"] > 0.99


def test_the_terminal_shows_a_header_and_a_line_a_step(grpo: Run) -> None:
    """All other output is in the run's folder, without secrets, and no process writes a number as numpy shows it."""
    lines = grpo.output.splitlines()
    assert [line.split("  solved")[0] for line in lines if line.startswith("step ")][1:] == ["step 1/2", "step 2/2"]
    assert sum(line.startswith("validation after step 2:") for line in lines) == 1
    assert len(lines) <= 12, grpo.output
    files = [path for path in grpo.folder.rglob("*") if path.is_file() and path.suffix not in (".pt", ".safetensors")]
    assert grpo.folder / OUTPUT in files
    for path in files:
        text = path.read_text(errors="replace")
        assert not re.search(r"np\.(float|int)|engine is not available", text), path
    for line in (grpo.folder / OUTPUT).read_text(errors="replace").splitlines():
        assert not kind_of_secret("", line, PLANTED), line


def test_epochs_end_a_run_with_its_last_step_saved_and_validated(grpo: Run) -> None:
    """One epoch of two steps, where the config ships ten: neither step is due by its number."""
    assert list(grpo.metrics()) == [1, 2]
    assert any(name.startswith("val-core/") for name in grpo.metrics()[2])
    assert saved_steps(grpo.folder / "checkpoints") == ["global_step_2"]


@pytest.mark.slow
def test_groups_whose_verifier_fails_leave_the_step_and_are_counted(once: Callable[..., Run], bench: Bench) -> None:
    """The reward function raises on one problem in four; an expiring instance saves a checkpoint at once."""
    failing = Path(__file__).with_name("support") / "failing_rewards.py"
    run = once(
        "failing",
        f"reward.custom_reward_function.path={failing}",
        "fail2fix.verifier.retry_s=1",
        "data.train_batch_size=8",
        "trainer.save_freq=100",
        "trainer.esi_redundant_time=100000",
        "trainer.total_training_steps=3",
        env={"SAGEMAKER_CURRENT_CAPACITY_BLOCK_EXPIRATION_TIMESTAMP": str(int(time.time()) + 3600)},
    )
    excluded = 0
    for step in (1, 2, 3):
        row, rows = run.metrics()[step], run.rollouts(step)
        failed = {r["uid"] for r in rows if r["verify_status"] == "error" and r["stream"] == "base"}
        assert row["fail2fix/base/excluded_groups"] == len(failed)
        assert row["fail2fix/base/groups"] == 8 - len(failed)
        replayed = {r["uid"].removeprefix("f2f-").rsplit("-", 1)[0] for r in rows if r["stream"] == "correction"}
        assert not failed & replayed
        assert {"note"} <= rows[0].keys(), "the reward function's own fields reach the dump"
        excluded += len(failed)
    assert excluded > 0
    assert (run.folder / "checkpoints" / "global_step_2").exists(), "saved before the instance expires"


@pytest.mark.slow
def test_a_broken_weight_sync_shows(once: Callable[..., Run]) -> None:
    """Negative control of the sync metric: it falls as soon as an update does not reach the engine."""
    run = once(
        "broken",
        "trainer.total_training_steps=3",
        "+actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls=tests.e2e.support.broken_sync.BrokenSync",
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    corr = {step: row["training/rollout_actor_probs_pearson_corr"] for step, row in run.metrics().items()}
    assert corr[1] > 0.9999
    assert corr[3] < 0.99


@pytest.fixture(scope="module")
def mixed_data(bench: Bench) -> Path:
    """Plain rows and prebuilt correction rows, as another recipe would write them."""
    rows = parquet.read_table(bench.root / "arithmetic" / "train.parquet").to_pylist()[:16]
    for number, row in enumerate(rows):
        correct = bool(number % 4)
        contract = {"stream": "correction", "attempt_id": f"a{number}", "attempt_correct": correct}
        row["extra_info"] = {"index": number, "fail2fix": contract if number % 2 else None}
    path = bench.root / "mixed.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def stock_arguments(bench: Bench, data: Path, folder: Path, use_v1: bool, steps: int) -> list[str]:
    """Stock verl's command with our reward manager: no key of ours."""
    return [
        "-m", "verl.trainer.main_ppo",
        # The three lines of README.md:
        "reward.reward_manager.source=importlib",
        "reward.reward_manager.name=RiskAverseRewardManager",
        "reward.reward_manager.module.path=pkg://fail2fix.verl_ext.reward_manager",
        *(argument for argument in bench.small() if not argument.startswith("fail2fix.")),
        f"data.train_files={data}",
        f"trainer.use_v1={use_v1}",
        "data.train_batch_size=8", "data.max_response_length=16", "data.dataloader_num_workers=0",
        "algorithm.adv_estimator=grpo", "algorithm.use_kl_in_reward=false",
        "actor_rollout_ref.actor.strategy=fsdp2", "actor_rollout_ref.ref.strategy=fsdp2",
        "actor_rollout_ref.actor.ppo_mini_batch_size=8", "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=8",
        "actor_rollout_ref.actor.use_torch_compile=false", "actor_rollout_ref.model.use_remove_padding=false",
        "actor_rollout_ref.model.enable_gradient_checkpointing=false",
        "+actor_rollout_ref.model.override_config.attn_implementation=sdpa",
        "actor_rollout_ref.rollout.name=vllm", "actor_rollout_ref.rollout.tensor_model_parallel_size=1",
        "actor_rollout_ref.rollout.enforce_eager=true", "actor_rollout_ref.rollout.free_cache_engine=false",
        "+actor_rollout_ref.rollout.enable_sleep_mode=false", "actor_rollout_ref.rollout.max_num_seqs=32",
        "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8",
        "actor_rollout_ref.rollout.agent.num_workers=1",
        "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes=64", "reward.num_workers=1",
        "trainer.device=cpu", "trainer.n_gpus_per_node=1", "trainer.nnodes=1", "trainer.logger=[console]",
        f"trainer.total_training_steps={steps}", f"trainer.rollout_data_dir={folder}/rollouts",
        "transfer_queue.backend.SimpleStorage.num_data_storage_units=1",
        "ray_kwargs.ray_init.num_cpus=16", "+ray_kwargs.ray_init.num_gpus=1",
        "+ray_kwargs.ray_init.include_dashboard=false",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "use_v1",
    [pytest.param(True, marks=pytest.mark.slow, id="verl's default trainer"), pytest.param(False, id="RayPPOTrainer")],
)
def test_stock_verl_trains_with_our_reward_manager_by_configuration(
    bench: Bench, mixed_data: Path, use_v1: bool
) -> None:
    folder = bench.root / "outputs" / f"stock-{'v1' if use_v1 else 'v0'}"
    run = bench.python(stock_arguments(bench, mixed_data, folder, use_v1, steps=1), folder).ok()
    assert "has no effect on the gradient" in run.output
    if use_v1:  # verl's default trainer dumps no reward extras; the score is what the manager gave
        scores = {row["score"] for row in run.rollouts(1)}
        assert -1.0 in scores
        assert scores <= {-1.0, 0.0, 1.0}
    else:
        check_stock_rows(run.rollouts(1))


@pytest.mark.slow
def test_stock_verl_trains_with_the_wheel_outside_the_clone(bench: Bench, mixed_data: Path, tmp_path: Path) -> None:
    """The verifiers of the wheel judge: neither a file nor a path of the clone takes part."""
    python = wheel.environment(tmp_path / "env", wheel.build(tmp_path / "wheel"))
    folder = bench.root / "outputs" / "stock-wheel"
    arguments = stock_arguments(bench, mixed_data, folder, use_v1=False, steps=2)
    arguments.append("reward.custom_reward_function.path=null")
    run = bench.python(arguments, folder, {"PYTHONPATH": ""}, python=str(python)).ok()
    assert str(wheel.ROOT / "fail2fix") not in run.output
    for step in (1, 2):
        check_stock_rows(run.rollouts(step))


def check_stock_rows(rows: list[dict[str, Any]]) -> None:
    """A step's rows: half of them corrections; what breaks a correct attempt costs 1."""
    assert Counter(row["stream"] for row in rows) == {"base": 16, "correction": 16}
    for row in rows:
        broke = row["attempt_correct"] == 1 and row["verdict"] == 0
        assert row["score"] == row["shaped_reward"] == row["plain_reward"] - (1.0 if broke else 0.0)
    assert any(row["shaped_reward"] == -1.0 for row in rows)
