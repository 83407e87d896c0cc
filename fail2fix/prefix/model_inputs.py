"""What a causal model of transformers is called with to read a prefix tree.

Example::

    logits = model(**model_inputs(packed, "sdpa", device), use_cache=False).logits[0]  # (R, V), row by row
"""

from __future__ import annotations

from typing import Any

import torch

from fail2fix.prefix.attention import MASKS
from fail2fix.prefix.packing import Packed


def model_inputs(packed: Packed, attention: str, device: torch.device | str) -> dict[str, Any]:
    """Tokens and positions (1, T), the mask, and which of the T outputs become logits: the R predictors.

    Args:
        attention: the model's attention function, one of `fail2fix.prefix.attention.MASKS`.
    """
    tokens, positions, predictors = (
        torch.from_numpy(numbers).to(device) for numbers in (packed.tree.tokens, packed.tree.depths, packed.predictors)
    )
    return {
        "input_ids": tokens[None],
        "position_ids": positions[None],
        "attention_mask": MASKS[attention](packed.tree, device),
        "logits_to_keep": predictors,
    }
