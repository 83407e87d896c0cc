"""The joint objective by hand: every row alone through plain transformers, two losses, autograd.

Knows nothing of verl and nothing of our loss, layout or stream sizes. Also makes the model and the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from gradient_cases import (
    ATTEMPTS,
    BASELINES,
    CLIP,
    CORRECTIONS,
    DUAL_CLIP,
    ENTROPY_COEF,
    KL_COEF,
    PROBLEMS,
    PROMPT_WIDTH,
    RESPONSE_WIDTH,
    ROLLOUTS,
    SCALES,
    TEMPERATURE,
    WEIGHT,
)
from tokenizers import Tokenizer, models
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from fail2fix.method.advantage import AdvantageRule, CorrectionGroups, correction_advantages
from fail2fix.method.config import Baseline, Scale

VOCABULARY = 512


@dataclass(frozen=True)
class Row:
    """One rollout. ``advantage`` is one number; the tensors have one number a response token."""

    prompt: list[int]
    response: list[int]
    old_log_prob: torch.Tensor
    ref_log_prob: torch.Tensor
    advantage: float
    included: bool = True


@dataclass(frozen=True)
class Rows:
    """Both streams in natural order, group by group."""

    base: list[Row]
    correction: list[Row]


# --------------------------------------------------------------------------------------------------- the rows


def save_model(folder: Path, family: str = "llama", tied: bool = False) -> PreTrainedModel:
    """A random two-layer Llama or Qwen2 and a tokenizer of numbers, as a Hugging Face folder."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family,
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.15,
        tie_word_embeddings=tied,
        attn_implementation="eager",
        dtype="float32",
    )
    model = AutoModelForCausalLM.from_config(config).float()
    model.save_pretrained(folder)
    words = models.WordLevel({str(i): i for i in range(VOCABULARY)}, unk_token="0")
    special = {"unk_token": "0", "pad_token": "0", "bos_token": "1", "eos_token": "2"}
    PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), **special).save_pretrained(folder)
    return model


def all_rows(model: PreTrainedModel) -> dict[str, Rows]:
    """Every set of rows by name. Prompts and responses vary in length; corrections are longer on average."""
    random = np.random.default_rng(1)
    base = [_row(model, random, longest=RESPONSE_WIDTH // 2) for _ in range(PROBLEMS * ROLLOUTS)]
    correction = [_row(model, random, longest=RESPONSE_WIDTH) for _ in range(ATTEMPTS * CORRECTIONS)]
    correction[0] = _row(model, random, longest=RESPONSE_WIDTH, length=RESPONSE_WIDTH)
    plain = Rows(base, correction)
    rows = {"plain": plain, "duplicated": Rows(base, _duplicated(correction))}
    rows["excluded"] = Rows(_without(base, ROLLOUTS, {1}), _without(correction, CORRECTIONS, {3}))
    rows["stream_excluded"] = Rows(base, _without(correction, CORRECTIONS, {2, 3}))
    rows["idle"] = Rows(_idle(base, ROLLOUTS, {0, 1, 3}), _idle(correction, CORRECTIONS, {0, 3}))
    rows["idle_corrections"] = Rows(base, rows["idle"].correction)
    rows["on_policy"] = Rows(*([_on_policy(model, row) for row in stream] for stream in (base, correction)))
    rows["on_policy_idle"] = Rows(
        _idle(rows["on_policy"].base, ROLLOUTS, {0, 1, 3}), _idle(rows["on_policy"].correction, CORRECTIONS, {0, 3})
    )
    rows |= {f"{scale}:{risk:g}": _shaped(plain, scale, risk) for scale in SCALES for risk in (0.0, 1.0)}
    return rows | {f"all_broken:{baseline}": _all_broken(plain, baseline) for baseline in BASELINES}


def _row(model: PreTrainedModel, random: np.random.Generator, longest: int, length: int | None = None) -> Row:
    """Old and reference log probabilities off by sigma .3, a few tokens far off: both clips and the KL clamp act."""
    prompt = random.integers(3, VOCABULARY, random.integers(3, PROMPT_WIDTH + 1)).tolist()
    response = random.integers(3, VOCABULARY, length or random.integers(1, longest + 1)).tolist()
    with torch.no_grad():
        exact = _forward(model, prompt, response)[0]
    noise = torch.from_numpy(random.normal(0, 0.3, (2, len(response)))).float()
    far = torch.from_numpy(random.random((2, len(response))) < 0.1)
    old, reference = exact + noise[0] - 1.5 * far[0], exact + noise[1] + 3.0 * far[1]
    return Row(prompt, response, old, reference, float(random.normal()))


def _on_policy(model: PreTrainedModel, row: Row) -> Row:
    with torch.no_grad():
        return replace(row, old_log_prob=_forward(model, row.prompt, row.response)[0])


def _duplicated(rows: list[Row]) -> list[Row]:
    groups = [rows[i : i + CORRECTIONS] for i in range(0, len(rows), CORRECTIONS)]
    return [row for group in groups for row in group + group]


def _without(rows: list[Row], size: int, groups: set[int]) -> list[Row]:
    return [replace(row, included=i // size not in groups) for i, row in enumerate(rows)]


def _idle(rows: list[Row], size: int, groups: set[int]) -> list[Row]:
    return [replace(row, advantage=0.0) if i // size in groups else row for i, row in enumerate(rows)]


def _shaped(rows: Rows, scale: str, risk: float) -> Rows:
    """Corrections of three right attempts (one all broken) and of a wrong one, with method.advantage's numbers."""
    correct = np.array([1.0, 1.0, 0.0, 1.0])
    plain = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    groups = CorrectionGroups(plain, plain == 1, correct, correct == 1)
    advantages = correction_advantages(groups, AdvantageRule(Scale(scale), penalty=risk))
    return Rows(rows.base, _with_advantages(rows.correction, advantages.values.ravel()))


def _all_broken(rows: Rows, baseline: str) -> Rows:
    """Nothing but groups in which every rollout broke a right attempt; the base stream is silent."""
    plain, correct = np.zeros((ATTEMPTS, CORRECTIONS)), np.ones(ATTEMPTS)
    groups = CorrectionGroups(plain, plain == 1, correct, correct == 1)
    advantages = correction_advantages(groups, AdvantageRule(baseline=Baseline(baseline)))
    silent = _with_advantages(rows.base, np.zeros(len(rows.base)))
    return Rows(silent, _with_advantages(rows.correction, advantages.values.ravel()))


def _with_advantages(rows: list[Row], advantages: Sequence[float]) -> list[Row]:
    return [replace(row, advantage=float(value)) for row, value in zip(rows, advantages, strict=True)]


# ---------------------------------------------------------------------------------------------- the objective


def _forward(model: PreTrainedModel, prompt: list[int], response: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Log probability and entropy of each response token."""
    logits = model(torch.tensor([prompt + response])).logits[0, len(prompt) - 1 : -1] / TEMPERATURE
    log_probs = logits.log_softmax(-1)
    chosen = log_probs.gather(-1, torch.tensor(response)[:, None])[:, 0]
    return chosen, -(log_probs.exp() * log_probs).sum(-1)


def clipped(row: Row, log_prob: torch.Tensor) -> torch.Tensor:
    """Tokens on which the clipped term is the larger loss."""
    ratio = (log_prob - row.old_log_prob).exp()
    return -row.advantage * ratio.clamp(1 - CLIP, 1 + CLIP) > -row.advantage * ratio


def dual_clipped(row: Row, log_prob: torch.Tensor) -> torch.Tensor:
    """Tokens with a negative advantage whose loss is cut at c * |A|."""
    return (log_prob - row.old_log_prob).exp() > DUAL_CLIP if row.advantage < 0 else torch.zeros_like(log_prob).bool()


def _token_losses(row: Row, log_prob: torch.Tensor, entropy: torch.Tensor) -> torch.Tensor:
    """PPO with both clips, k3 KL to the reference, entropy bonus (L,)."""
    ratio = (log_prob - row.old_log_prob).clamp(-20, 20).exp()
    policy = torch.maximum(-row.advantage * ratio, -row.advantage * ratio.clamp(1 - CLIP, 1 + CLIP))
    if row.advantage < 0:
        policy = policy.clamp(max=-row.advantage * DUAL_CLIP)
    apart = (row.ref_log_prob - log_prob).clamp(-20, 20)
    kl = (apart.exp() - apart - 1).clamp(-10, 10)
    return policy + KL_COEF * kl - ENTROPY_COEF * entropy


def stream_mean(losses: list[torch.Tensor], mode: str) -> torch.Tensor:
    """The mean of one stream's rows in one mini-batch; nothing where there are none."""
    if not losses:
        return torch.zeros(())
    if mode == "token-mean":
        return torch.cat(losses).mean()
    if mode == "seq-mean-token-mean":
        return torch.stack([loss.mean() for loss in losses]).mean()
    sums = torch.stack([loss.sum() for loss in losses]).mean()
    return sums / RESPONSE_WIDTH if mode == "seq-mean-token-sum-norm" else sums


class Reference:
    """Gradients of J = base + lambda * correction, one for each mini-batch; every row is forwarded once."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.parameters = [parameter for _, parameter in sorted(model.named_parameters())]
        self.outputs: dict[tuple[int, ...], tuple[torch.Tensor, torch.Tensor]] = {}

    def output(self, row: Row) -> tuple[torch.Tensor, torch.Tensor]:
        key = (len(row.prompt), *row.prompt, *row.response)
        if key not in self.outputs:
            self.outputs[key] = _forward(self.model, row.prompt, row.response)
        return self.outputs[key]

    def gradients(
        self, rows: Rows, mode: str, steps: int, weight: float = WEIGHT, pooled: bool = False
    ) -> torch.Tensor:
        """(M, parameters). ``pooled`` is a wrong objective: one mean over both streams, corrections weighted."""
        return torch.stack([self._gradient(rows, mode, steps, step, weight, pooled) for step in range(steps)])

    def _gradient(self, rows: Rows, mode: str, steps: int, step: int, weight: float, pooled: bool) -> torch.Tensor:
        base, correction = (self._losses(stream, steps, step) for stream in (rows.base, rows.correction))
        if pooled:
            loss = stream_mean(base + [weight * row for row in correction], mode)
        else:
            loss = stream_mean(base, mode) + weight * stream_mean(correction, mode)
        parts = torch.autograd.grad(loss, self.parameters, retain_graph=True)
        return torch.cat([part.flatten() for part in parts])

    def _losses(self, stream: list[Row], steps: int, step: int) -> list[torch.Tensor]:
        """The stream's rows that stay in its ``step``-th of ``steps`` equal parts."""
        size = len(stream) // steps
        part = [row for row in stream[step * size : (step + 1) * size] if row.included]
        return [_token_losses(row, *self.output(row)) for row in part]
