"""What writes answers: the interface both engines keep.

Knows: prompts and sampling. Must not know: questions, verdicts, files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fail2fix.evaluate.benchmarks import Sampling
from fail2fix.evaluate.prompts import Prompt, Prompts
from fail2fix.evaluate.settings import Settings

Finish = Literal["stop", "length", "refused"]


@dataclass(frozen=True)
class Request:
    """One answer wanted; `seed` None: a greedy one."""

    prompt: Prompt
    sampling: Sampling
    seed: int | None


@dataclass(frozen=True)
class Completion:
    """One answer. `ids`: as the engine wrote it; None: not known. `tokens`, `prompt_tokens`: their numbers.

    `finish`: the model stopped, ran into its limit of tokens, or the endpoint refused the prompt.
    """

    text: str
    tokens: int
    prompt_tokens: int
    finish: Finish
    ids: list[int] | None = None


class Engine(Protocol):
    @property
    def prompts(self) -> Prompts:
        """What builds the prompts that this engine takes."""

    def generate(self, requests: Sequence[Request], label: str) -> list[Completion]:
        """Answer a batch, in its order, under a progress bar called `label`. The result depends on nothing before."""

    def describe(self) -> dict[str, Any]:
        """What the engine is, for the record."""


def open_engine(settings: Settings) -> Engine:
    """The engine that the settings ask for, ready to answer.

    Raises:
        InputError: it cannot be had; what to install or set.
    """
    if settings.engine == "openai":
        from fail2fix.evaluate.openai_engine import OpenAIEngine

        return OpenAIEngine(settings)
    from fail2fix.evaluate.vllm_engine import VllmEngine

    return VllmEngine(settings)
