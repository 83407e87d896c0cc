"""Attention in which a node of a prefix tree sees its path: masks for attention functions of transformers.

A node's row held these tokens before it, and no others. Every layer adds the same terms as alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask
from transformers import PretrainedConfig

from fail2fix.prefix.tree import Ints


def dense_mask(ends: Ints, device: torch.device | str) -> torch.Tensor:
    """(B, 1, T, T) of bool, True where the query (third axis) sees the key; B T^2 bytes.

    Args:
        ends: (B, T) of `fail2fix.prefix.packing.Packed`.
    """
    nodes = torch.arange(ends.shape[1], device=device)
    sees: torch.Tensor = nodes[:, None] < torch.from_numpy(ends).to(device)[:, None]
    return sees.logical_and_(nodes <= nodes[:, None])[:, None]


def block_mask(ends: Ints, device: torch.device | str) -> BlockMask:
    """The same for FlexAttention, which skips blocks that no query of a block sees."""
    of_trees = torch.from_numpy(ends).to(device)

    def sees(batch: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return (key <= query) & (query < of_trees[batch, key])

    trees, width = ends.shape
    return create_block_mask(sees, trees, None, width, width, device=str(device))


MASKS: dict[str, Callable[[Ints, torch.device | str], torch.Tensor | BlockMask]] = {
    "sdpa": dense_mask,
    "flex_attention": block_mask,
}
"""By the names that transformers gives attention functions."""


def pair_cost(config: PretrainedConfig) -> float:
    """What a pair of nodes costs in a layer's attention, in passes of a token through its matrices, by multiplications.

    0 for FlexAttention: it skips pairs that do not see each other.
    """
    if config._attn_implementation == "flex_attention":
        return 0.0
    hidden, heads = config.hidden_size, config.num_attention_heads
    size = getattr(config, "head_dim", None) or hidden // heads
    queries, keys = heads * size, config.num_key_value_heads * size
    return 2 * queries / (hidden * (2 * queries + 2 * keys + 3 * config.intermediate_size))
