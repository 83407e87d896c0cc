"""Validation on verl's own `_validate`: rows and batches that differ in their reward extras, and what is summarized."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from fail2fix.run.config import CheckpointConfig, Fail2FixConfig
from fail2fix.verl_ext.reward_extras import extra_columns
from fail2fix.verl_ext.rollout import Fail2FixAgentLoopManager, PromptIdsAgentLoopWorker
from fail2fix.verl_ext.trainer import Fail2FixTrainer
from fail2fix.verl_ext.validation import OURS, validated_extras, validated_verdicts
from tests.e2e.support.tiny import make_tokenizer

Extras = dict[str, Any]

WIDTH = 3
MANAGER: Extras = {
    "acc": 1.0, "pred": "12", "verdict": 1, "plain_reward": 1.0, "shaped_reward": 1.0, "stream": "base",
    "attempt_id": "", "attempt_correct": -1, "verify_status": "ok", "verifier_calls": 1,
}  # fmt: skip


class ScriptedWorker(PromptIdsAgentLoopWorker):
    """An agent-loop worker without Ray or an engine: each row's reward and extras stand in its ``extra_info``."""

    def __init__(self, config: Any) -> None:
        self.config, self.reward_loop_worker_handles = config, [object()]
        self.generate_sequences = SimpleNamespace(remote=self.answer)  # type: ignore[assignment]

    async def answer(self, chunk: Any) -> Any:
        return self._postprocess([_answered(info) for info in chunk.non_tensor_batch["extra_info"]])


def _answered(info: Any) -> Any:
    ones = torch.ones(1, WIDTH, dtype=torch.long)
    both = torch.ones(1, 2 * WIDTH, dtype=torch.long)
    times = {"generate_sequences": 0.0, "tool_calls": 0.0, "compute_score": 0.0, "num_preempted": 0}
    masks = {"response_mask": ones, "attention_mask": both, "position_ids": both, "input_ids": both}
    absent = dict.fromkeys(("response_logprobs", "routed_experts", "teacher_logprobs", "teacher_ids"))
    return SimpleNamespace(
        **{"prompt_ids": ones, "response_ids": ones} | masks | absent,
        reward_score=info["reward"],
        num_turns=2,
        multi_modal_inputs=None,
        extra_fields={"reward_extra_info": dict(info["extras"])},
        metrics=SimpleNamespace(model_dump=lambda: times),
    )


class Validated:
    """verl's validation over these batches of problems, each a (data source, reward, reward extras)."""

    def __init__(self, folder: Path, batches: Sequence[Sequence[tuple[str, float, Extras]]], **options: Any) -> None:
        samples = options.pop("samples", 1)
        rollout = {"val_kwargs": {"n": samples, "do_sample": True}, "agent": {"num_workers": 2}}
        config = OmegaConf.create(
            {
                "reward": {"custom_reward_function": {"path": None, "name": "compute_score"}},
                "fail2fix": {"seeded_rollouts": False},
                "trainer": {"validation_data_dir": str(folder), "log_val_generations": 0},
                "actor_rollout_ref": {"rollout": rollout},
                "skip": {"rollout": {"enable": False}},
            }
        )
        manager: Any = Fail2FixAgentLoopManager.__new__(Fail2FixAgentLoopManager)
        manager.config, manager._validation = config, (None, {})
        manager.agent_loop_workers = [ScriptedWorker(config), ScriptedWorker(config)]
        trainer: Any = Fail2FixTrainer.__new__(Fail2FixTrainer)
        trainer.config, trainer.async_rollout_manager = config, manager
        trainer.settings = Fail2FixConfig(checkpoint=CheckpointConfig(**options))
        trainer.tokenizer, trainer.use_rm, trainer.global_steps = make_tokenizer(), False, 7
        trainer.watchdog = SimpleNamespace(phase=lambda name: nullcontext())
        trainer.val_dataloader = [_batch(rows) for rows in batches]
        trainer._init_dump_executor()
        self.metrics = trainer.validate()
        trainer.close_dumps()
        self.accuracy = trainer._resolve_accuracy.tolist()
        self.dump = [json.loads(line) for line in (folder / "7.jsonl").read_text().splitlines()]


def _batch(rows: Sequence[tuple[str, float, Extras]]) -> dict[str, Any]:
    infos = [{"reward": reward, "extras": extras} for _, reward, extras in rows]
    columns = {
        "raw_prompt": [[{"role": "user", "content": "?"}] for _ in rows],
        "data_source": [source for source, _, _ in rows],
        "reward_model": [{"ground_truth": "12"} for _ in rows],
        "extra_info": infos,
    }
    arrays = {name: np.fromiter(values, dtype=object, count=len(rows)) for name, values in columns.items()}
    return {"dummy": torch.zeros(len(rows), 1)} | arrays


def names(metrics: dict[str, float], source: str) -> set[str]:
    """Which extras of a source are summarized."""
    prefixes = (f"val-core/{source}/", f"val-aux/{source}/")
    return {name.split("/")[2] for name in metrics if name.startswith(prefixes)}


def test_a_user_reads_accuracy_reward_and_the_reward_functions_own_numbers(tmp_path: Path) -> None:
    own = {"format": 0.5, "is_long": True, "comment": "fine", "steps": [1, 2]}
    run = Validated(tmp_path, [[("gsm8k", 1.0, MANAGER | own)]], samples=2)
    assert names(run.metrics, "gsm8k") == {"acc", "reward", "format", "is_long"}
    assert run.metrics["val-core/gsm8k/acc/mean@2"] == 1
    assert not any("/maj@" in name for name in run.metrics)
    assert run.dump[0].items() >= (MANAGER | own).items()


def test_a_best_metric_of_majority_votes_gets_them(tmp_path: Path) -> None:
    batches = [[("gsm8k", 1.0, MANAGER)]]
    run = Validated(tmp_path, batches, samples=2, best_metric="val-core/gsm8k/acc/maj@2/mean")
    assert run.metrics["val-core/gsm8k/acc/maj@2/mean"] == 1
    assert names(run.metrics, "gsm8k") == {"acc", "reward"}


def test_verls_own_managers_keep_all_their_numbers_and_votes() -> None:
    """Only a row of our manager holds our bookkeeping; the same names of a reward function are the user's."""
    given = {"reward": [1.0], "score": [1.0], "acc": [1.0], "verdict": [1], "pred": ["12"], "note": ["a"]}
    assert validated_extras(given).keys() == given.keys() - {"note"}
    assert validated_extras(given | {"shaped_reward": [1.0]}).keys() == given.keys() - OURS - {"note"}


def test_checks_that_did_not_end_well_are_counted(tmp_path: Path) -> None:
    statuses = ("ok", "error", "error", "timeout", "no_answer", "over_limit")
    rows = [("math", 0.0, MANAGER | {"verify_status": status, "verdict": int(status == "ok")}) for status in statuses]
    run = Validated(tmp_path, [rows[:2], rows[2:]])
    counts = {name: value for name, value in run.metrics.items() if name.startswith("fail2fix/validation/")}
    assert counts == {
        "fail2fix/validation/verifier_no_answer": 1,
        "fail2fix/validation/verifier_timeouts": 1,
        "fail2fix/validation/verifier_over_limit": 1,
        "fail2fix/validation/verifier_errors": 2,
    }
    assert run.accuracy == pytest.approx([1, math.nan, math.nan, 0, 0, 0], nan_ok=True)
    assert [row["verify_status"] for row in run.dump] == list(statuses)


def _layouts() -> Iterator[Any]:
    """Six rows, a different extra in each pattern, in batches of one, three, and four and two."""
    values = (0.25, "a text", True, [1, 2], {"a": 1}, np.float32(0.25), np.array([1.0, 2.0]), torch.tensor(0.25))
    for size in (1, 3, 4):
        for value in values:
            for pattern in ("100000", "000111", "101010"):
                yield pytest.param(size, value, pattern, id=f"{size}-{type(value).__name__}-{pattern}")


@pytest.mark.parametrize(("size", "value", "pattern"), list(_layouts()))
def test_rows_and_batches_may_differ_in_their_extras(size: int, value: Any, pattern: str, tmp_path: Path) -> None:
    """A row's extra stays its own in the dump, and a number's mean is over the rows that have it."""
    has = [mark == "1" for mark in pattern]
    rows = [("s", float(i), {"acc": 1.0} | ({"own": value} if given else {})) for i, given in enumerate(has)]
    run = Validated(tmp_path, [rows[start : start + size] for start in range(0, 6, size)])
    plain = value.tolist() if hasattr(value, "tolist") else value
    assert [row.get("own") for row in run.dump] == [plain if given else None for given in has]
    assert [row["score"] for row in run.dump] == [0, 1, 2, 3, 4, 5]
    summarized = {"acc", "reward"} | ({"own"} if isinstance(plain, float | bool) else set())
    assert names(run.metrics, "s") == summarized
    if "own" in summarized:
        assert run.metrics["val-aux/s/own/mean@1"] == float(plain)


def test_extras_of_one_source_only_are_summarized_for_that_source(tmp_path: Path) -> None:
    math_row, code_row = ("math", 1.0, MANAGER | {"format": 1.0}), ("code", 0.0, MANAGER | {"tests": 3, "log": "x"})
    run = Validated(tmp_path, [[math_row] * 3, [code_row, math_row, code_row], [code_row]])
    assert names(run.metrics, "math") == {"acc", "reward", "format"}
    assert names(run.metrics, "code") == {"acc", "reward", "tests"}


def test_lists_of_different_sizes_and_mixed_kinds_are_no_error(tmp_path: Path) -> None:
    values: list[Any] = [[1], [1, 2], "a", 1.5, None, {"b": [2]}]
    run = Validated(tmp_path, [[("s", 0.0, {"own": value, "reward": 9}) for value in values]])
    assert [row["own"] for row in run.dump] == values
    assert names(run.metrics, "s") == {"reward"}
    assert run.metrics["val-core/s/reward/mean@1"] == 0  # verl's reward, not an extra of that name


def test_extras_as_columns_of_a_training_batch() -> None:
    columns = extra_columns([{"number": 1, "text": "a"}, {"number": None, "list": [1, 2]}, {"list": [3]}])
    assert list(columns) == ["list", "number", "text"]
    assert columns["number"].dtype == np.float64
    assert np.array_equal(columns["number"], [1, np.nan, np.nan], equal_nan=True)
    assert columns["text"].tolist() == ["a", "", ""]
    assert columns["list"].tolist() == ["", [1, 2], [3]]


@pytest.mark.parametrize(
    ("extras", "correct"),
    [
        ({"verdict": 0, "acc": 1.0, "score": 1.0}, False),
        ({"acc": 1.0, "score": 0.3}, True),
        ({"acc": 0.0, "score": 1.0}, False),
        ({"acc": 0.3}, True),  # a plain reward, which verl's naive manager copies to acc
        ({}, True),
    ],
)
def test_a_rows_verdict_is_the_managers_then_acc_then_the_reward(extras: Extras, correct: bool) -> None:
    """A row without any of the fields stands beside each case, and is judged by its reward."""
    listed = {"reward": [0.5, 0.1]} | {name: [value, None] for name, value in extras.items()}
    assert validated_verdicts(listed, correct_threshold=0.5) == [correct, False]
