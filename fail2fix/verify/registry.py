"""Verifier of each row: its `data_source` decides, by `SOURCES` or by ``fail2fix.verifier.sources``.

A verifier is a subclass of `fail2fix.verify.verifier.Verifier`; a shipped one is a module with the two functions
`open_verifier` and `ground_truth_problem` of that class. To add a shipped one, add its module and a line of
`VERIFIERS`; your own is chosen by its dotted path.

A `data_source` that neither table names is refused: the wrong verifier would judge a mistyped name, and count every
right answer as wrong.

Must not know: verl, rewards, what a verifier does.
"""

import math
import re
from functools import cache
from importlib import import_module
from typing import Any

from fail2fix.method.doors import resolve
from fail2fix.method.errors import InputError
from fail2fix.verify.config import VerifierConfig
from fail2fix.verify.verifier import Verifier

KEY = "fail2fix.verifier.sources"
VERIFIERS = {
    "math": "fail2fix.verify.math_verifier",
    "code": "fail2fix.verify.code.verifier",
    "text": "fail2fix.verify.text_verifier",
}
PROGRAMS = frozenset({"code"})
"""Verifiers that run programs: a time-out is the program's own, a failure like any other."""
MATH_SOURCES = (
    "fail2fix/arithmetic",
    "fail2fix/two_digit",
    "fail2fix/chain",
    "fail2fix/sorting",
    "fail2fix/latin",
    "openai/gsm8k",
    "DigitalLearningGmbH/MATH-lighteval",
    "lighteval/MATH",
    "HuggingFaceH4/MATH-500",
    "HuggingFaceH4/aime_2024",
    "math-ai/aime25",
    "math-ai/amc23",
    "math-ai/minervamath",
    "Hothan/OlympiadBench",
    "open-r1/DAPO-Math-17k-Processed",
    "agentica-org/DeepScaleR-Preview-Dataset",
    "llm-agents/CriticBench",
    # verl's own names (verl.utils.reward_score.default_compute_score).
    "math",
    "math_dapo",
    "math_dapo_reasoning",
    "numina_aops_forum",
    "numina_synthetic_math",
    "numina_amc_aime",
    "numina_synthetic_amc",
    "numina_cn_k12",
    "numina_olympiads",
)
CODE_SOURCES = (
    "fail2fix/programs",
    "newfacade/LeetCodeDataset",
    "google-research-datasets/mbpp",
    "openai/openai_humaneval",
    "bigcode/humanevalpack",
    "livecodebench/code_generation_lite",
    "Rtian/DebugBench",
    "agentica-org/DeepCoder-Preview-Dataset",
    "a-m-team/AM-DeepSeek-Distilled-40M",
    "llm-agents/CriticBench/code",
    # verl's own names. The ground truths of PRIME's files need converting (`fail2fix.verify.code.ground_truth`).
    "codecontests",
    "apps",
    "codeforces",
    "taco",
)
TEXT_SOURCES = ("llm-agents/CriticBench/text",)
SOURCES = {
    **dict.fromkeys(MATH_SOURCES, "math"),
    **dict.fromkeys(CODE_SOURCES, "code"),
    **dict.fromkeys(TEXT_SOURCES, "text"),
}
"""The verifier of each known data source."""


def verifier_of(data_source: str, settings: VerifierConfig) -> str:
    """The name, or the dotted path, of the verifier that judges rows of `data_source`.

    Raises:
        InputError: no verifier is known for it, or `verifier.sources` names one that does not load.
    """
    known = ", ".join(VERIFIERS)
    by_prefix = "math" if data_source.startswith("aime") else None  # as in verl
    name = (SOURCES | settings.sources).get(data_source, by_prefix)
    if name is None:
        plain = re.fullmatch(r"[\w./-]+", data_source, re.ASCII)  # what Hydra reads on a command line
        how = f"as '+fail2fix.verifier.sources={{{data_source}: math}}'" if plain else "in a config file"
        raise InputError(
            f"data_source {data_source!r}: no verifier is known for it; name one of {known} in "
            f"fail2fix.verifier.sources, {how}, or set reward.custom_reward_function.path"
        )
    _kind(name, f"{KEY}.{data_source}")
    return name


def ground_truth_text(value: Any) -> str:
    """A ground truth as verifiers read it: text, a number, or a list (an array) of one of them.

    Raises:
        InputError: it is something else; what it is.
    """
    if hasattr(value, "tolist"):  # numpy's arrays and numbers
        value = value.tolist()
    if isinstance(value, list | tuple) and len(value) == 1:
        return ground_truth_text(value[0])
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return str(value)
    given = f"a list of {len(value)}" if isinstance(value, list | tuple) else f"{type(value).__name__} {value!r:.80}"
    raise InputError(f"ground_truth is {given}; it must be text or a number (a list of one is read too)")


def open_verifier(name: str, settings: VerifierConfig) -> Verifier:
    """A verifier ready to judge; `name` as `verifier_of` gives it.

    Raises:
        InputError: it cannot run here; what to install or set.
    """
    verifier: Verifier = _kind(name).open_verifier(settings)
    return verifier


def ground_truth_problem(name: str, ground_truth: str) -> str:
    """What is wrong with a ground truth for the verifier called `name`; "" if nothing is."""
    problem: str = _kind(name).ground_truth_problem(ground_truth)
    return problem


@cache
def _kind(name: str, key: str = KEY) -> Any:
    """A shipped verifier's module, or your own class."""
    return import_module(VERIFIERS[name]) if name in VERIFIERS else resolve(key, name, VERIFIERS, Verifier)
