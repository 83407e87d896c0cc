"""Rows of prompts and responses as trees, and where each response token is predicted.

Example::

    packed = pack([np.array([5, 6, 7, 2]), np.array([5, 6, 8, 2])], responses=[2, 2])
    packed.tokens  # [[5, 6, 7, 8]]
    packed.predictors  # [1, 1, 2, 3]: token 6 predicts both 7 and 8
    packed.labels  # [7, 8, 2, 2]
    packed.responses  # [0, 2, 1, 3]: of each response token, row by row, which of those it is
    packed.unpacked  # [1, 2, 5, 6]: the predictors' places in the rows, one after the other
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fail2fix.prefix.micro_batches import cheapest_trees
from fail2fix.prefix.tree import Ints, PrefixTree, prefix_tree


@dataclass(frozen=True)
class Packed:
    """Rows as B sequences of T nodes, a prefix tree each; the shorter ones end with filling nodes that no other sees.

    Attributes:
        tokens, depths, ends: (B, T) of each node, as in `PrefixTree`; ``ends`` counts within a tree.
        predictors: (P,) the node that predicts a token, of the B * T.
        labels: (P,) the token; a node and a token are here once, whatever the number of rows.
        responses: (R,) which of the P each response token is, row by row.
        unpacked: (R,) places of the predictors among all tokens of the rows, one row after the other.
        row_tokens: all tokens of the rows.
        nodes: of all trees.
    """

    tokens: Ints
    depths: Ints
    ends: Ints
    predictors: Ints
    labels: Ints
    responses: Ints
    unpacked: Ints
    row_tokens: int
    nodes: int


def pack(rows: Sequence[Ints], responses: Sequence[int], pair_cost: float = 0.0) -> Packed:
    """Pack rows of a prompt and a response each.

    Args:
        rows: n arrays of token ids, prompt and response.
        responses: tokens of each row's response; 0 leaves the row out.
        pair_cost: as in `cheapest_trees`.

    Raises:
        ValueError: a row has no prompt; there is no row.
    """
    lengths = np.array([len(row) for row in rows])
    prompts = lengths - np.asarray(responses)
    if not len(rows) or prompts.min() < 1:
        raise ValueError("every row needs at least one prompt token, and there must be a row")
    needed = needed_tokens(rows, responses)
    if not any(map(len, needed)):
        needed[0] = rows[0][:1]  # a model cannot read an empty sequence
    parts = cheapest_trees(needed, pair_cost)
    trees = [prefix_tree([needed[row] for row in part]) for part in parts]
    width = max(map(len, trees))
    places: list[Ints] = [np.empty(0, dtype=np.int64)] * len(rows)
    for number, (part, tree) in enumerate(zip(parts, trees, strict=True)):
        for row, of_row in zip(part, tree.places, strict=True):
            places[row] = number * width + of_row
    starts = np.cumsum(lengths) - lengths
    spans = list(zip(prompts - 1, lengths - 1, strict=True))
    predictors = np.concatenate([of_row[slice(*span)] for of_row, span in zip(places, spans, strict=True)])
    labels = np.concatenate([row[first + 1 :] for row, (first, _) in zip(rows, spans, strict=True)])
    distinct, which = np.unique(np.stack([predictors, labels]), axis=1, return_inverse=True)
    return Packed(
        *filled_up(trees, width),
        predictors=distinct[0],
        labels=distinct[1],
        responses=which.reshape(-1),
        unpacked=np.concatenate([start + np.arange(*span) for start, span in zip(starts, spans, strict=True)]),
        row_tokens=int(lengths.sum()),
        nodes=sum(map(len, trees)),
    )


def filled_up(trees: Sequence[PrefixTree], width: int) -> tuple[Ints, Ints, Ints]:
    """(B, T) tokens, depths and ends; filling nodes see only themselves: a row of attention without a key is nan."""
    tokens, depths = (np.zeros((len(trees), width), dtype=np.int64) for _ in range(2))
    ends = np.tile(np.arange(1, width + 1), (len(trees), 1))
    for number, tree in enumerate(trees):
        nodes = slice(0, len(tree))
        tokens[number, nodes], depths[number, nodes], ends[number, nodes] = tree.tokens, tree.depths, tree.ends
    return tokens, depths, ends


def needed_tokens(rows: Sequence[Ints], responses: Sequence[int]) -> list[Ints]:
    """What a pass has to read of each row: all but the last token; nothing where there is no response."""
    return [row[:-1] if response else row[:0] for row, response in zip(rows, responses, strict=True)]
