"""Attention in which a node of a prefix tree sees its path: masks for attention functions of transformers.

A node's row held these tokens before it, and no others. Every layer adds the same terms as alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from fail2fix.prefix.tree import PrefixTree


def dense_mask(tree: PrefixTree, device: torch.device | str) -> torch.Tensor:
    """(1, 1, T, T) of bool, True where the query (third axis) sees the key; T^2 bytes."""
    ends = torch.from_numpy(tree.ends).to(device)
    nodes = torch.arange(len(tree), device=device)
    sees: torch.Tensor = (nodes <= nodes[:, None]) & (nodes[:, None] < ends)
    return sees[None, None]


def block_mask(tree: PrefixTree, device: torch.device | str) -> BlockMask:
    """The same for FlexAttention, which skips blocks that no query of a block sees."""
    ends = torch.from_numpy(tree.ends).to(device)

    def sees(batch: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return (key <= query) & (query < ends[key])

    return create_block_mask(sees, None, None, len(tree), len(tree), device=str(device))


MASKS: dict[str, Callable[[PrefixTree, torch.device | str], torch.Tensor | BlockMask]] = {
    "sdpa": dense_mask,
    "flex_attention": block_mask,
}
"""By the names that transformers gives attention functions."""
