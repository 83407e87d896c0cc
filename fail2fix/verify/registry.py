"""Which verifier judges a row: its `data_source` decides. A new verifier is one file and one line of `VERIFIERS`.

A verifier's module has two functions:

- `open_verifier(settings)` takes `fail2fix.verifier` and returns an object with `async verify(response, ground_truth)`,
  whose verdict has `correct`, `pred` (the answer judged) and `status` (ok, no_answer, timeout, over_limit, error), and
  `close()`; `over_limit` is a wrong answer that may be replayed, `timeout` one that may not;
- `ground_truth_problem(text)` says what is wrong with a ground truth, "" if nothing is.

Must not know: verl, rewards, what a verifier does.
"""

from importlib import import_module
from typing import Protocol

from fail2fix.core.config import BadInput, VerifierConfig

VERIFIERS = {
    "math": "fail2fix.verify.math_verifier",
    "code": "fail2fix.verify.code.verifier",
    "text": "fail2fix.verify.text_verifier",
}
PROGRAMS = frozenset({"code"})
"""Verifiers that run programs: a time-out is the program's own, a failure like any other."""
DEFAULT = "math"
SOURCES = {
    "fail2fix/programs": "code",
    "newfacade/LeetCodeDataset": "code",
    "google-research-datasets/mbpp": "code",
    "openai/openai_humaneval": "code",
    "bigcode/humanevalpack": "code",
    "livecodebench/code_generation_lite": "code",
    "Rtian/DebugBench": "code",
    "agentica-org/DeepCoder-Preview-Dataset": "code",
    "a-m-team/AM-DeepSeek-Distilled-40M": "code",
    "llm-agents/CriticBench/code": "code",
    "llm-agents/CriticBench/text": "text",
}
"""Data sources that are not judged by `DEFAULT`."""


class Verdict(Protocol):
    @property
    def correct(self) -> bool: ...
    @property
    def pred(self) -> str: ...
    @property
    def status(self) -> str: ...


class Verifier(Protocol):
    async def verify(self, response: str, ground_truth: str) -> Verdict: ...
    def close(self) -> None: ...


def verifier_of(data_source: str, settings: VerifierConfig) -> str:
    """The name of the verifier that judges rows of `data_source`.

    Raises:
        BadInput: `verifier.sources` names a verifier that is not registered.
    """
    name = (SOURCES | settings.sources).get(data_source, DEFAULT)
    if name not in VERIFIERS:
        known = ", ".join(VERIFIERS)
        raise BadInput(f"fail2fix.verifier.sources: {data_source!r} is given to {name!r}: use one of {known}")
    return name


def open_verifier(name: str, settings: VerifierConfig) -> Verifier:
    """A verifier ready to judge.

    Raises:
        BadInput: it cannot run here; what to install or set.
    """
    verifier: Verifier = import_module(VERIFIERS[name]).open_verifier(settings)
    return verifier


def ground_truth_problem(name: str, ground_truth: str) -> str:
    """What is wrong with a ground truth for the verifier called `name`; "" if nothing is."""
    problem: str = import_module(VERIFIERS[name]).ground_truth_problem(ground_truth)
    return problem
