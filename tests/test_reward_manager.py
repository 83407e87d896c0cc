"""The reward manager alone: contract, verdicts, shaping, uniform fields, warnings, refusals."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from verl import DataProto

from fail2fix.core.config import BadInput
from fail2fix.verl_ext.reward_manager import THREADS, RiskAverseRewardManager, RowContext, with_verdict
from tests.e2e.tiny import make_tokenizer

TOKENIZER = make_tokenizer()
KEYS = {
    "acc", "pred", "verdict", "plain_reward", "shaped_reward", "stream", "attempt_id", "attempt_correct",
    "verify_status", "verifier_calls",
}  # fmt: skip


def config(**sections: Any) -> Any:
    base = {"reward": {"custom_reward_function": {"path": "given.py", "name": "f"}}, "algorithm": {}}
    return OmegaConf.create(base | sections)


def manager(score: Any, **sections: Any) -> RiskAverseRewardManager:
    return RiskAverseRewardManager(config=config(**sections), tokenizer=TOKENIZER, compute_score=score)


def row(text: str, extra_info: dict[str, Any] | None = None) -> DataProto:
    responses = torch.tensor([TOKENIZER(text)["input_ids"]])
    columns = {
        "data_source": ["openai/gsm8k"],
        "reward_model": [{"ground_truth": "12"}],
        "extra_info": [extra_info if extra_info is not None else {}],
    }
    arrays = {}
    for name, values in columns.items():
        arrays[name] = np.empty(1, dtype=object)
        arrays[name][0] = values[0]
    tensors = {"responses": responses, "attention_mask": torch.ones_like(responses)}
    return DataProto.from_dict(tensors=tensors, non_tensors=arrays)


def scored(m: RiskAverseRewardManager, text: str, extra_info: dict[str, Any] | None = None) -> dict[str, Any]:
    return m.loop.run_until_complete(m.run_single(row(text, extra_info)))


def correction(correct: bool) -> dict[str, Any]:
    return {"fail2fix": {"stream": "correction", "attempt_id": "a", "attempt_correct": correct}}


def exact(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> float:
    return float(solution_str == ground_truth)


@pytest.mark.parametrize(("before", "text", "reward"), [(1, "12", 1), (1, "11", -1), (0, "12", 1), (0, "11", 0)])
def test_only_breaking_a_correct_attempt_costs_extra(before: int, text: str, reward: float) -> None:
    result = scored(manager(exact), text, correction(bool(before)))
    extra = result["reward_extra_info"]
    assert result["reward_score"] == extra["shaped_reward"] == reward
    assert extra["plain_reward"] == float(text == "12")
    assert (extra["stream"], extra["attempt_correct"], extra["attempt_id"]) == ("correction", before, "a")


def test_rows_without_the_contract_are_scored_plainly() -> None:
    result = scored(manager(exact), "11")
    assert result["reward_score"] == 0
    assert result["reward_extra_info"]["stream"] == "base"
    assert result["reward_extra_info"]["attempt_correct"] == -1


@pytest.mark.parametrize("given", [None, "absent"])
def test_rows_without_extra_info_are_base_rows(given: str | None) -> None:
    """A data set class of the user's own may leave it out; verl's own manager writes into it."""
    rows = row("12")
    rows.non_tensor_batch["extra_info"] = np.array([None], dtype=object)
    if given:
        del rows.non_tensor_batch["extra_info"]
    m = manager(exact)
    result = m.loop.run_until_complete(m.run_single(rows))
    assert result["reward_score"] == 1
    assert result["reward_extra_info"]["stream"] == "base"


def test_every_row_has_the_same_fields() -> None:
    m = manager(exact)
    rows = [scored(m, "12"), scored(m, "11", correction(True)), scored(m, "12", correction(False))]
    assert all(r["reward_extra_info"].keys() == KEYS for r in rows)


def test_the_penalty_is_the_configs() -> None:
    m = manager(exact, fail2fix={"risk": {"penalty": 0.25}})
    assert scored(m, "11", correction(True))["reward_score"] == -0.25


def test_a_functions_own_fields_come_along_and_async_functions_are_awaited() -> None:
    async def score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> dict[str, Any]:
        return {"score": 0.5, "acc": 1, "format": 0.25}

    extra = scored(manager(score), "11", correction(True))["reward_extra_info"]
    assert (extra["format"], extra["plain_reward"], extra["verdict"]) == (0.25, 0.5, 1)


def test_a_failing_function_is_retried_and_then_says_so() -> None:
    calls = []

    def score(**_: Any) -> float:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError
        return 1.0

    m = manager(score)
    assert scored(m, "12")["reward_extra_info"]["verify_status"] == "ok"
    assert len(calls) == 3

    def down(**_: Any) -> float:
        raise ConnectionError("down")

    result = scored(manager(down), "12", correction(True))
    assert (result["reward_score"], result["reward_extra_info"]["verify_status"]) == (0.0, "error")


def test_our_verifier_judges_when_no_function_is_given() -> None:
    m = manager(None, reward={"custom_reward_function": {"path": None}})
    assert scored(m, "So it is \\boxed{12}.")["reward_extra_info"]["verdict"] == 1
    assert scored(m, "So it is \\boxed{13}.")["reward_extra_info"]["verdict"] == 0


VERDICTS = [
    (1.0, 1),
    (0.99, 0),
    (2, 1),
    ({"score": 0, "acc": True}, 1),
    ({"score": 1, "acc": 0.5}, 0),
    ({"score": 1, "acc": None}, 1),
    ({"score": 1}, 1),
]


@pytest.mark.parametrize(("result", "verdict"), VERDICTS)
def test_correct_means_acc_if_given_else_a_full_score(result: Any, verdict: int) -> None:
    assert with_verdict(result, correct_threshold=1.0)["verdict"] == verdict


def test_a_reward_that_is_no_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="nan"):
        with_verdict(float("nan"), 1.0)
    with pytest.raises(BadInput, match="'score'"):
        with_verdict({"acc": 1}, 1.0)


@pytest.mark.parametrize("given", [{"stream": "other"}, {"stream": "correction"}, "correction", {"attempt_correct": 1}])
def test_a_malformed_contract_names_the_field(given: Any) -> None:
    with pytest.raises(BadInput, match="fail2fix"):
        RowContext.of({"fail2fix": given})


def test_a_contract_of_empty_fields_is_a_base_row() -> None:
    assert RowContext.of({"fail2fix": {"stream": None, "attempt_id": None, "attempt_correct": None}}) == RowContext()


def test_an_answer_of_zero_is_an_answer() -> None:
    assert with_verdict({"score": 1, "pred": 0}, 1.0)["pred"] == "0"


def test_legacy_keys_are_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"custom_reward_function\.path"):
        manager(exact, custom_reward_function={"path": "old.py"})


GRPO = {"adv_estimator": "grpo", "norm_adv_by_std_in_grpo": True}


@pytest.mark.parametrize(
    ("sections", "warned"),
    [
        ({"algorithm": GRPO}, True),
        ({"algorithm": GRPO | {"norm_adv_by_std_in_grpo": False}}, False),
        ({"algorithm": GRPO, "fail2fix": {"risk": {"penalty": 0.0}}}, False),
        ({"algorithm": GRPO, "fail2fix": {"risk": {"penalty": 0.5}}}, True),
        ({"algorithm": GRPO, "fail2fix": {"advantage": {"scale": "raw_std"}}}, False),
        ({"algorithm": GRPO, "fail2fix": {"advantage": {"scale": "shaped_std"}}}, True),
        ({"algorithm": GRPO, "fail2fix": {"advantage": {"scale": "shaped_std", "baseline": "with_attempt"}}}, False),
    ],
)
def test_one_warning_says_when_the_penalty_is_inert(
    sections: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    m = manager(exact, **sections)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            scored(m, "11", correction(True))
    assert sum("no effect on the gradient" in record.message for record in caplog.records) == int(warned)


def overlong(length: int, maximum: int, factor: float = 1.0) -> dict[str, Any]:
    return {
        "custom_reward_function": {"path": "given.py", "name": "f"},
        "reward_kwargs": {
            "max_resp_len": maximum,
            "overlong_buffer_cfg": {"enable": True, "len": length, "penalty_factor": factor},
        },
    }


def test_an_overlong_response_is_punished_in_the_plain_reward_and_keeps_its_verdict() -> None:
    """As verl's dapo manager counts: tokens beyond maximum - buffer, over the buffer."""
    tokens = len(TOKENIZER("12")["input_ids"])
    m = manager(exact, reward=overlong(length=2, maximum=tokens + 1))
    extra = scored(m, "12", correction(True))["reward_extra_info"]
    assert extra["overlong_reward"] == -0.5
    assert (extra["plain_reward"], extra["shaped_reward"], extra["verdict"]) == (0.5, 0.5, 1)
    m = manager(exact, reward=overlong(length=2, maximum=tokens + 2))
    assert scored(m, "12")["reward_extra_info"]["overlong_reward"] == 0


@pytest.mark.parametrize(("length", "maximum"), [(0, 4), (4, 4), (5, 4), (2, None)])
def test_a_senseless_overlong_buffer_is_refused_by_its_key(length: int, maximum: int) -> None:
    with pytest.raises(BadInput, match="reward.reward_kwargs"):
        manager(exact, reward=overlong(length, maximum))


def test_calls_of_the_reward_function_are_counted_with_their_retries() -> None:
    calls = []

    def failing_once(**row: Any) -> float:
        calls.append(row)
        if len(calls) == 1:
            raise ConnectionError("busy")
        return 1.0

    assert scored(manager(failing_once), "12")["reward_extra_info"]["verifier_calls"] == 2
    assert scored(manager(exact), "12")["reward_extra_info"]["verifier_calls"] == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_reward_function_that_hangs_is_an_error_after_its_limit(asynchronous: bool) -> None:
    """And a later call is judged, though the hung one's thread is still there."""
    free = threading.Event()

    def hangs(solution_str: str, **row: Any) -> float:
        return 1.0 if solution_str == "12" or free.wait(60) else 0.0

    async def hangs_too(solution_str: str, **row: Any) -> float:
        if solution_str != "12":
            await asyncio.sleep(60)
        return 1.0

    bounds = {"verifier": {"call_s": 0.05, "retries": 1}}
    m = manager(hangs_too if asynchronous else hangs, fail2fix=bounds)
    hung, judged = (scored(m, text)["reward_extra_info"] for text in ("11", "12"))
    free.set()
    assert (hung["verify_status"], hung["verifier_calls"]) == ("error", 2)
    assert (judged["verify_status"], judged["verdict"]) == ("ok", 1)


def test_more_calls_than_threads_wait_without_losing_time() -> None:
    """The limit counts from when a call runs, so a long line of slow checks is no failure."""
    together = threading.Barrier(THREADS)

    def slow(**row: Any) -> float:
        together.wait(60)
        return 1.0

    m = manager(slow, fail2fix={"verifier": {"call_s": 30.0}})

    async def all_at_once() -> list[dict[str, Any]]:
        return await asyncio.gather(*[m.run_single(row("12")) for _ in range(2 * THREADS)])

    results = m.loop.run_until_complete(all_at_once())
    assert [result["reward_extra_info"]["verify_status"] for result in results] == ["ok"] * (2 * THREADS)
    assert {result["reward_extra_info"]["verifier_calls"] for result in results} == {1}
