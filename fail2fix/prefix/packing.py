"""Rows of prompts and responses as one tree, and where each response token is predicted.

Example::

    packed = pack([np.array([5, 6, 7, 2]), np.array([5, 6, 8, 2])], responses=[2, 2])
    packed.tree.tokens  # [5, 6, 7, 8]
    packed.predictors  # [1, 2, 1, 3]: token 6 predicts both 7 and 8
    packed.labels  # [7, 2, 8, 2]
    packed.unpacked  # [1, 2, 5, 6]: the same places in the rows, one after the other
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fail2fix.prefix.tree import Ints, PrefixTree, prefix_tree


@dataclass(frozen=True)
class Packed:
    """Rows as one sequence of T nodes.

    Attributes:
        tree: the nodes.
        predictors: (R,) the node that predicts each response token, row by row; several may be one node.
        labels: (R,) the response tokens.
        unpacked: (R,) places of the predictors among all tokens of the rows, one row after the other.
        tokens: all tokens of the rows.
    """

    tree: PrefixTree
    predictors: Ints
    labels: Ints
    unpacked: Ints
    tokens: int


def pack(rows: Sequence[Ints], responses: Sequence[int]) -> Packed:
    """Pack rows of a prompt and a response each.

    Args:
        rows: n arrays of token ids, prompt and response.
        responses: tokens of each row's response; 0 leaves the row out.

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
    tree = prefix_tree(needed)
    starts = np.cumsum(lengths) - lengths
    spans = list(zip(prompts - 1, lengths - 1, strict=True))
    return Packed(
        tree=tree,
        predictors=np.concatenate([places[slice(*span)] for places, span in zip(tree.places, spans, strict=True)]),
        labels=np.concatenate([row[first + 1 :] for row, (first, _) in zip(rows, spans, strict=True)]),
        unpacked=np.concatenate([start + np.arange(*span) for start, span in zip(starts, spans, strict=True)]),
        tokens=int(lengths.sum()),
    )


def needed_tokens(rows: Sequence[Ints], responses: Sequence[int]) -> list[Ints]:
    """What a pass has to read of each row: all but the last token; nothing where there is no response."""
    return [row[:-1] if response else row[:0] for row, response in zip(rows, responses, strict=True)]
