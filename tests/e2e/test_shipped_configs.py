"""Every shipped config trains on the real stack, and its ledger is the closed form of its sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.conftest import MATCHED, SETUP, Bench, Run
from tests.e2e.support.replaying import check_replay

pytestmark = pytest.mark.e2e

B, G, K, G_CORRECTION = 4, 4, 4, 2
BOTH_STREAMS = ("cipo", "fail2fix", "thinktwice")
ALTERNATING = ("fail2fix", "thinktwice")
REST = (
    "cipo_rloo", "cipo_fixed_rho", "cipo_no_risk", "cipo_no_difficulty", "cipo_failures_only", "cipo_shaped_std",
    "cipo_unscaled", "cipo_with_attempt", "cipo_pass_rate", "fail2fix", "dapo", "rloo", "grpo",
    "grpo_bs256", "cipo",
)  # fmt: skip


def trained(bench: Bench, name: str, config: str, *overrides: str) -> Run:
    """Two steps of a config at the tiny sizes."""
    small = [argument for argument in bench.small() if config != "grpo_bs256" or "train_batch_size" not in argument]
    return bench.train(name, *SETUP, *overrides, config=config, small=small).ok()


def ledger(row: dict[str, Any], name: str) -> float:
    return row.get(f"fail2fix/ledger/{name}", 0.0)


def check_closed_form(run: Run, config: str, steps: int = 2) -> None:
    """Rollouts, verifier calls, optimizer steps and tokens of every step, from sizes and the steps' own metrics."""
    rows = run.metrics()
    tokens = {f"{stream}/{kind}_tokens": 0.0 for stream in ("base", "correction") for kind in ("prompt", "generated")}
    problems = MATCHED if config == "grpo_bs256" else B
    for step in range(1, steps + 1):
        row = rows[step]
        corrected = config.startswith(BOTH_STREAMS) and not (config == "cipo_lagged" and step == 1)
        assert row.get("fail2fix/correction/rollouts", 0.0) == (K * G_CORRECTION if corrected else 0)
        assert row["fail2fix/base/rollouts"] == problems * G
        for name in tokens:
            tokens[name] += row.get(f"fail2fix/{name}", 0.0)
    base = sum(rows[s].get("fail2fix/base/sampled_groups", problems) for s in range(1, steps + 1)) * G
    corrections = K * G_CORRECTION * (steps - (config == "cipo_lagged")) if config.startswith(BOTH_STREAMS) else 0
    initial = 4 * B * G if config == "cipo_offline" else 0
    last = rows[steps]
    assert ledger(last, "base/rollouts") == ledger(last, "base/verifier_calls") == base
    assert ledger(last, "correction/rollouts") == ledger(last, "correction/verifier_calls") == corrections
    assert ledger(last, "initial/rollouts") == initial
    assert ledger(last, "total/rollouts") == base + corrections + initial
    assert ledger(last, "optimizer_steps") == steps * (2 if config in ALTERNATING else 1)
    assert ledger(last, "seconds") > 0
    for name, value in tokens.items():
        if "dapo" not in config or not name.startswith("base"):  # discarded groups are in no stream
            assert ledger(last, name) == value
    for kind in ("prompt_tokens", "generated_tokens", "verifier_calls", "rollouts"):
        lines = sum(ledger(last, f"{stream}/{kind}") for stream in ("base", "correction", "initial"))
        assert ledger(last, f"total/{kind}") == lines
    assert ledger(last, "initial/prompt_tokens") >= initial
    if config.startswith("cipo"):
        check_replay(run, steps)


def corrections(run: Run, step: int) -> list[dict[str, Any]]:
    return [row for row in run.rollouts(step) if row["stream"] == "correction"]


def base_uids(run: Run, step: int) -> set[str]:
    return {row["uid"] for row in run.rollouts(step) if row["stream"] == "base"}


def replayed_problems(run: Run, step: int) -> set[str]:
    return {row["attempt_id"].removeprefix("f2f-").rsplit("-", 1)[0] for row in corrections(run, step)}


def test_lagged_replays_the_step_before(lagged: Run) -> None:
    check_closed_form(lagged, "cipo_lagged")
    assert corrections(lagged, 1) == []
    assert replayed_problems(lagged, 2) <= base_uids(lagged, 1)


def test_lagged_resumes_with_its_attempts(resumed: Run) -> None:
    assert corrections(resumed, 3)
    assert replayed_problems(resumed, 3) <= base_uids(resumed, 2)
    check_closed_form(resumed, "cipo_lagged", steps=3)


def test_offline_replays_a_stored_pool_within_a_budget_and_held_out_corrections_are_reported(bench: Bench) -> None:
    """The budget ends the run after its second step; the last step is validated and saved, as by a number of steps."""
    spent = 4 * B * G + 2 * (B * G + K * G_CORRECTION)
    run = trained(
        bench, "offline", "cipo_offline", "trainer.total_training_steps=9", f"fail2fix.budget.rollouts={spent + 5}",
        "fail2fix.held_out.enabled=true", "fail2fix.held_out.problems=12", "fail2fix.held_out.samples=2",
        "fail2fix.held_out.revisions=2",
        "trainer.val_before_train=true", "trainer.test_freq=50", "trainer.save_freq=50",
    )  # fmt: skip
    check_closed_form(run, "cipo_offline")
    rows = run.metrics()
    assert sorted(rows) == [0, 1, 2]
    assert ledger(rows[0], "initial/rollouts") == 4 * B * G
    assert (run.folder / "checkpoints" / "global_step_2").exists()
    assert (run.folder / "offline_pool.parquet").exists()
    for step in (1, 2):
        assert not replayed_problems(run, step) & base_uids(run, step)
    check_held_out(run.folder, rows)
    check_own_answers(run.folder, rows)


def check_held_out(folder: Path, rows: dict[int, dict[str, Any]]) -> None:
    """The same frozen prompts before and after training; the metrics are those of the dump."""
    asked = []
    for step in (0, 2):
        dumped = (folder / "held_out_corrections" / f"{step}.jsonl").read_text().splitlines()
        lines = [json.loads(line) for line in dumped]
        asked.append([(line["attempt_id"], line["attempt_correct"], line["problem"]) for line in lines])
        by_side = {side: [x["correct"] for x in lines if x["attempt_correct"] == side] for side in (True, False)}
        assert rows[step]["fail2fix/held_out/corrections"] == len(lines) > 0
        assert rows[step]["fail2fix/held_out/keep_rate"] == pytest.approx(np.mean(by_side[True]))
        assert rows[step]["fail2fix/held_out/fix_rate"] == pytest.approx(np.mean(by_side[False]))
        assert {"gain_over_keep", "gain_over_resolve"} <= {name.rsplit("/", 1)[-1] for name in rows[step]}
    assert asked[0] == asked[1]


def check_own_answers(folder: Path, rows: dict[int, dict[str, Any]]) -> None:
    """Each problem is solved once and that answer revised twice, or stands; the metrics are those of the dump."""
    for step in (0, 2):
        dumped = (folder / "own_answers" / f"{step}.jsonl").read_text().splitlines()
        every = [json.loads(line) for line in dumped]
        lines = [line for line in every if line["status"] != "skipped"]
        places = [line["place"] for line in lines]
        assert len(lines) == 2 * len(set(places)) > 0
        assert not {line["place"] for line in every if line["status"] == "skipped"} & set(places)
        row = {name.rsplit("/", 1)[-1]: rows[step][name] for name in rows[step] if "/own_answers/" in name}
        assert row["problems"] == len(set(places)) + row["skipped"]
        assert row["revised"] == pytest.approx(np.mean([line["correct"] for line in lines]))
        assert row["accuracy"] == pytest.approx(np.mean([line["attempt_correct"] for line in lines]))


def test_dapo_under_the_method_refills_the_base_stream_and_punishes_overlong_responses(bench: Bench) -> None:
    run = trained(bench, "cipo_dapo", "cipo_dapo", "algorithm.filter_groups.max_num_gen_batches=2")
    check_closed_form(run, "cipo_dapo")
    for step in (1, 2):
        row, rows = run.metrics()[step], run.rollouts(step)
        assert len({r["uid"] for r in rows if r["stream"] == "correction"}) == K
        assert row["fail2fix/base/sampling_rounds"] in (1, 2)
        assert row["fail2fix/base/zero_variance_groups"] <= row["fail2fix/base/unfilled_groups"]
        assert all(-1 <= r["overlong_reward"] <= 0 for r in rows)
        assert any(r["overlong_reward"] < 0 for r in rows)


@pytest.mark.slow
def test_thinktwice_corrects_with_the_policy_that_solving_has_updated(bench: Bench) -> None:
    run = trained(bench, "thinktwice", "thinktwice")
    check_closed_form(run, "thinktwice")
    rows = run.metrics()
    assert ledger(rows[2], "seconds") <= sum(rows[step]["timing_s/step"] for step in (1, 2)), "a sync counts once"
    for step in (1, 2):
        row = rows[step]
        assert row["fail2fix/base/entropy"] > 0, "each stream's metrics are of its own update"
        agreement = row["training/rollout_actor_probs_pearson_corr"]
        assert agreement > 0.999, "the engines had the weights of the first update"
        assert len(replayed_problems(run, step)) == K
        assert replayed_problems(run, step) <= base_uids(run, step)


@pytest.mark.slow
@pytest.mark.parametrize("config", REST)
def test_the_other_configs_train(bench: Bench, config: str) -> None:
    run = trained(bench, f"shipped-{config}", config)
    check_closed_form(run, config)
    assert all(run.metrics()[step]["actor/grad_norm"] > 0 for step in (1, 2))


@pytest.mark.slow
@pytest.mark.parametrize("template", ["diagnosis", "verdict"])
def test_other_templates_train(bench: Bench, template: str) -> None:
    run = trained(bench, f"template-{template}", "cipo", f"fail2fix.correction.template={template}")
    check_closed_form(run, "cipo")


def test_every_shipped_config_is_trained_here() -> None:
    shipped = {path.stem for path in (Path(__file__).parents[2] / "configs").glob("*.yaml")} - {"base", "quickstart"}
    elsewhere = {"cipo_code", "thinktwice"}  # test_code.py, and above
    assert shipped == {*REST, "cipo_lagged", "cipo_offline", "cipo_dapo"} | elsewhere
