"""The risk-averse reward manager, on verl's reward loop. Any verl run can use it; the trainer need not be ours::

    reward.reward_manager.source=importlib
    reward.reward_manager.name=RiskAverseRewardManager
    reward.reward_manager.module.path=pkg://fail2fix.verl_ext.reward_manager

A row is a correction if ``extra_info["fail2fix"]`` says so (METHOD.md's public contract)::

    {"stream": "correction", "attempt_id": "...", "attempt_correct": True}

and is scored plainly otherwise. Reward and verdict come from the run's ``reward.custom_reward_function`` if one is
set, else from our verifier for the row's ``data_source`` (`fail2fix.verify.registry`). The penalty is
``fail2fix.risk.penalty`` (``+fail2fix.risk.penalty=0.5`` in a run without our section; 1.0 by default).

Every row carries the same ``reward_extra_info`` keys: ``acc``, ``pred``, ``verdict`` (0/1), ``plain_reward`` R,
``shaped_reward`` R~ (what the trainer gets), ``stream``, ``attempt_id``, ``attempt_correct`` (1, 0, or -1 for a base
row), ``verify_status`` (ok, no_answer, timeout, error), ``verifier_calls`` (retries included), with an overlong buffer
``overlong_reward``, and whatever else the reward function returned.

An overlong buffer, under the keys of verl's ``dapo`` manager (``reward.reward_kwargs.{overlong_buffer_cfg,
max_resp_len}``), is part of R.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager

from fail2fix.core.config import BadInput, VerifierConfig
from fail2fix.core.shaping import overlong_penalty, shape_reward
from fail2fix.verify.registry import Verifier, ground_truth_text, open_verifier, verifier_of
from fail2fix.verl_ext.extra_info import fill_extra_info
from fail2fix.verl_ext.settings import fail2fix_settings, inert_penalty, overlong_buffer, refuse_legacy_reward_keys

logger = logging.getLogger(__name__)

Score = Callable[..., Any]
THREADS = 32  # calls of a synchronous reward function at a time, in each reward worker


class RiskAverseRewardManager(NaiveRewardManager):
    """Plain reward R, verdict v, and R~ = R - penalty where a correct attempt was broken (CIPO; METHOD.md, item 4)."""

    def __init__(
        self,
        config: DictConfig,
        tokenizer: Any,
        compute_score: Score | None,
        reward_router_address: str | None = None,
        reward_model_tokenizer: Any = None,
    ) -> None:
        refuse_legacy_reward_keys(config)
        self.settings = fail2fix_settings(config)
        custom = (config.reward.get("custom_reward_function") or {}).get("path")
        if custom and compute_score is not None:
            self._plain_score = _bounded(compute_score, self.settings.verifier.call_s)
        else:
            self._plain_score = VerifierScore(self.settings.verifier)
        self._known_extras: dict[str, Any] = {}
        self._warning = inert_penalty(config, self.settings)
        self._overlong = overlong_buffer(config)
        super().__init__(config, tokenizer, self._verdict, reward_router_address, reward_model_tokenizer)

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """Score one rollout: ``{"reward_score": R~, "reward_extra_info": {...}}``.

        Raises:
            BadInput: the row's ``extra_info["fail2fix"]`` or the reward function's result is malformed.
        """
        fill_extra_info(data)
        row = RowContext.of(data[-1:][0].non_tensor_batch.get("extra_info"))
        extra = (await super().run_single(data))["reward_extra_info"]
        plain = extra.pop("score")
        if self._overlong:
            extra["overlong_reward"] = overlong_penalty(
                _response_length(data), self._overlong.maximum, self._overlong.buffer, self._overlong.factor
            )
            plain += extra["overlong_reward"]
        shaped = plain
        # A check that failed says nothing about the answer: no penalty for it.
        if row.stream == "correction" and extra["verify_status"] != "error":
            shaped = shape_reward(plain, row.attempt_correct, bool(extra["verdict"]), self.settings.risk.penalty)
            self._warn_once(row)
        extra |= {
            "plain_reward": plain,
            "shaped_reward": shaped,
            "stream": row.stream,
            "attempt_id": row.attempt_id,
            "attempt_correct": int(row.attempt_correct) if row.stream == "correction" else -1,
        }
        return {"reward_score": shaped, "reward_extra_info": extra}

    async def _verdict(self, **row: Any) -> dict[str, Any]:
        """The reward function's result with a verdict; an error is retried, and if it persists, says so."""
        settings = self.settings.verifier
        for call in range(1, settings.retries + 2):
            try:
                scored = with_verdict(await self._plain_score(**row), settings.correct_threshold)
            except BadInput:
                raise
            except Exception as error:  # whatever a reward function raises is an infrastructure error
                logger.warning("reward function failed, retrying: %s: %s", type(error).__name__, error)
                continue
            self._known_extras |= dict.fromkeys(scored.keys() - UNIFORM)
            return scored | {"verifier_calls": call}
        failed = {
            "score": 0.0,
            "acc": 0.0,
            "pred": "",
            "verdict": 0,
            "verify_status": "error",
        }
        return dict(self._known_extras) | failed | {"verifier_calls": settings.retries + 1}

    def _warn_once(self, row: RowContext) -> None:
        if self._warning and row.attempt_correct:
            logger.warning(self._warning)
            self._warning = ""


class ThreadedScore:
    """A run's own synchronous reward function in threads, none of them longer than ``call_s`` seconds.

    A thread cannot be killed: one that hangs is left behind, and a fresh one takes its place. A call counts from when
    its thread takes it, so waiting in line costs nothing.
    """

    def __init__(self, score: Score, call_s: float) -> None:
        self._score, self._call_s = score, call_s
        self._places = asyncio.Semaphore(THREADS)
        self._idle: list[ThreadPoolExecutor] = []  # of one thread each

    async def __call__(self, **row: Any) -> Any:
        """Raises `TimeoutError` where the function does not come back."""
        async with self._places:
            thread = self._idle.pop() if self._idle else ThreadPoolExecutor(max_workers=1)
            call = asyncio.get_running_loop().run_in_executor(thread, lambda: self._score(**row))
            done, _ = await asyncio.wait({call}, timeout=self._call_s)
            if not done:
                thread.shutdown(wait=False)
                raise TimeoutError(f"no answer after {self._call_s:g} s (fail2fix.verifier.call_s)")
            self._idle.append(thread)
            return call.result()


UNIFORM = frozenset({"score", "acc", "pred", "verdict", "verify_status", "verifier_calls"})


@dataclass(frozen=True)
class RowContext:
    """``extra_info["fail2fix"]``: which stream a row belongs to and which attempt it corrects."""

    stream: str = "base"
    attempt_id: str = ""
    attempt_correct: bool = False

    @classmethod
    def of(cls, extra_info: Mapping[str, Any] | None) -> RowContext:
        """Read a row's contract; a row without one is a base row.

        Raises:
            BadInput: naming the field.
        """
        given = (extra_info or {}).get("fail2fix")
        # A table's struct column has every row's fields; a row without the contract has them all empty.
        if given is None or (isinstance(given, Mapping) and all(value is None for value in given.values())):
            return cls()
        if not isinstance(given, Mapping) or given.get("stream") not in ("base", "correction"):
            raise BadInput(f'extra_info["fail2fix"]={given!r}: "stream" must be "base" or "correction"')
        if given["stream"] == "base":
            return cls()
        if given.get("attempt_correct") not in (True, False):
            raise BadInput(f'extra_info["fail2fix"]={given!r}: "attempt_correct" must be true or false')
        return cls("correction", str(given.get("attempt_id", "")), bool(given["attempt_correct"]))


class VerifierScore:
    """Our verifiers as a reward function, by data source: 1 for a right answer, 0 otherwise."""

    def __init__(self, settings: VerifierConfig) -> None:
        self._settings = settings
        self._open: dict[str, Verifier] = {}

    async def __call__(self, data_source: str, solution_str: str, ground_truth: Any, **_: Any) -> dict[str, Any]:
        """Raises `BadInput` where a verifier cannot run here."""
        name = verifier_of(data_source, self._settings)
        if name not in self._open:
            self._open[name] = open_verifier(name, self._settings)
        verdict = await self._open[name].verify(solution_str, ground_truth_text(ground_truth))
        reward = float(verdict.correct)
        return {"score": reward, "acc": reward, "pred": verdict.pred, "verify_status": verdict.status}


def with_verdict(result: Any, correct_threshold: float) -> dict[str, Any]:
    """A reward function's result as a dict with ``score``, ``acc``, ``pred``, ``verdict`` and ``verify_status``.

    Correct means its ``acc`` if it gives one, else a score of at least ``correct_threshold`` (METHOD.md, "Verdict").

    Raises:
        BadInput: a dict without ``score``.
        ValueError: a reward that is not a finite number.
    """
    fields = dict(result) if isinstance(result, Mapping) else {"score": result}
    if "score" not in fields:
        raise BadInput(f"reward function returned {sorted(fields)}: the dict must have the key 'score'")
    score = float(fields["score"])
    if not math.isfinite(score):
        raise ValueError(f"reward function returned score={score}")
    acc, pred = fields.get("acc"), fields.get("pred")
    correct = score >= correct_threshold if acc is None else float(acc) >= 1.0
    given = {"acc": float(correct if acc is None else acc), "pred": "" if pred is None else str(pred)}
    fields.pop("reward", None)  # verl's validation adds a key of this name and would count it twice
    status = fields.get("verify_status", "ok")
    return fields | given | {"score": score, "verdict": int(correct), "verify_status": status}


def _bounded(score: Score, call_s: float) -> Score:
    """The run's own reward function as a coroutine that ends."""
    if not inspect.iscoroutinefunction(_unwrapped(score)):
        return ThreadedScore(score, call_s)

    async def bounded(**row: Any) -> Any:
        return await asyncio.wait_for(score(**row), call_s)

    return bounded


def _response_length(data: DataProto) -> int:
    """Tokens of the last row's response."""
    batch = data[-1:].batch
    return int(batch["attention_mask"][0, -batch["responses"].shape[-1] :].sum())


def _unwrapped(function: Score) -> Score:
    """The reward function under verl's functools.partial."""
    return getattr(function, "func", function)
