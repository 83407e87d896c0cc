"""Which rows pass through the model together, so that shared starts meet: parts of the tree's order.

A part costs its nodes: a row adds what it does not share with the row before it. Rows of a group are neighbors in this
order, so a group stays together unless it is too long for one part; then each part reads the group's start once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fail2fix.prefix.tree import Ints, common_start, sorted_rows

GROWTH = 1.25  # of the sizes of trees that are compared


@dataclass(frozen=True)
class Line:
    """Rows in the tree's order.

    Attributes:
        order: (n,) indices of the rows.
        lengths: (n,) tokens of each.
        shared: (n,) tokens at the start of each that the row before it has too.
    """

    order: Sequence[int]
    lengths: Sequence[int]
    shared: Sequence[int]

    @classmethod
    def of(cls, rows: Sequence[Ints]) -> Line:
        order = sorted_rows(rows)
        shared = [0, *(common_start(rows[one], rows[other]) for one, other in pairwise(order))]
        return cls(order, [len(rows[row]) for row in order], shared)

    def starts(self, most: int) -> list[int]:
        """The first row of each part, in ``order``; a part takes rows until the next would exceed ``most`` nodes."""
        starts: list[int] = []
        size = 0
        for row, (length, known) in enumerate(zip(self.lengths, self.shared, strict=True)):
            size += length - known
            if not starts or size > most:
                starts.append(row)
                size = length
        return starts

    def least(self, count: int, most: int) -> int:
        """The smallest limit of nodes, up to ``most``, at which ``count`` parts hold all rows."""
        return bisect_left(range(most), True, key=lambda cap: len(self.starts(cap)) <= count)

    def parts(self, starts: Sequence[int]) -> list[list[int]]:
        """Indices of the rows of each part."""
        return [list(self.order[first:last]) for first, last in pairwise([*starts, len(self.order)])]


def micro_batches(rows: Sequence[Ints], most: int, agree: Callable[[int], int] = int) -> list[list[int]]:
    """Cut rows into parts of similar cost, as few as fit.

    Args:
        rows: n arrays of token ids, as read.
        most: nodes of a part; a longer row is a part alone.
        agree: from the parts that these rows need to the number that all ranks make; at most n.

    Returns:
        Indices of the rows of each part.
    """
    line = Line.of(rows)
    count = agree(len(line.starts(most)))
    starts = line.starts(line.least(count, most))
    while len(starts) < count:
        first, last = max(pairwise([*starts, len(rows)]), key=lambda part: part[1] - part[0])
        starts = sorted([*starts, (first + last) // 2])
    return line.parts(starts)


def cheapest_trees(rows: Sequence[Ints], pair_cost: float) -> list[list[int]]:
    """Cut rows into the trees that cost least side by side, as sequences of one length.

    One tree reads the fewest tokens. But attention with a dense mask computes every pair of its nodes, also pairs that
    do not see each other, so rows that share little cost less in several trees.

    Args:
        rows: n arrays of token ids, as read.
        pair_cost: what a pair costs, in passes of a token through a layer's matrices; 0: one tree.

    Returns:
        Indices of the rows of each tree.
    """
    line = Line.of(rows)
    nodes, longest = sum(line.lengths) - sum(line.shared), max(line.lengths)
    caps = [longest]
    while caps[-1] < nodes:
        caps.append(min(nodes, int(caps[-1] * GROWTH) + 1))
    counts = sorted({len(line.starts(cap)) for cap in caps})
    widths = {count: max(longest, line.least(count, nodes)) for count in counts}
    best = min(counts, key=lambda count: count * widths[count] * (1 + pair_cost * widths[count]))
    return line.parts(line.starts(widths[best]))
