"""Verdicts, and the base class of your own verifier (``fail2fix.verifier.sources``)::

    class Exact(Verifier):
        async def verify(self, response: str, ground_truth: str) -> Verdict:
            return Verdict(response.strip() == ground_truth, pred=response.strip())

Must not know: verl, rewards, what a verifier does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from fail2fix.verify.config import VerifierConfig

Status = Literal["ok", "no_answer", "timeout", "over_limit", "error"]
"""`over_limit`: a wrong answer that may be replayed; `timeout`: one that may not; `error`: the check itself failed."""


@dataclass(frozen=True)
class Verdict:
    """`correct` is False unless `status` is "ok"; `pred` is the answer judged, "" where there is none."""

    correct: bool
    pred: str = ""
    status: Status = "ok"


class Verifier(ABC):
    """Judges the responses to one kind of problem. One object serves a reward worker; calls overlap."""

    def __init__(self, settings: VerifierConfig) -> None:
        self.settings = settings

    @classmethod
    def open_verifier(cls, settings: VerifierConfig) -> Verifier:
        """A verifier ready to judge.

        Raises:
            InputError: it cannot run here; what to install or set.
        """
        return cls(settings)

    @staticmethod
    def ground_truth_problem(ground_truth: str) -> str:
        """What is wrong with a ground truth; "" if nothing is. Asked for every row before training."""
        return ""

    @abstractmethod
    async def verify(self, response: str, ground_truth: str) -> Verdict:
        """The verdict on a response, thinking included. It must not block the event loop.

        An exception counts as a failed check: it is repeated, then the response's group leaves the step.
        """

    def close(self) -> None:  # noqa: B027
        """Release what ``open_verifier`` started."""
