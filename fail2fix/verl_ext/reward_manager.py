"""The risk-averse reward manager, on verl's reward loop. Any verl run can use it; the trainer need not be ours::

    reward.reward_manager.source=importlib
    reward.reward_manager.name=RiskAverseRewardManager
    reward.reward_manager.module.path=pkg://fail2fix.verl_ext.reward_manager

A row is a correction if ``extra_info["fail2fix"]`` says so (METHOD.md's public contract)::

    {"stream": "correction", "attempt_id": "...", "attempt_correct": True}

and is scored plainly otherwise. Reward and verdict come from the run's ``reward.custom_reward_function`` if one is
set, else from our verifier for the row's ``data_source`` (`fail2fix.verify.registry`). The penalty is
``fail2fix.risk.penalty`` (``+fail2fix.risk.penalty=0.5`` in a run without our section; 1.0 by default).

Every row carries the same ``reward_extra_info`` keys: ``pred``, ``verdict`` (0/1), ``plain_reward`` R,
``shaped_reward`` R~ (what the trainer gets), ``stream``, ``attempt_id``, ``attempt_correct`` (1, 0, or -1 for a base
row), ``verify_status`` (ok, no_answer, timeout, over_limit, error), ``verifier_calls`` (retries included),
``reward_error`` (an error of the reward function itself, with its file and line, else ""), with an overlong buffer
``overlong_reward``, and whatever else the reward function returned. ``acc`` is what verl's naive manager makes of the
function's result.

``verify_status=timeout`` is an answer that could not be read, and never replayed; ``over_limit`` is a program over its
time, memory or output limit, wrong and replayed like other failures.

An overlong buffer, under the keys of verl's ``dapo`` manager (``reward.reward_kwargs.{overlong_buffer_cfg,
max_resp_len}``), is part of R.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig
from tenacity import AsyncRetrying
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager

from fail2fix.method.errors import InputError
from fail2fix.method.shaping import overlong_penalty, shape_reward
from fail2fix.method.verdict import reaches
from fail2fix.run.settings import fail2fix_settings, inert_penalty, overlong_buffer, refuse_legacy_reward_keys
from fail2fix.verify.backoff import ErrorKind, kind_of, retry_policy
from fail2fix.verify.config import VerifierConfig
from fail2fix.verify.registry import PROGRAMS, Verifier, ground_truth_text, open_verifier, verifier_of
from fail2fix.verify.reward_errors import REWARD_ERROR, FirstVerdicts, error_line, error_place, reward_name
from fail2fix.verl_ext.extra_info import fill_extra_info

logger = logging.getLogger(__name__)

Score = Callable[..., Any]
THREADS = 32  # calls of a synchronous reward function at a time, in each reward worker
ENOUGH_VERDICTS = 32  # of one worker, to say that the function fails on everything
WINDOW = 128  # rewards of one worker, to say that none ever counts as correct


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
        self._name, self._source = reward_name(config), os.path.abspath(custom or "")
        self._known_extras: dict[str, Any] = {}
        self._failed_acc = {"acc": 0.0}  # empty where the function's results have none
        self._logged: set[tuple[type, str]] = set()
        self._first_verdicts = FirstVerdicts(ENOUGH_VERDICTS)
        self._threshold = ThresholdWatch(self.settings.verifier.correct_threshold)
        self._warning = inert_penalty(config, self.settings)
        self._overlong = overlong_buffer(config)
        super().__init__(config, tokenizer, self._verdict, reward_router_address, reward_model_tokenizer)

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """Score one rollout: ``{"reward_score": R~, "reward_extra_info": {...}}``.

        Raises:
            InputError: the row's ``extra_info["fail2fix"]`` or the reward function's result is malformed.
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
            shaped = shape_reward(plain, row.attempt_correct, bool(extra["verdict"]), self.settings.risk)
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
        """The reward function's result with a verdict; a failing service is asked again (`fail2fix.verify.backoff`).

        Raises:
            InputError: the function cannot be used, or has failed on all of the worker's first rollouts.
        """
        settings, calls = self.settings.verifier, 0

        async def judged() -> dict[str, Any]:
            nonlocal calls
            calls += 1
            result = await self._plain_score(**row)
            scored = with_verdict(result, settings.correct_threshold)
            self._note(result, scored)
            return scored

        policy = retry_policy(settings.retry_s, settings.retries + 1, self._log_error)
        try:
            scored: dict[str, Any] = await AsyncRetrying(**policy)(judged)
        except InputError:
            raise
        except Exception as error:  # a reward function may raise anything
            scored = self._failed(error)
        self._first_verdicts.note(scored[REWARD_ERROR], scored["verify_status"])
        self._first_verdicts.check()
        return scored | {"verifier_calls": calls}

    def _failed(self, error: Exception) -> dict[str, Any]:
        """The fields of a rollout without a verdict: its group leaves the step."""
        self._log_error(error)
        own = kind_of(error) is ErrorKind.code and not isinstance(error, MACHINE_ERRORS)
        failed = {"score": 0.0, "pred": "", "verdict": 0, "verify_status": "error"} | self._failed_acc
        return self._known_extras | failed | {REWARD_ERROR: self._line(error) if own else ""}

    def _note(self, result: Any, scored: dict[str, Any]) -> None:
        """Remember which fields the function returns, and warn if its rewards never reach the threshold."""
        self._known_extras |= dict.fromkeys(scored.keys() - UNIFORM)
        if "acc" not in scored:
            self._failed_acc = {}
        by_score = not isinstance(result, Mapping) or result.get("acc") is None
        if by_score and (warning := self._threshold.warning(scored["score"], bool(scored["verdict"]))):
            logger.warning(warning)

    def _line(self, error: BaseException) -> str:
        return f"{self._name} {error}" if isinstance(error, RewardError) else error_line(error, self._source)

    def _log_error(self, error: BaseException) -> None:
        """Log each distinct error once: its type and the line that raised it."""
        kind = (type(error), error_place(error, self._source))
        if kind not in self._logged:
            self._logged.add(kind)
            logger.warning("reward function failed; more failures like this are only counted: %s", self._line(error))

    def _warn_once(self, row: RowContext) -> None:
        if self._warning and row.attempt_correct:
            logger.warning(self._warning)
            self._warning = ""


class CallLimitError(RuntimeError):
    """A call of the reward function beyond its limit. No service's failure: each repetition may cost a thread."""

    def __init__(self, call_s: float) -> None:
        super().__init__(f"no answer after {call_s:g} s (fail2fix.verifier.call_s)")


MACHINE_ERRORS = (CallLimitError, MemoryError, BrokenExecutor)  # not the function's own, and a restart may help


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
        """Raises `CallLimitError` where the function does not come back."""
        async with self._places:
            thread = self._idle.pop() if self._idle else ThreadPoolExecutor(max_workers=1)
            call = asyncio.get_running_loop().run_in_executor(thread, lambda: _called(self._score, row))
            done, _ = await asyncio.wait({call}, timeout=self._call_s)
            if not done:
                thread.shutdown(wait=False)
                raise CallLimitError(self._call_s)
            self._idle.append(thread)
            return call.result()


UNIFORM = frozenset({"score", "acc", "pred", "verdict", "verify_status", "verifier_calls", REWARD_ERROR})


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
            InputError: naming the field.
        """
        given = (extra_info or {}).get("fail2fix")
        # A table's struct column has every row's fields; a row without the contract has them all empty.
        if given is None or (isinstance(given, Mapping) and all(value is None for value in given.values())):
            return cls()
        if not isinstance(given, Mapping) or given.get("stream") not in ("base", "correction"):
            raise InputError(f'extra_info["fail2fix"]={given!r}: "stream" must be "base" or "correction"')
        if given["stream"] == "base":
            return cls()
        if given.get("attempt_correct") not in (True, False):
            raise InputError(f'extra_info["fail2fix"]={given!r}: "attempt_correct" must be true or false')
        return cls("correction", str(given.get("attempt_id", "")), bool(given["attempt_correct"]))


class VerifierScore:
    """Our verifiers as a reward function, by data source: 1 for a right answer, 0 otherwise."""

    def __init__(self, settings: VerifierConfig) -> None:
        self._settings = settings
        self._open: dict[str, Verifier] = {}

    async def __call__(self, data_source: str, solution_str: str, ground_truth: Any, **_: Any) -> dict[str, Any]:
        """Raises `InputError` where a verifier cannot run here."""
        name = verifier_of(data_source, self._settings)
        if name not in self._open:
            self._open[name] = open_verifier(name, self._settings)
        verdict = await self._open[name].verify(solution_str, ground_truth_text(ground_truth))
        reward = float(verdict.correct)
        # A program over its limits can be corrected; an answer that times out cannot be read (METHOD.md, "Verdict").
        status = "over_limit" if name in PROGRAMS and verdict.status == "timeout" else verdict.status
        return {"score": reward, "acc": reward, "pred": verdict.pred, "verify_status": status}


class ThresholdWatch:
    """Notices continuous rewards of which none ever counts as correct."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._seen, self._lowest, self._highest = 0, math.inf, -math.inf

    def warning(self, score: float, correct: bool) -> str:
        """Take in a reward; the warning with the last of `WINDOW` of them that differ and are all wrong, else ""."""
        if correct or self._seen >= WINDOW:
            self._seen = WINDOW  # settled: nothing more to watch for
            return ""
        self._seen += 1
        self._lowest, self._highest = min(self._lowest, score), max(self._highest, score)
        if self._seen < WINDOW or self._lowest == self._highest:
            return ""
        return (
            f"none of the first {WINDOW} rollouts counts as correct: their rewards of {self._lowest:g} to "
            f"{self._highest:g} stay below fail2fix.verifier.correct_threshold={self._threshold:g}; set it to the "
            "reward of a right answer, or let the reward function return 'acc'"
        )


class RewardError(ValueError):
    """A reward function returned something that is no reward; the message continues the function's name."""


def with_verdict(result: Any, correct_threshold: float) -> dict[str, Any]:
    """A reward function's result as a dict with ``score``, ``pred``, ``verdict``, ``verify_status``, ``reward_error``.

    Correct means its ``acc`` if it gives one, else a score of at least ``correct_threshold`` (METHOD.md, "Verdict").
    ``acc`` is as verl's naive manager has it: a dict's own, if it has one, and a plain reward itself.

    Raises:
        InputError: a dict without ``score``.
        RewardError: a reward or ``acc`` that is not a finite number.
    """
    fields = dict(result) if isinstance(result, Mapping) else {"score": result}
    if "score" not in fields:
        raise InputError(f"reward function returned {sorted(fields)}: the dict must have the key 'score'")
    score = _finite(fields, "score")
    fields.pop("reward", None)  # verl's validation adds a key of this name and would count it twice
    if fields.get("acc") is None:
        fields.pop("acc", None)
        correct = reaches(score, correct_threshold)
    else:
        fields["acc"] = _finite(fields, "acc")
        correct = reaches(fields["acc"])
    if not isinstance(result, Mapping):
        fields["acc"] = score
    pred = fields.get("pred")
    given = {"score": score, "pred": "" if pred is None else str(pred), "verdict": int(correct)}
    return {"verify_status": "ok", **fields, **given, REWARD_ERROR: ""}


def _finite(fields: Mapping[str, Any], name: str) -> float:
    try:
        number = float(fields[name])
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise RewardError(f"returned {name}={fields[name]!r:.100}: it must be a finite number")
    return number


def _called(score: Score, row: Mapping[str, Any]) -> Any:
    """Call a reward function in a thread; what would stop an event loop is an error like any other."""
    try:
        return score(**row)
    except (StopIteration, SystemExit) as error:
        raise ValueError(f"it raised {error!r}").with_traceback(error.__traceback__) from error


def _bounded(score: Score, call_s: float) -> Score:
    """The run's own reward function as a coroutine that ends."""
    if not inspect.iscoroutinefunction(_unwrapped(score)):
        return ThreadedScore(score, call_s)

    async def bounded(**row: Any) -> Any:
        call = asyncio.ensure_future(score(**row))
        try:
            done, _ = await asyncio.wait({call}, timeout=call_s)
        finally:
            call.cancel()
        if not done:
            raise CallLimitError(call_s)
        return call.result()

    return bounded


def _response_length(data: DataProto) -> int:
    """Tokens of the last row's response."""
    batch = data[-1:].batch
    return int(batch["attention_mask"][0, -batch["responses"].shape[-1] :].sum())


def _unwrapped(function: Score) -> Score:
    """The reward function under verl's functools.partial."""
    return getattr(function, "func", function)
