"""What a causal model of transformers is called with to read prefix trees, and what its head is given.

Example::

    with head_sees(model, lambda: packed):
        logits = model(**model_inputs(packed, "sdpa", device), use_cache=False).logits[0]  # (P, V)
    log_probs = logits.log_softmax(-1).gather(-1, labels[:, None])[packed.responses]  # (R, 1), row by row
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

from fail2fix.prefix.attention import MASKS
from fail2fix.prefix.packing import Packed


def model_inputs(packed: Packed, attention: str, device: torch.device | str) -> dict[str, Any]:
    """Tokens and positions (B, T), and the mask.

    Args:
        attention: the model's attention function, one of `fail2fix.prefix.attention.MASKS`.
    """
    return {
        "input_ids": torch.from_numpy(packed.tokens).to(device),
        "position_ids": torch.from_numpy(packed.depths).to(device),
        "attention_mask": MASKS[attention](packed.ends, device),
    }


@contextmanager
def head_sees(model: PreTrainedModel, packed: Callable[[], Packed | None]) -> Iterator[None]:
    """Within it the model's head gets (1, P, hidden) outputs of predictors, so that no other node has logits.

    Args:
        packed: what the model reads, asked when its head is reached; None: the head gets what the model gives it.
    """

    def of_predictors(head: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
        (outputs,), read = inputs, packed()
        if read is None:
            return None
        return (outputs.flatten(0, 1)[torch.from_numpy(read.predictors).to(outputs.device)][None],)

    hook = model.get_output_embeddings().register_forward_pre_hook(of_predictors)
    try:
        yield
    finally:
        hook.remove()
