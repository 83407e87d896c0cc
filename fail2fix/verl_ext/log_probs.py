"""Log-probabilities of the tokens taken, where flash-attn is not installed.

verl 0.9.1 computes them with flash-attn's cross-entropy (``verl.utils.torch_functional.logprobs_from_logits``). Without
it, it loops over single tokens of packed rows in Python, in the logits' own precision. ``log_probs`` takes that loop's
place: chunks of tokens, in fp32. Where flash-attn is installed, verl calls it only under VERL_DISABLE_FLASH_ATTN_CE=1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.functional import log_softmax, softmax
from verl.utils import torch_functional

# Numbers of a chunk, 55 tokens of a vocabulary of 152k: 32 MiB in fp32, the most that glibc keeps for the next chunk.
CHUNK = 1 << 23


def use_chunks() -> None:
    """Put ``log_probs`` in the place of verl's loop, in this process."""
    torch_functional.logprobs_from_logits_v2 = log_probs


def log_probs(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Natural log-probability of each label.

    Args:
        logits: (..., vocabulary), of any precision.
        labels: (...), token ids.

    Returns:
        (...), fp32 (fp64 for logits in fp64). The gradient has the logits' precision.
    """
    chosen: torch.Tensor = _LogProbs.apply(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))
    return chosen.view(labels.shape)


class _LogProbs(torch.autograd.Function):
    """Keeps logits and labels only: a chunk's probabilities are computed again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(logits, labels)
        parts = [
            log_softmax(rows, -1, dtype=_precision(rows)).gather(-1, chosen) for rows, chosen in _chunks(logits, labels)
        ]
        return torch.cat(parts)[:, 0]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        logits, labels = ctx.saved_tensors
        result = torch.empty_like(logits)
        places = _chunks(result, gradient)
        for (rows, chosen), (place, weight) in zip(_chunks(logits, labels), places, strict=True):
            part = softmax(rows, -1, dtype=_precision(rows)).mul_(-weight)
            place.copy_(part.scatter_add_(-1, chosen, weight))
        return result, None


def _precision(logits: torch.Tensor) -> torch.dtype:
    return torch.promote_types(logits.dtype, torch.float32)


def _chunks(wide: torch.Tensor, narrow: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Parts of (tokens, vocabulary) and of (tokens,), the latter as a column."""
    tokens = max(1, CHUNK // wide.shape[-1])
    return zip(wide.split(tokens), narrow[:, None].split(tokens), strict=True)
