"""The joint objective's rows and denominators (METHOD.md, item 6)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fail2fix.method.objective import (
    BatchSplit,
    feasible_attempts,
    joint_layout,
    stream_sizes,
)

BASE, CORRECTION = 0, 1  # places of the streams

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

splits = st.builds(
    BatchSplit,
    ranks=st.integers(1, 4),
    mini_batches=st.integers(1, 3),
    update_micro=st.integers(1, 3),
    infer_micro=st.integers(1, 3),
)


def longest_and_shortest(lengths: list[int], parts: int) -> list[list[int]]:
    """Equal-sized parts of similar sums: rows are dealt in order of length, back and forth."""
    by_length = sorted(range(len(lengths)), key=lambda i: lengths[i])
    return [
        [row for turn in range(0, len(by_length), parts) for row in [_dealt(by_length, turn, parts, part)]]
        for part in range(parts)
    ]


def _dealt(rows: list[int], turn: int, parts: int, part: int) -> int:
    return rows[turn + (part if turn // parts % 2 == 0 else parts - 1 - part)]


class TestFeasibleAttempts:
    @given(available=st.integers(0, 20), rollouts=st.integers(2, 8), base=st.integers(1, 48), split=splits)
    def test_it_is_the_largest_that_divides(self, available: int, rollouts: int, base: int, split: BatchSplit) -> None:
        k = feasible_attempts(available, rollouts, base, split)
        assert 0 <= k <= available
        assert k == 0 or split.divides(base, k * rollouts)
        assert not any(split.divides(base, more * rollouts) for more in range(k + 1, available + 1))

    @pytest.mark.parametrize(
        ("available", "split", "k"),
        [
            (128, BatchSplit(ranks=8), 128),
            (127, BatchSplit(ranks=8), 127),
            (127, BatchSplit(ranks=8, mini_batches=2), 126),
            (127, BatchSplit(ranks=8, mini_batches=2, update_micro=16), 96),
            (127, BatchSplit(ranks=8, infer_micro=32), 96),
            (1, BatchSplit(ranks=16), 0),
            (0, BatchSplit(), 0),
        ],
    )
    def test_by_hand(self, available: int, split: BatchSplit, k: int) -> None:
        """1,024 base rows, G' = 8: K * 8 rows over ranks * mini-batches, and whole micro-batches."""
        assert feasible_attempts(available, 8, 1024, split) == k

    def test_a_base_stream_that_does_not_divide_has_no_correction_stream(self) -> None:
        assert feasible_attempts(8, 8, base_rows=1020, split=BatchSplit(ranks=8)) == 0


@st.composite
def batches(draw: st.DrawFn) -> tuple[np.ndarray, list[int], BatchSplit]:
    """Streams in natural order whose rows divide, with lengths."""
    split = BatchSplit(ranks=draw(st.integers(1, 4)), mini_batches=draw(st.integers(1, 3)))
    parts = split.ranks * split.mini_batches
    base, correction = parts * draw(st.integers(1, 4)), parts * draw(st.integers(0, 4))
    lengths = draw(st.lists(st.integers(1, 9999), min_size=base + correction, max_size=base + correction))
    return np.repeat([BASE, CORRECTION], [base, correction]), lengths, split


@pytest.mark.parametrize("partition", [None, longest_and_shortest])
class TestJointLayout:
    @given(batch=batches())
    def test_every_row_keeps_exactly_one_place(self, partition: object, batch: tuple) -> None:
        streams, lengths, split = batch
        order, mini_batch = joint_layout(streams, lengths, split, partition)
        assert sorted(order.tolist()) == list(range(len(streams)))
        assert mini_batch.shape == order.shape

    @given(batch=batches())
    def test_every_rank_and_mini_batch_holds_both_streams_in_proportion(self, partition: object, batch: tuple) -> None:
        """Cut as verl cuts: contiguous chunks a rank, equal mini-batches in a chunk."""
        streams, lengths, split = batch
        order, mini_batch = joint_layout(streams, lengths, split, partition)
        parts = split.ranks * split.mini_batches
        chunks = np.array_split(streams[order], parts)
        assert {int((chunk == CORRECTION).sum()) for chunk in chunks} == {int(streams.sum()) // parts}
        steps = np.tile(np.repeat(np.arange(split.mini_batches), len(streams) // parts), split.ranks)
        np.testing.assert_array_equal(mini_batch, steps)

    @given(batch=batches())
    def test_base_rows_come_first_in_every_mini_batch(self, partition: object, batch: tuple) -> None:
        streams, lengths, split = batch
        order, _ = joint_layout(streams, lengths, split, partition)
        chunks = np.array_split(streams[order], split.ranks * split.mini_batches)
        assert all((np.diff(chunk) >= 0).all() for chunk in chunks)

    @given(batch=batches())
    def test_a_problem_meets_the_same_mini_batch_on_any_number_of_ranks(self, partition: object, batch: tuple) -> None:
        streams, lengths, split = batch
        order, mini_batch = joint_layout(streams, lengths, split, partition)
        alone, of_one = joint_layout(streams, lengths, BatchSplit(mini_batches=split.mini_batches), None)
        assert dict(zip(order.tolist(), mini_batch.tolist(), strict=True)) == dict(
            zip(alone.tolist(), of_one.tolist(), strict=True)
        )


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 6), st.integers(1, 4), st.integers(0, 99))
def test_ranks_hold_whole_groups_where_they_divide(ranks: int, steps: int, size: int, count: int, seed: int) -> None:
    """``count`` groups of ``size`` a rank and mini-batch in either stream; every group on one rank."""
    rows = ranks * steps * count * size
    lengths = np.random.default_rng(seed).integers(1, 999, 2 * rows).tolist()
    streams, split = np.repeat([BASE, CORRECTION], [rows, rows]), BatchSplit(ranks, steps)
    order, mini_batch = joint_layout(streams, lengths, split, longest_and_shortest, [size, size])
    assert sorted(order.tolist()) == list(range(2 * rows))
    assert (order.reshape(-1, size) == order[::size, None] + np.arange(size)).all()
    assert (order[::size] % size == 0).all()
    single, _ = joint_layout(streams, lengths, split, longest_and_shortest)
    assert (streams[order] == streams[single]).all()


def test_a_group_that_ranks_divide_is_cut_into_equal_shares() -> None:
    """One group of 6 over two ranks, four over three: shares of 3, and of 2."""
    order, _ = joint_layout(np.zeros(6, dtype=int), 6 * [1], BatchSplit(2), longest_and_shortest, [6])
    assert sorted(order.reshape(2, 3).tolist()) == [[0, 1, 2], [3, 4, 5]]
    order, _ = joint_layout(np.zeros(24, dtype=int), 24 * [1], BatchSplit(3), longest_and_shortest, [6])
    assert (order.reshape(-1, 2) == order[::2, None] + np.arange(2)).all()


def test_contiguous_parts_by_hand() -> None:
    """Two ranks, two mini-batches, 8 base rows (0-7) and 4 corrections (8-11)."""
    order, mini_batch = joint_layout(np.repeat([BASE, CORRECTION], [8, 4]), 12 * [1], BatchSplit(2, 2))
    assert order.tolist() == [0, 1, 8, 4, 5, 10, 2, 3, 9, 6, 7, 11]
    assert mini_batch.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]


def test_one_rank_and_one_mini_batch_keep_the_natural_order() -> None:
    order, _ = joint_layout(np.repeat([BASE, CORRECTION], [4, 2]), [6, 5, 4, 3, 2, 1], BatchSplit(), None)
    assert order.tolist() == list(range(6))


def test_a_partition_balances_each_stream_by_itself() -> None:
    """Long base rows and short corrections: both ranks get the same sum of each."""
    lengths = [100, 200, 300, 400, 1, 2, 3, 4]
    streams = np.repeat([BASE, CORRECTION], [4, 4])
    order, _ = joint_layout(streams, lengths, BatchSplit(ranks=2), longest_and_shortest)
    sums = [
        [sum(lengths[row] for row in chunk if streams[row] == stream) for stream in (BASE, CORRECTION)]
        for chunk in np.array_split(order, 2)
    ]
    assert sums == [[500, 5], [500, 5]]


class TestStreamSizes:
    #                  mini-batch 0         mini-batch 1
    STREAMS = np.array([0, 0, 1, 1, 1, 0, 0, 1, 1, 1])
    MINI_BATCH = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    TOKENS = np.array([5, 7, 1, 2, 3, 11, 13, 4, 6, 8])

    def test_every_stream_is_counted_over_itself_in_its_mini_batch(self) -> None:
        everything = np.ones(10, dtype=bool)
        sequences, tokens = stream_sizes(self.STREAMS, self.MINI_BATCH, self.TOKENS, everything)
        assert sequences.tolist() == [2, 2, 3, 3, 3, 2, 2, 3, 3, 3]
        assert tokens.tolist() == [12, 12, 6, 6, 6, 24, 24, 18, 18, 18]

    def test_excluded_rows_are_counted_in_neither(self) -> None:
        included = np.array([True, False, True, False, True, False, False, True, True, False])
        sequences, tokens = stream_sizes(self.STREAMS, self.MINI_BATCH, self.TOKENS, included)
        assert sequences.tolist() == [1, 1, 2, 2, 2, 1, 1, 2, 2, 2]
        assert tokens.tolist() == [5, 5, 4, 4, 4, 1, 1, 10, 10, 10]

    def test_one_stream_alone(self) -> None:
        nothing = np.zeros(3, dtype=np.int64)
        sequences, tokens = stream_sizes(nothing, nothing, np.array([2, 3, 4]), np.ones(3, dtype=bool))
        assert (sequences.tolist(), tokens.tolist()) == ([3, 3, 3], [9, 9, 9])
