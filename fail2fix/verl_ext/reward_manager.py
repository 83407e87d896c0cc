"""Risk-averse reward manager on verl's reward loop, for any trainer. Its tests pass under verl 0.8.0, 0.9.0 and 0.9.1::

    reward.reward_manager.source=importlib
    reward.reward_manager.name=RiskAverseRewardManager
    reward.reward_manager.module.path=pkg://fail2fix.verl_ext.reward_manager

A row is a correction if ``extra_info["fail2fix"]`` says so (METHOD.md, "Reward rows"); others are scored plainly::

    {"stream": "correction", "attempt_id": "...", "attempt_correct": True, "attempt": "..."}

``attempt`` is its text, which only templates need that let an attempt stand (``fail2fix.correction.template=verdict``).
Reward and verdict come from ``reward.custom_reward_function`` if the run sets one, else from the verifier of the row's
``data_source`` (`fail2fix.verify.registry`). The penalty is ``fail2fix.risk`` (``+fail2fix.risk.penalty=0.5`` in a run
without our section). An overlong buffer, under the keys of verl's ``dapo`` manager
(``reward.reward_kwargs.{overlong_buffer_cfg,max_resp_len}``), is part of R.

Every row has the same ``reward_extra_info`` keys, and those that the reward function returned:

- ``pred``, ``verdict`` (0/1), ``acc`` (as verl's naive manager reads the function's result);
- ``plain_reward`` R, ``shaped_reward`` R~ (the trainer's reward), ``overlong_reward`` with an overlong buffer;
- ``stream``, ``attempt_id``, ``attempt_correct`` (1, 0, or -1 for a base row);
- ``verify_status``: ok, no_answer, timeout (an answer that could not be read: never replayed), over_limit (a program
  over its time, memory or output limit: wrong, and replayed like other failures) or error;
- ``verifier_calls`` (retries included), ``reward_error`` (an error of the reward function itself, with file and line).

A subclass of your own is chosen by the same three keys.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig
from tenacity import AsyncRetrying
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
from verl.trainer.ppo.reward import resolve_reward_manager_cls

from fail2fix.method.errors import InputError
from fail2fix.method.shaping import overlong_penalty, penalty_rule
from fail2fix.method.templates import prompt_template
from fail2fix.run.settings import (
    OUR_REWARD,
    fail2fix_settings,
    inert_penalty,
    overlong_buffer,
    refuse_legacy_reward_keys,
    reward_manager,
)
from fail2fix.verify.backoff import ErrorKind, kind_of, retry_policy
from fail2fix.verify.reward_calls import MACHINE_ERRORS, Score, VerifierScore, bounded_score
from fail2fix.verify.reward_errors import REWARD_ERROR, FirstVerdicts, error_line, error_place, reward_name
from fail2fix.verify.reward_result import RewardError, ThresholdWatch, with_verdict
from fail2fix.verl_ext.requests import fill_extra_info

logger = logging.getLogger(__name__)

ENOUGH_VERDICTS = 32  # failures of one worker after which a function counts as broken
UNIFORM = frozenset({"score", "acc", "pred", "verdict", "verify_status", "verifier_calls", REWARD_ERROR})


class RiskAverseRewardManager(NaiveRewardManager):
    """Plain reward R, verdict v, and the shaped reward R~ of a correction (CIPO; METHOD.md, item 4)."""

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
            self._plain_score = bounded_score(compute_score, self.settings.verifier.call_s)
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
        self._shape = penalty_rule(self.settings.risk)
        self._judged = prompt_template(self.settings.correction).judged
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
            mask, width = data[-1:].batch["attention_mask"], data[-1:].batch["responses"].shape[-1]
            extra["overlong_reward"] = overlong_penalty(
                int(mask[0, -width:].sum()), self._overlong.maximum, self._overlong.buffer, self._overlong.factor
            )
            plain += extra["overlong_reward"]
        shaped = plain
        # A check that failed says nothing about the answer: no penalty for it.
        if row.stream == "correction" and extra["verify_status"] != "error":
            shaped = self._shape(plain, row.attempt_correct, bool(extra["verdict"]), self.settings.risk)
            if self._warning and row.attempt_correct:
                logger.warning(self._warning)
                self._warning = ""
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
        context, text = RowContext.of(row.get("extra_info")), row["solution_str"]

        async def judged() -> dict[str, Any]:
            nonlocal calls
            calls += 1
            answer = self._judged(text, context.attempt) if context.stream == "correction" else text
            result = await self._plain_score(**row | {"solution_str": answer})
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


@dataclass(frozen=True)
class RowContext:
    """``extra_info["fail2fix"]``: which stream a row belongs to and which attempt it corrects."""

    stream: str = "base"
    attempt_id: str = ""
    attempt_correct: bool = False
    attempt: str = ""

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
        attempt_id, text = (str(given.get(name) or "") for name in ("attempt_id", "attempt"))
        return cls("correction", attempt_id, bool(given["attempt_correct"]), text)


def is_risk_averse(config: DictConfig) -> bool:
    """Whether the run's reward manager is ours or a subclass of it; False for one that does not load."""
    if reward_manager(config) == OUR_REWARD:
        return True
    try:
        return issubclass(resolve_reward_manager_cls(config), RiskAverseRewardManager)
    except Exception:  # a user's module may raise anything; `fail2fix.preflight.reward` reports it
        return False
