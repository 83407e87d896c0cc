"""Which rows pass through the model together, so that shared starts meet: parts of the tree's order.

A part costs its nodes: a row adds what it does not share with the row before it. Rows of a group are neighbors in this
order, so a group stays together unless it is too long for one part; then each part reads the group's start once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise

from fail2fix.prefix.tree import Ints, common_start, sorted_rows


def micro_batches(rows: Sequence[Ints], most: int, agree: Callable[[int], int] = int) -> list[list[int]]:
    """Cut rows into parts of similar cost, as few as fit.

    Args:
        rows: n arrays of token ids, as read.
        most: nodes of a part; a longer row is a part alone.
        agree: from the parts that these rows need to the number that all ranks make; at most n.

    Returns:
        Indices of the rows of each part.
    """
    order = sorted_rows(rows)
    lengths = [len(rows[row]) for row in order]
    shared = [0, *(common_start(rows[one], rows[other]) for one, other in pairwise(order))]
    count = agree(len(_starts(lengths, shared, most)))
    least = bisect_left(range(most), True, key=lambda cap: len(_starts(lengths, shared, cap)) <= count)
    starts = _starts(lengths, shared, least)
    while len(starts) < count:
        first, last = max(pairwise([*starts, len(rows)]), key=lambda part: part[1] - part[0])
        starts = sorted([*starts, (first + last) // 2])
    return [order[first:last] for first, last in pairwise([*starts, len(rows)])]


def _starts(lengths: Sequence[int], shared: Sequence[int], most: int) -> list[int]:
    """The first row of each part, where every part takes what fits."""
    starts: list[int] = []
    size = 0
    for row, (length, known) in enumerate(zip(lengths, shared, strict=True)):
        size += length - known
        if not starts or size > most:
            starts.append(row)
            size = length
    return starts
