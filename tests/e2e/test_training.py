"""One run of the whole method on the real stack, and everything users rely on around a step."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import PLANTED, Bench, Run, holding
from tests.e2e.support.held import HELD, STEP
from tests.e2e.support.killing import Started, await_file
from tests.e2e.support.replaying import check_replay
from tests.e2e.support.same_run import differences

pytestmark = pytest.mark.e2e

MAIN = (
    "trainer.total_training_steps=4",
    "trainer.val_before_train=true",
    "trainer.test_freq=2",
    "trainer.save_freq=2",
    "trainer.logger=[console,wandb,file]",
    "trainer.log_val_generations=2",
    "fail2fix.skip_old_log_probs=false",  # as on a GPU
    "actor_rollout_ref.actor.use_kl_loss=true",
    "actor_rollout_ref.actor.kl_loss_coef=0.05",
    "actor_rollout_ref.actor.entropy_coeff=0.001",
    "actor_rollout_ref.rollout.val_kwargs.do_sample=false",
    "actor_rollout_ref.rollout.val_kwargs.temperature=0",
)


@pytest.fixture(scope="module")
def run(once: Callable[..., Run], bench: Bench) -> Run:
    env = {"WANDB_MODE": "offline", "VERL_FILE_LOGGER_PATH": str(bench.root / "tracker.jsonl")}
    return once("main", *MAIN, env=env)


def test_a_run_leaves_its_report(run: Run) -> None:
    assert f"fail2fix: report: {run.folder / 'report.html'}" in run.output
    assert "Attempts and corrections" in (run.folder / "report.html").read_text()


def test_every_step_trains_both_streams(run: Run) -> None:
    metrics = run.metrics()
    assert sorted(metrics) == [0, 1, 2, 3, 4]
    for step in range(1, 5):
        row = metrics[step]
        assert row["fail2fix/base/rollouts"] == 16
        assert row["fail2fix/correction/rollouts"] == 8
        assert row["fail2fix/replay/chosen"] == 4
        assert row["actor/grad_norm"] > 0
    assert sum(row.get("fail2fix/replay/correct_attempts", 0) for row in metrics.values()) > 0
    assert sum(row.get("fail2fix/replay/failed_attempts", 0) for row in metrics.values()) > 0
    taught = [
        row["fail2fix/correction/groups"] - row["fail2fix/correction/zero_variance_groups"]
        for s, row in metrics.items()
        if s
    ]
    assert sum(taught) > 0


def test_weights_stay_in_sync_after_real_updates(run: Run) -> None:
    for step, row in run.metrics().items():
        if step:
            assert row["training/rollout_actor_probs_pearson_corr"] > 0.9999
            assert row["actor/lr"] == pytest.approx(1e-3)


def test_validation_runs_before_during_and_at_the_end_without_corrections(run: Run) -> None:
    validated = [step for step, row in run.metrics().items() if any(name.startswith("val-core/") for name in row)]
    assert validated == [0, 2, 4]
    for step in validated:
        rows = run.validation(step)
        assert len(rows) == 32
        assert {row["stream"] for row in rows} == {"base"}
        assert all(row["pred"] and row["verify_status"] == "ok" for row in rows)
        metrics, summarized = run.metrics()[step], re.compile(r"val-(?:core|aux)/fail2fix/arithmetic/(\w+)/")
        assert {found[1] for name in metrics if (found := summarized.match(name))} == {"acc", "reward"}
        assert metrics["fail2fix/validation/verifier_errors"] == 0


def test_rollout_dumps_hold_both_streams_with_their_verdicts(run: Run) -> None:
    for step in range(1, 5):
        rows = run.rollouts(step)
        assert Counter(row["stream"] for row in rows) == {"base": 16, "correction": 8}
        base_uids = {row["uid"] for row in rows if row["stream"] == "base"}
        for row in rows:
            if row["stream"] == "base":
                assert row["attempt_correct"] == -1
                assert row["shaped_reward"] == row["plain_reward"]
            else:
                assert row["attempt_id"] == row["uid"]
                assert any(uid in row["attempt_id"] for uid in base_uids)
                broke = row["attempt_correct"] == 1 and row["verdict"] == 0
                assert row["shaped_reward"] == row["plain_reward"] - (1.0 if broke else 0.0)
                assert "<attempt>" in row["input"]


def test_transitions_in_the_metrics_are_those_in_the_dump(run: Run) -> None:
    names = {(0, 1): "fixed", (1, 1): "kept", (1, 0): "broken", (0, 0): "still_wrong"}
    for step in range(1, 5):
        rows = [row for row in run.rollouts(step) if row["stream"] == "correction"]
        counts = Counter(names[row["attempt_correct"], row["verdict"]] for row in rows)
        metrics = run.metrics()[step]
        assert {name: metrics[f"fail2fix/transition/{name}"] for name in names.values()} == {
            name: counts[name] for name in names.values()
        }


def test_metrics_keep_verls_names_and_ours(run: Run) -> None:
    row = run.metrics()[4]
    verl = {
        "actor/pg_loss", "actor/kl_loss", "actor/entropy_loss", "actor/pg_clipfrac", "actor/ppo_kl", "actor/entropy",
        "critic/score/mean", "response_length/mean", "prompt_length/mean", "perf/throughput", "perf/mfu/actor",
        "timing_s/gen", "timing_s/old_log_prob", "timing_s/ref", "timing_s/adv", "timing_s/update_actor",
        "timing_s/update_weights", "timing_s/testing", "timing_s/save_checkpoint", "timing_s/step",
        "training/global_step", "training/epoch",
    }  # fmt: skip
    ours = {
        f"fail2fix/{stream}/{name}"
        for stream in ("base", "correction")
        for name in (
            "accuracy", "reward_plain", "reward_shaped", "response_length", "cut_off", "kl_loss", "entropy",
            "pg_clipfrac", "zero_variance_groups", "rollouts", "prompt_tokens", "generated_tokens",
        )
    }  # fmt: skip
    replay = {
        f"fail2fix/replay/{n}"
        for n in ("rho", "rho_effective", "retention_n", "medium", "fallback", "filled", "skipped")
    }
    risk = {"fail2fix/risk/effect", "fail2fix/correction/advantage_max"}
    assert verl | ours | replay | risk | {"timing_s/gen_base", "timing_s/gen_correction"} <= row.keys()


def test_the_ratio_can_be_followed_from_the_metrics_alone(run: Run) -> None:
    from fail2fix.method.config import RatioConfig
    from fail2fix.method.ratio import RatioState, next_state

    state = RatioState(RatioConfig().initial)
    for step in range(1, 5):
        row = run.metrics()[step]
        assert row["fail2fix/replay/rho"] == pytest.approx(state.rho)
        if row["fail2fix/replay/retention_n"]:
            state = next_state(state, row["fail2fix/replay/retention"], RatioConfig())
        assert row["fail2fix/replay/rho_next"] == pytest.approx(state.rho)


def test_a_replay_of_the_run_chooses_and_rewards_exactly_what_the_run_did(run: Run) -> None:
    check_replay(run, steps=4)


def test_the_run_folder_explains_the_run(run: Run) -> None:
    from omegaconf import OmegaConf

    config = OmegaConf.load(run.folder / "config.yaml")
    assert config.fail2fix.correction.attempts == 4
    assert config.actor_rollout_ref.actor.strategy == "fsdp2"
    versions = json.loads((run.folder / "versions.json").read_text())
    assert versions["packages"]["verl"] == "0.9.1"
    assert (run.folder / "checkpoints" / "latest_checkpointed_iteration.txt").read_text() == "4"
    for step in (2, 4):
        assert (run.folder / "checkpoints" / f"global_step_{step}" / "fail2fix_state.json").exists()


def test_trackers_get_the_metrics(run: Run, bench: Bench) -> None:
    assert list(bench.root.glob("wandb/offline-run-*/*.wandb"))
    rows = [json.loads(line) for line in (bench.root / "tracker.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4]
    assert "fail2fix/replay/rho" in rows[1]["data"]
    assert "Training Progress: 100%" in run.output


def test_no_secret_of_the_environment_is_in_anything_a_run_wrote(run: Run, bench: Bench) -> None:
    """The run's folder with its checkpoints, what trackers wrote, the console, and Ray's session."""
    folders = [run.folder, bench.root / "wandb"]
    assert {".yaml", ".json", ".jsonl", ".pt", ".wandb"} <= {p.suffix for folder in folders for p in folder.rglob("*")}
    assert [told for folder in folders for told in holding(folder, PLANTED.values())] == []
    assert not any(key in run.output + (bench.root / "tracker.jsonl").read_text() for key in PLANTED.values())
    assert run.told == ()


@pytest.fixture(scope="module")
def killed(run: Run, bench: Bench) -> Run:
    """The same run, killed with all its processes when its last checkpoint lacks its commit, and started again."""
    folder, trackers = bench.folder("killed"), bench.root / "killed"
    last = folder / "checkpoints" / f"global_step_{STEP}"
    trackers.mkdir()
    env = {"WANDB_MODE": "offline", "WANDB_DIR": str(trackers), "VERL_FILE_LOGGER_PATH": str(trackers / "log.jsonl")}
    _, _, *arguments = bench.arguments("killed", *MAIN)  # without "-m fail2fix.train"
    command = [sys.executable, "-c", "from tests.e2e.support.held import main; main()", *arguments]
    with Started(command, bench.root, env | {"PYTHONPATH": str(Path(__file__).parents[2])}) as started:
        await_file(started, last / HELD)
    assert not (last / "fail2fix_state.json").exists()
    return bench.train("killed", *MAIN, env=env).ok()


def test_a_killed_run_ends_as_if_it_had_never_been_killed(run: Run, killed: Run) -> None:
    assert differences(run.folder, killed.folder, last=4) == []
    (superseded,) = killed.folder.glob("metrics.superseded-*.jsonl")
    assert [json.loads(line)["step"] for line in superseded.read_text().splitlines()] == [3]


def test_trackers_go_on_where_a_killed_run_stood(killed: Run, bench: Bench) -> None:
    rows = [json.loads(line) for line in (bench.root / "killed" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4]
    starts = list((bench.root / "killed").glob("wandb/offline-run-*"))
    assert len(starts) == 2
    ids = json.loads((killed.folder / "trackers.json").read_text())
    assert {start.name.rpartition("-")[2] for start in starts} == {ids["WANDB_RUN_ID"]}


def test_a_finished_run_is_never_overwritten(run: Run, bench: Bench) -> None:
    before = (run.folder / "metrics.jsonl").read_text()
    again = bench.train("main", "trainer.resume_mode=disable")
    assert again.returncode == 2
    assert "belongs to another run" in again.output
    assert (run.folder / "metrics.jsonl").read_text() == before
