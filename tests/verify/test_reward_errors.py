"""Errors of the reward function on their way from the workers' rows to the end of a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from ray.exceptions import RayTaskError
from verl import DataProto
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker

from fail2fix.method.errors import InputError
from fail2fix.run.exit_status import Exit
from fail2fix.run.failures import failure_of
from fail2fix.verify.reward_errors import REWARD_ERROR, FirstVerdicts, failed_under_verl
from fail2fix.verl_ext.rollout import ENOUGH_VERDICTS, Fail2FixAgentLoopManager, PromptIdsAgentLoopWorker

CONFIG = OmegaConf.create({"reward": {"custom_reward_function": {"path": "/home/me/rewards.py", "name": "f"}}})
BUG = "rewards.py:3: KeyError: 'a'"
ROW = st.sampled_from([("", "ok"), ("", "timeout"), ("", "error"), (BUG, "error")])


@given(rows=st.lists(ROW, max_size=20), enough=st.integers(1, 5))
def test_a_run_ends_only_if_nothing_was_judged_and_enough_failed_by_the_functions_own_fault(
    rows: list[tuple[str, str]], enough: int
) -> None:
    first = FirstVerdicts(enough)
    for error, status in rows:
        first.note(error, status)
    judged, own = any(status != "error" for _, status in rows), sum(bool(error) for error, _ in rows)
    if not judged and own >= enough:
        with pytest.raises(InputError, match="KeyError: 'a'; correct it"):
            first.check()
    else:
        first.check()


def manager() -> Fail2FixAgentLoopManager:
    """One without engines."""
    made = object.__new__(Fail2FixAgentLoopManager)
    made._first_verdicts = FirstVerdicts(ENOUGH_VERDICTS)
    made._performance_metrics = lambda *_: {}  # type: ignore[method-assign,assignment]
    return made


def output(*errors: str) -> DataProto:
    """One worker's rows."""
    columns = {REWARD_ERROR: list(errors), "verify_status": ["error" if error else "ok" for error in errors]}
    arrays = {name: np.array(values, dtype=object) for name, values in columns.items()}
    about = {"metrics": [], "reward_extra_keys": list(columns)}
    return DataProto.from_dict({"responses": torch.zeros(len(errors), 1)}, arrays, about)


def test_workers_that_see_few_rows_each_are_judged_together() -> None:
    with pytest.raises(InputError, match=f"all of the first {ENOUGH_VERDICTS} rollouts: rewards.py:3"):
        manager()._collected([output(BUG) for _ in range(ENOUGH_VERDICTS)])


def test_small_batches_add_up_and_one_verdict_settles_it() -> None:
    failing = manager()
    for _ in range(ENOUGH_VERDICTS - 1):
        failing._collected([output(BUG)])
    with pytest.raises(InputError):
        failing._collected([output(BUG)])
    well = manager()
    well._collected([output(BUG, "", BUG)])
    for _ in range(2 * ENOUGH_VERDICTS):
        well._collected([output(BUG)])


def test_rows_of_a_manager_without_such_a_field_are_left_alone() -> None:
    rows = [output(BUG) for _ in range(ENOUGH_VERDICTS)]
    for part in rows:
        del part.non_tensor_batch[REWARD_ERROR], part.non_tensor_batch["verify_status"]
        part.meta_info["reward_extra_keys"] = []
    assert len(manager()._collected(rows)) == ENOUGH_VERDICTS


def worker() -> PromptIdsAgentLoopWorker:
    made = object.__new__(PromptIdsAgentLoopWorker)
    made.config = CONFIG
    return made


@pytest.mark.parametrize(
    ("reward", "extra"),
    [(float("nan"), {}), (float("inf"), {}), (1.0, {"acc": float("nan")}), (1.0, {"acc": np.float32("nan")})],
)
def test_under_verls_own_manager_a_reward_that_is_no_number_names_the_function(
    reward: float, extra: dict[str, Any]
) -> None:
    rows: list[Any] = [
        SimpleNamespace(reward_score=score, extra_fields={"reward_extra_info": given})
        for score, given in ((1.0, {}), (reward, extra))
    ]
    with pytest.raises(InputError, match=r"^/home/me/rewards.py:f returned .*: every reward must be a finite number"):
        worker()._postprocess(rows)


TRACEBACK = """ray::RewardLoopWorker.compute_score() (pid=1)
  File "/verl/naive.py", line 60, in run_single
  File "/home/me/rewards.py", line 12, in f
  File "/usr/lib/python3/json/decoder.py", line 355, in raw_decode
{}"""


def of_a_worker(cause: Exception) -> RayTaskError:
    return RayTaskError("f", TRACEBACK.format(repr(cause)), cause)


@pytest.mark.parametrize(
    ("cause", "status"),
    [(KeyError("answer"), Exit.BAD_INPUT), (TypeError("t"), Exit.BAD_INPUT), (InputError("b"), Exit.BAD_INPUT),
     (ConnectionError("down"), Exit.FAULT)],
)  # fmt: skip
def test_an_error_that_verls_manager_passes_on_is_the_users_or_a_services(
    cause: Exception, status: Exit, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def compute(*_: object) -> None:
        raise of_a_worker(cause)

    monkeypatch.setattr(AgentLoopWorker, "_compute_score", compute)
    coroutine = worker()._compute_score([], {})
    with pytest.raises(Exception) as raised:  # noqa: PT011
        coroutine.send(None)
    failure = failure_of(raised.value)
    assert failure.status == status
    if isinstance(cause, KeyError):
        assert "/home/me/rewards.py:12: KeyError: 'answer'" in failure.line


def test_without_a_file_of_the_users_own_the_innermost_line_is_named() -> None:
    config = OmegaConf.create({"reward": {"custom_reward_function": {"path": None}}})
    told = failed_under_verl(config, of_a_worker(KeyError("x")))
    assert told is not None
    assert "decoder.py:355: KeyError" in str(told)
