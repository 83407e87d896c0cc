"""Settings of an evaluation, written to `evaluation.json`; only equal settings resume an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from fail2fix.evaluate.benchmarks import BENCHMARKS, Sampling
from fail2fix.method.errors import InputError
from fail2fix.method.seeds import derived_seed


@dataclass(frozen=True)
class Settings:
    """One evaluation.

    `sampling`: {benchmark: how it is sampled}. `rounds`: of self-correction, each correcting the answers of the one
    before. `limit`: problems a benchmark, drawn by `seed`. `batch`: requests answered and written together, the
    most that a crash loses. `thinking_marks`: (opening, closing) marks beside the known ones. `template`: options of
    the chat template. `max_model_len`: tokens of a prompt and its answer together; None: the model's own.
    """

    model: str
    sampling: dict[str, Sampling]
    engine: Literal["vllm", "openai"] = "vllm"
    endpoint: str = ""
    seed: int = 0
    limit: int | None = None
    rounds: int = 0
    batch: int = 1024
    form: Literal["block", "turn"] = "block"
    thinking: Literal["strip", "keep"] = "strip"
    thinking_marks: tuple[tuple[str, str], ...] = ()
    template: dict[str, Any] = field(default_factory=dict)
    max_model_len: int | None = None
    dtype: str = "auto"
    tensor_parallel: int = 1
    engine_options: dict[str, Any] = field(default_factory=dict)
    channel: Literal["auto", "boxed", "answer_line"] = "boxed"


def check(settings: Settings) -> None:
    """Refuse invalid values. Raises `InputError`: naming the option, its value and what is allowed."""
    for name in ("limit", "batch", "max_model_len", "tensor_parallel"):
        value = getattr(settings, name)
        _require(value is None or value >= 1, name.replace("_", "-"), value, "at least 1")
    _require(settings.rounds >= 0, "self-correction", settings.rounds, "a number of rounds, 0 or more")
    http = settings.endpoint.startswith(("http://", "https://"))
    wanted = "http://HOST:PORT/v1 of the service" if settings.engine == "openai" else "left out: the engine is vllm"
    _require(http == (settings.engine == "openai"), "endpoint", settings.endpoint, wanted)
    _require(settings.engine == "vllm" or settings.form == "block", "form", "turn", "block: an endpoint takes no ids")
    for name in ("max_model_len", "dtype", "tensor_parallel", "engine_options"):
        value, default = getattr(settings, name), getattr(Settings(settings.model, {}), name)
        wanted = "left out: the endpoint's service decides it"
        _require(settings.engine == "vllm" or value == default, name.replace("_", "-"), value, wanted)
    critiques = [name for name in settings.sampling if BENCHMARKS[name].task == "critique"]
    wanted = f"0 with {', '.join(critiques)}: a critique is no answer to be corrected"
    _require(not (critiques and settings.rounds), "self-correction", settings.rounds, wanted)
    for name, each in settings.sampling.items():
        _check_sampling(name, each)


def _check_sampling(name: str, sampling: Sampling) -> None:
    _require(sampling.temperature >= 0, "temperature", sampling.temperature, "0 or more")
    _require(0 < sampling.top_p <= 1, "top-p", sampling.top_p, "above 0, at most 1")
    _require(sampling.samples >= 1, "samples", sampling.samples, "at least 1")
    _require(sampling.max_tokens >= 1, "max-tokens", sampling.max_tokens, "at least 1")
    greedy = sampling.temperature == 0 and sampling.samples > 1
    _require(not greedy, "samples", sampling.samples, f"1 for {name}: greedy samples are equal (or give --temperature)")


def _require(holds: bool, option: str, value: object, allowed: str) -> None:
    if not holds:
        raise InputError(f"--{option} {value}: must be {allowed}")


def request_seed(settings: Settings, benchmark: str, question: str, sample: int, round_: int) -> int | None:
    """The seed of one answer, independent of the order of answering; None where it is greedy."""
    if settings.sampling[benchmark].temperature == 0:
        return None
    return derived_seed(settings.seed, benchmark, question, sample, round_)
