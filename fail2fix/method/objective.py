"""The joint objective J = J_base + lambda J_corr: who is averaged over what (METHOD.md, item 6; ours).

Each stream is averaged over itself inside each mini-batch, so lambda means the same whatever K and G' are. This
module decides the batch's shape (how many corrections fit, which row goes where) and the two denominators of every row.
The loss itself is in ``fail2fix.verl_ext.loss``. A stream is its place in the batch: 0 base, 1 correction.

Rows reach the ranks in contiguous chunks, and every rank cuts its chunk into M equal mini-batches. The order of rows is
therefore rank by rank, in each rank mini-batch by mini-batch, in each mini-batch stream by stream.

Example::

    feasible_attempts(128, 8, base_rows=1024, split=BatchSplit(ranks=8, mini_batches=1))  # 128
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

Partition = Callable[[Sequence[int], int], list[list[int]]]


@dataclass(frozen=True)
class BatchSplit:
    """How a batch is cut.

    Attributes:
        ranks: data-parallel ranks.
        mini_batches: M, optimizer steps a step.
        update_micro: rows of a fixed micro-batch in the update; 1 with dynamic batch sizes.
        infer_micro: rows of a fixed micro-batch in the log-prob passes; 1 with dynamic batch sizes.
    """

    ranks: int = 1
    mini_batches: int = 1
    update_micro: int = 1
    infer_micro: int = 1

    def divides(self, base_rows: int, correction_rows: int) -> bool:
        """Whether both streams split into ranks and mini-batches in proportion, and ranks into micro-batches."""
        parts = self.ranks * self.mini_batches
        if base_rows % parts or correction_rows % parts:
            return False
        rows = base_rows + correction_rows
        return (rows // parts) % self.update_micro == 0 and (rows // self.ranks) % self.infer_micro == 0


def feasible_attempts(available: int, rollouts: int, base_rows: int, split: BatchSplit) -> int:
    """The largest K <= ``available`` whose K * ``rollouts`` rows divide; 0 is a plain step of the base algorithm."""
    for k in range(available, 0, -1):
        if split.divides(base_rows, k * rollouts):
            return k
    return 0


def joint_layout(
    streams: NDArray[np.int64],
    lengths: Sequence[int],
    split: BatchSplit,
    partition: Partition | None = None,
    groups: Sequence[int] = (),
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order of rows that gives every rank and mini-batch both streams in proportion.

    Args:
        streams: (N,) each row's stream.
        lengths: (N,) tokens a row; what ``partition`` balances.
        split: ranks and mini-batches.
        partition: splits lengths into equal-sized parts of similar sums; contiguous parts without it.
        groups: rows of each stream that stay neighbors on one rank, a group's; as many of them as ranks divide into.
            Without it, rows are spread one by one.

    Returns:
        order (N,): row indices in their new order; mini_batch (N,): the mini-batch of each *new* row.
    """
    ranks, steps = split.ranks, split.mini_batches
    chunks: list[list[list[int]]] = [[[] for _ in range(steps)] for _ in range(ranks)]
    for stream in np.unique(streams):
        rows = np.flatnonzero(streams == stream)
        for step, step_rows in enumerate(np.array_split(rows, steps)):
            together = gcd(groups[stream], len(step_rows) // ranks) if groups else 1
            for rank, part in enumerate(_parts(step_rows, lengths, ranks, partition, together)):
                chunks[rank][step].extend(part)
    order = [row for rank in chunks for step in rank for row in step]
    steps_of = [step for rank in chunks for step, rows in enumerate(rank) for _ in rows]
    return np.array(order, dtype=np.int64), np.array(steps_of, dtype=np.int64)


def _parts(
    rows: NDArray[np.int64], lengths: Sequence[int], ranks: int, partition: Partition | None, together: int = 1
) -> list[list[int]]:
    """Equal parts of rows, of which so many neighbors are never separated."""
    if ranks == 1 or partition is None or len(rows) == 0:
        return [part.tolist() for part in np.array_split(rows, ranks)]
    units = rows.reshape(-1, together)
    parts = partition([sum(lengths[row] for row in unit) for unit in units], ranks)
    return [[int(row) for i in sorted(part) for row in units[i]] for part in parts]


def rows_to_update(
    needed: NDArray[np.bool_],
    mini_batch: NDArray[np.int64],
    lengths: Sequence[int],
    split: BatchSplit,
    partition: Partition | None = None,
) -> NDArray[np.int64]:
    """The rows of a laid-out batch that an update has to see, laid out again (ours).

    A row without advantage and without regularization has no gradient. It stays in the denominators (``stream_sizes``);
    its forward and backward passes can be left out. Every rank and mini-batch keeps as many rows as the fullest one
    needs, so a few that are not needed may stay.

    Args:
        needed, mini_batch, lengths: (N,) of each laid-out row: whether it has a gradient, its mini-batch, its tokens.
        split, partition: as in ``joint_layout``.

    Returns:
        (n,) indices, rank by rank, in each rank mini-batch by mini-batch.
    """
    steps = [np.flatnonzero(mini_batch == step) for step in range(split.mini_batches)]
    unit = split.ranks * split.update_micro
    size = max(unit, *(-(-int(needed[rows].sum()) // unit) * unit for rows in steps))
    chunks: list[list[int]] = [[] for _ in range(split.ranks)]
    for rows in steps:
        # Of what is not needed, the shortest rows fill up.
        line = sorted(rows.tolist(), key=lambda row: (not needed[row], lengths[row], row))
        for rank, part in enumerate(_parts(np.sort(line[:size]), lengths, split.ranks, partition)):
            chunks[rank].extend(part)
    return np.array([row for chunk in chunks for row in chunk], dtype=np.int64)


def stream_sizes(
    streams: NDArray[np.int64],
    mini_batch: NDArray[np.int64],
    tokens: NDArray[np.int64],
    included: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For every row the sequences and the tokens its own stream has in its own mini-batch.

    Args:
        streams, mini_batch, tokens: (N,) of the row's stream, mini-batch and valid response tokens.
        included: (N,) False for rows that left the update; they are counted in neither.

    Returns:
        sequences (N,), tokens (N,): the denominators of the stream mean, at least 1.
    """
    sequences = np.ones(len(streams))
    stream_tokens = np.ones(len(streams))
    for step in np.unique(mini_batch):
        for stream in np.unique(streams):
            rows = (mini_batch == step) & (streams == stream)
            counted = rows & included
            sequences[rows] = max(1, int(counted.sum()))
            stream_tokens[rows] = max(1, int(tokens[counted].sum()))
    return sequences, stream_tokens
