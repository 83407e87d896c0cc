"""Verdict in a reward function's result, and a warning where no result ever counts as correct.

Must not know: verl, verifiers, how the function is called.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fail2fix.method.errors import InputError
from fail2fix.method.verdict import reaches
from fail2fix.verify.reward_errors import REWARD_ERROR

WINDOW = 128  # rewards of one worker, to say that none ever counts as correct


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
