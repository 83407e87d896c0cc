"""Errors of the run's own reward function: their messages, and when they stop a run.

A reward worker sees a random part of a run's rollouts. It names a row's error in the extra field ``reward_error``; a
small run is judged by the rows of all workers together.
"""

from __future__ import annotations

import math
import os
import re
import traceback
from collections.abc import Mapping
from typing import Any

import numpy as np
from omegaconf import DictConfig
from ray.exceptions import RayTaskError

from fail2fix.console.printable import one_line
from fail2fix.method.errors import InputError
from fail2fix.run.faults import most_common
from fail2fix.verify.backoff import ErrorKind, kind_of

REWARD_ERROR = "reward_error"
LONGEST = 300  # characters of an error's own words
PLACE = re.compile(r'File "(.+?)", line (\d+)')  # in a traceback


def reward_file(config: DictConfig) -> str:
    """File of the run's own reward function, or "" if our verifiers judge."""
    return (config.reward.get("custom_reward_function") or {}).get("path") or ""


def reward_name(config: DictConfig) -> str:
    """The run's reward function for messages: its file and name, or our verifiers."""
    path = reward_file(config)
    return f"{path}:{config.reward.custom_reward_function.get('name')}" if path else "the verifier"


def error_place(error: BaseException, source: str = "") -> str:
    """Place where an error was raised, as ``file:line``: the innermost, or the innermost in the file `source`."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == source] or frames
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def error_line(error: BaseException, source: str = "") -> str:
    """Last line of an error's traceback with its place: ``file:line: KeyError: 'answer'``."""
    words = one_line("".join(traceback.format_exception_only(error)))[:LONGEST]
    return f"{error_place(error, source)}: {words}"


def failed_under_verl(config: DictConfig, error: RayTaskError) -> InputError | None:
    """Input error for an error of a reward worker under verl's own managers, which pass it on and so end the run.

    None if the error explains itself, or a service failed.
    """
    cause = error.cause
    if isinstance(cause, InputError) or kind_of(cause) is not ErrorKind.code:
        return None
    places = PLACE.findall(str(error))  # the traceback came as text
    source = os.path.abspath(reward_file(config))
    file, line = ([place for place in places if place[0] == source] or places or [("reward worker", "?")])[-1]
    return InputError(
        f"the reward function failed: {file}:{line}: {type(cause).__name__}: {one_line(str(cause))[:LONGEST]}; "
        "correct it and start again"
    )


class FirstVerdicts:
    """Stops a run whose first `enough` checks all failed in the reward function. Failures of services do not count."""

    def __init__(self, enough: int) -> None:
        self._enough = enough
        self._errors: list[str] | None = []  # None: the function has judged a rollout

    def note(self, error: str, status: str) -> None:
        """Count one check: its reward error, or "", and its ``verify_status``."""
        if error and self._errors is not None:
            self._errors.append(error)
        elif status != "error":
            self._errors = None

    def check(self) -> None:
        """Call after `note`.

        Raises:
            InputError: enough checks failed and no rollout was judged; names the most frequent error.
        """
        if self._errors is not None and len(self._errors) >= self._enough:
            raise InputError(
                f"the reward function failed on all of the first {len(self._errors)} rollouts: "
                f"{most_common(self._errors)}; correct it and start again"
            )


def refuse_no_number(name: str, reward: float | None, extra: Mapping[str, Any]) -> None:
    """Refuse a rollout whose reward or ``acc`` is NaN or infinite, which would spoil a step's statistics.

    Raises:
        InputError: names the reward function `name` and the value.
    """
    for field, value in (("a reward", reward), ("acc", extra.get("acc"))):
        if isinstance(value, float | np.floating) and not math.isfinite(value):
            raise InputError(f"{name} returned {field} of {value}: every reward must be a finite number")
