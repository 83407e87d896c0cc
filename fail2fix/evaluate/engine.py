"""Interface of the engines that write answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fail2fix.evaluate.benchmarks import Sampling
from fail2fix.evaluate.prompts import Prompt, Prompts

Finish = Literal["stop", "length", "refused", "skipped"]


@dataclass(frozen=True)
class Request:
    """One answer to be written; `seed` None: a greedy one."""

    prompt: Prompt
    sampling: Sampling
    seed: int | None


@dataclass(frozen=True)
class Completion:
    """One answer, in columns of its record. `*_tokens`: numbers of tokens. `response_ids`: None if unknown.

    `finish`: the model stopped, reached its token limit, the endpoint refused the prompt, or there was no prompt.
    """

    response: str
    response_tokens: int
    prompt_tokens: int
    finish: Finish
    response_ids: list[int] | None = None


Note = Callable[[Request, Completion], None]


class Engine(Protocol):
    @property
    def prompts(self) -> Prompts:
        """The builder of prompts in the form that this engine takes."""

    def generate(self, requests: Sequence[Request], label: str) -> list[Completion]:
        """Answer a batch, in its order, under a progress bar called `label`. The result depends on nothing before."""

    def describe(self) -> dict[str, Any]:
        """The engine's name and settings, for evaluation.json."""
