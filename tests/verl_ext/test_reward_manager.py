"""The reward manager alone: contract, verdicts, shaping, uniform fields, warnings, refusals."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import math
import os
import threading
import urllib.request
from typing import Any

import aiohttp
import httpx
import numpy as np
import pytest
import requests
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from verl import DataProto

from fail2fix.method.errors import InputError
from fail2fix.verify import reward_calls
from fail2fix.verify.reward_calls import THREADS
from fail2fix.verify.reward_result import WINDOW, RewardError, with_verdict
from fail2fix.verify.verifier import Verdict
from fail2fix.verl_ext.reward_manager import ENOUGH_VERDICTS, RiskAverseRewardManager, RowContext
from tests.e2e.support.tiny import make_tokenizer
from tests.services import down, serving
from tests.tiers import heavy_where

TOKENIZER = make_tokenizer()
KEYS = {
    "acc", "pred", "verdict", "plain_reward", "shaped_reward", "stream", "attempt_id", "attempt_correct",
    "verify_status", "verifier_calls", "reward_error",
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


@pytest.mark.parametrize("before", ["12", "11"])
@pytest.mark.parametrize(
    ("template", "text", "answer"),
    [
        ("default", "12", "12"),
        ("verdict", "The attempt is right.", None),
        ("verdict", "The attempt is wrong. 12", "12"),
        ("verdict", "12", "12"),
        ("diagnosis", "It is 11.\n\nCorrected solution:\n12", "12"),
    ],
)
def test_the_template_says_where_a_corrections_answer_is(
    template: str, text: str, answer: str | None, before: str
) -> None:
    m = manager(exact, fail2fix={"correction": {"template": template}})
    contract = correction(before == "12")["fail2fix"] | {"attempt": before}
    assert scored(m, text, {"fail2fix": contract})["reward_score"] == float((answer or before) == "12")
    assert scored(m, text)["reward_score"] == float(text == "12"), "a base row has no template"


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
    of_ten = manager(exact, fail2fix={"risk": {"penalty": 0.25, "reward_scale": 10.0}})
    assert scored(of_ten, "11", correction(True))["reward_score"] == -2.5


def test_a_functions_own_fields_come_along_and_async_functions_are_awaited() -> None:
    async def score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> dict[str, Any]:
        return {"score": 0.5, "acc": 1, "format": 0.25}

    extra = scored(manager(score), "11", correction(True))["reward_extra_info"]
    assert (extra["format"], extra["plain_reward"], extra["verdict"]) == (0.25, 0.5, 1)


def test_a_failing_service_is_asked_again_and_then_its_row_says_so() -> None:
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

    result = scored(manager(down, fail2fix={"verifier": {"retry_s": 0.1}}), "12", correction(True))
    assert (result["reward_score"], result["reward_extra_info"]["verify_status"]) == (0.0, "error")
    assert result["reward_extra_info"]["reward_error"] == "", "a service's failure is no error of the function"


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


@pytest.mark.parametrize("close", [0.7 + 0.2 + 0.1, 1 - 1e-9])
def test_rounding_decides_no_verdict(close: float) -> None:
    assert close < 1
    assert with_verdict(close, 1.0)["verdict"] == with_verdict({"score": 0, "acc": close}, 1.0)["verdict"] == 1
    assert with_verdict(0.3 * 3, 0.9)["verdict"] == 1
    assert with_verdict(1 - 1e-5, 1.0)["verdict"] == 0


@given(score=st.floats(-10, 10), threshold=st.floats(0.1, 2))
def test_acc_is_what_verls_naive_manager_makes_of_the_result(score: float, threshold: float) -> None:
    """A plain reward is its own acc; a dict comes through as it is."""
    assert with_verdict(score, threshold)["acc"] == score
    assert "acc" not in with_verdict({"score": score}, threshold)
    assert "acc" not in with_verdict({"score": score, "acc": None}, threshold)
    assert with_verdict({"score": 0, "acc": score}, threshold)["acc"] == score


NO_NUMBERS = [
    math.nan, math.inf, -math.inf, "a lot", None, [1.0],
    {"score": math.nan}, {"score": 1.0, "acc": math.nan}, {"score": 1.0, "acc": "yes"}, {"score": None},
]  # fmt: skip


@pytest.mark.parametrize("result", NO_NUMBERS, ids=str)
def test_a_reward_that_is_no_number_is_an_error_of_the_function(result: Any) -> None:
    with pytest.raises(RewardError, match="must be a finite number"):
        with_verdict(result, 1.0)
    calls = []
    extra = scored(manager(lambda **row: calls.append(row) or result), "12")["reward_extra_info"]
    assert extra["verify_status"] == "error"
    assert extra["reward_error"].startswith("given.py:f returned "), "names the function"
    assert len(calls) == 1, "asked again it says the same"


def test_a_dict_without_a_score_is_refused() -> None:
    with pytest.raises(InputError, match="'score'"):
        with_verdict({"acc": 1}, 1.0)


def every(m: RiskAverseRewardManager, texts: list[str]) -> list[dict[str, Any]]:
    """All rows at once, as a reward worker gets them."""

    async def together() -> list[dict[str, Any]]:
        return await asyncio.gather(*[m.run_single(row(text)) for text in texts])

    return [result["reward_extra_info"] for result in m.loop.run_until_complete(together())]


ERRORS = [KeyError("answer"), TypeError("t"), ValueError("v"), ZeroDivisionError("z"), StopIteration(), SystemExit(3)]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_function_that_fails_on_everything_ends_the_run_with_its_own_line(
    error: BaseException, asynchronous: bool
) -> None:
    if asynchronous and isinstance(error, SystemExit | StopIteration):
        pytest.skip("Python itself ends the event loop, or turns it into a RuntimeError")

    def broken(**_: Any) -> float:
        raise error

    async def broken_too(**_: Any) -> float:
        raise error

    with pytest.raises(
        InputError, match=r"failed on all of the first \d+ rollouts: .*test_reward_manager.py:\d+: "
    ) as told:
        every(manager(broken_too if asynchronous else broken), ["12"] * ENOUGH_VERDICTS)
    assert type(error).__name__ in str(told.value)
    assert "\n" not in str(told.value)


def test_a_function_that_fails_on_some_rows_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """One rollout that is judged is enough to go on, and a later row of errors is no reason to end here."""
    texts = ["12"] + ["11", "13"] * ENOUGH_VERDICTS

    def broken(solution_str: str, **_: Any) -> float:
        return {"12": 1.0}[solution_str]

    with caplog.at_level(logging.WARNING):
        extras = every(manager(broken), texts)
    assert [extra["verify_status"] for extra in extras] == ["ok"] + ["error"] * (len(texts) - 1)
    assert {extra["verifier_calls"] for extra in extras} == {1}
    assert "KeyError: '1" in extras[1]["reward_error"]
    assert sum("reward function failed" in record.message for record in caplog.records) == 1


def test_errors_of_unclear_kind_are_repeated_a_few_times() -> None:
    calls = []

    def score(**_: Any) -> float:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("hiccup")
        return 1.0

    assert scored(manager(score), "12")["reward_extra_info"]["verdict"] == 1


def ask(kind: str, url: str) -> Any:
    """A reward function of a user's that asks a judge over HTTP."""

    def with_requests(**_: Any) -> float:
        answer = requests.post(url, json={}, timeout=10)
        answer.raise_for_status()
        return float(answer.json()["score"])

    async def with_aiohttp(**_: Any) -> float:
        async with aiohttp.ClientSession(raise_for_status=True) as session, session.post(url, json={}) as answer:
            return float((await answer.json(content_type=None))["score"])

    async def with_httpx(**_: Any) -> float:
        async with httpx.AsyncClient(verify=False) as client:  # loading certificates takes longer than the outage
            return float((await client.post(url, json={})).raise_for_status().json()["score"])

    def with_urllib(**_: Any) -> float:
        with urllib.request.urlopen(url, data=b"{}", timeout=10) as answer:
            return float(json.load(answer)["score"])

    return {"requests": with_requests, "aiohttp": with_aiohttp, "httpx": with_httpx, "urllib": with_urllib}[kind]


SECONDS = float(os.environ.get("OUTAGE_S", "0.5"))  # how long the services below are busy
ROLLOUTS = 4 * THREADS


CLIENTS, OUTAGES = ("requests", "aiohttp", "httpx", "urllib"), ("down", "429", "503 with Retry-After")
OUTAGES_OF_CLIENTS = [(outage, client) for outage in OUTAGES for client in CLIENTS]
FAST = (("down", "requests"), ("429", "aiohttp"), ("503 with Retry-After", "urllib"), ("503 with Retry-After", "httpx"))


@pytest.mark.parametrize(
    "away", heavy_where(OUTAGES_OF_CLIENTS, set(OUTAGES_OF_CLIENTS) - set(FAST)), ids=lambda away: "-".join(away)
)
def test_a_judge_that_is_away_for_a_while_loses_no_rollout(away: tuple[str, str], quick_pauses: None) -> None:
    outage, client = away
    services = {
        "down": lambda: down(2 * SECONDS),
        "429": lambda: serving(429, for_s=SECONDS),
        "503 with Retry-After": lambda: serving(503, for_s=SECONDS, headers={"Retry-After": "0.2"}),
    }
    with services[outage]() as judge:
        extras = every(manager(ask(client, judge.url)), ["12"] * ROLLOUTS)
    assert [extra["verify_status"] for extra in extras] == ["ok"] * ROLLOUTS
    assert max(extra["verifier_calls"] for extra in extras) > 1


def test_a_judge_that_refuses_the_request_is_not_asked_again() -> None:
    with serving(401, for_s=60) as judge, pytest.raises(InputError, match="401"):
        every(manager(ask("requests", judge.url)), ["12"] * ENOUGH_VERDICTS)
    assert len(judge.asked) == ENOUGH_VERDICTS


def test_a_pause_holds_no_thread() -> None:
    """Rows that wait for a judge which is down leave the threads to the others."""

    def score(solution_str: str, **_: Any) -> float:
        if solution_str == "11":
            raise ConnectionError("down")
        return 1.0

    m = manager(score, fail2fix={"verifier": {"retry_s": 1.5}})
    ended: list[str] = []

    async def one(text: str) -> None:
        await m.run_single(row(text))
        ended.append(text)

    async def together() -> None:
        await asyncio.gather(*[one(text) for text in ["11"] * 2 * THREADS + ["12"] * THREADS])

    m.loop.run_until_complete(together())
    assert ended == ["12"] * THREADS + ["11"] * 2 * THREADS


def test_the_watchdog_never_takes_asking_again_for_hanging() -> None:
    settings = manager(exact, fail2fix={"watchdog": {"limit_s": 60}}).settings
    assert settings.verifier.retry_s == 30
    settings = manager(exact, fail2fix={"watchdog": {"limit_s": None, "start_s": None}}).settings
    assert settings.verifier.retry_s == 300


@pytest.mark.parametrize(
    ("rewards", "warned"),
    [
        ([0.1, 0.4, 0.7], True),
        ([0.1, 0.4, 1.0], False),
        ([0.4, 0.4], False),
        ([{"score": 0.1}, {"score": 0.4}], True),
        ([{"score": 0.1, "acc": 0}, {"score": 0.4, "acc": 0}], False),
    ],
)
def test_rewards_that_never_reach_the_threshold_are_said_once(
    rewards: list[Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    returned = itertools.cycle(rewards)
    m = manager(lambda **_: next(returned))
    with caplog.at_level(logging.WARNING):
        every(m, ["12"] * (WINDOW - 1))
        assert not caplog.records, "too few to tell"
        every(m, ["12"] * 2 * WINDOW)
    assert sum("fail2fix.verifier.correct_threshold=1" in r.message for r in caplog.records) == int(warned)


@pytest.mark.parametrize(("source", "status"), [("code", "over_limit"), ("math", "timeout")])
def test_a_program_over_its_limits_may_be_replayed_and_an_unreadable_answer_not(
    source: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow:
        async def verify(self, response: str, ground_truth: str) -> Verdict:
            return Verdict(False, response, "timeout")

    monkeypatch.setattr(reward_calls, "open_verifier", lambda *_: Slow())
    settings = {"verifier": {"sources": {"openai/gsm8k": source}}}
    m = manager(None, reward={"custom_reward_function": {"path": None}}, fail2fix=settings)
    assert scored(m, "12")["reward_extra_info"]["verify_status"] == status


@pytest.mark.parametrize("given", [{"stream": "other"}, {"stream": "correction"}, "correction", {"attempt_correct": 1}])
def test_a_malformed_contract_names_the_field(given: Any) -> None:
    with pytest.raises(InputError, match="fail2fix"):
        RowContext.of({"fail2fix": given})


def test_a_contract_of_empty_fields_is_a_base_row() -> None:
    assert RowContext.of({"fail2fix": {"stream": None, "attempt_id": None, "attempt_correct": None}}) == RowContext()


def test_an_answer_of_zero_is_an_answer() -> None:
    assert with_verdict({"score": 1, "pred": 0}, 1.0)["pred"] == "0"


def test_legacy_keys_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"custom_reward_function\.path"):
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
    with pytest.raises(InputError, match="reward.reward_kwargs"):
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
