"""The prefix tree of token rows, its nodes in preorder.

Example::

    tree = prefix_tree([np.array([5, 6, 7]), np.array([5, 6, 8])])
    tree.tokens  # [5, 6, 7, 8]
    tree.ends  # [4, 4, 3, 4]: node 2 (token 7) has no descendants
    tree.places  # [[0, 1, 2], [0, 1, 3]]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PrefixTree:
    """A tree whose paths from a root are the starts of rows.

    Attributes:
        tokens: (T,) token ids in preorder.
        depths: (T,) tokens before each on its path: its position in every row that holds it.
        ends: (T,) the first node after its last descendant; node j is on the path of i if ``j <= i < ends[j]``.
        places: n arrays, the node of each token of a row.
    """

    tokens: Ints
    depths: Ints
    ends: Ints
    places: Sequence[Ints]

    def __len__(self) -> int:
        return len(self.tokens)


def prefix_tree(rows: Sequence[Ints]) -> PrefixTree:
    """The tree of ``rows``, each a sequence of token ids; n (longest row) operations beside the sort."""
    size, total = 0, sum(map(len, rows))
    tokens, depths, ends = (np.empty(total, dtype=np.int64) for _ in range(3))
    before = path = np.empty(0, dtype=np.int64)
    places = [path] * len(rows)
    for row in sorted_rows(rows):
        shared = common_start(before, rows[row])
        ends[path[shared:]] = size  # no further row goes through them
        new = np.arange(size, size + len(rows[row]) - shared)
        tokens[new], depths[new] = rows[row][shared:], np.arange(shared, len(rows[row]))
        size += len(new)
        before, path = rows[row], np.concatenate([path[:shared], new])
        places[row] = path
    ends[path] = size
    return PrefixTree(tokens[:size], depths[:size], ends[:size], places)


def sorted_rows(rows: Sequence[Ints]) -> list[int]:
    """Indices of rows in lexicographic order, so that every row shares most with its neighbors."""
    # Big-endian bytes of ids, which are not negative, are in the order of the ids.
    return sorted(range(len(rows)), key=lambda row: rows[row].astype(">i8").tobytes())


def common_start(one: Ints, other: Ints) -> int:
    """How many tokens two rows have in common at their start."""
    length = min(len(one), len(other))
    differing = np.flatnonzero(one[:length] != other[:length])
    return int(differing[0]) if len(differing) else length
