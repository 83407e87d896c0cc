"""Parts of rows: all of them, none too long, groups together, as many on every rank."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.prefix.micro_batches import cheapest_trees, micro_batches
from fail2fix.prefix.tree import prefix_tree

rows = st.lists(
    st.lists(st.integers(0, 1), max_size=6).map(lambda row: np.array(row, dtype=np.int64)), min_size=1, max_size=9
)


def cost(rows: list[np.ndarray], part: list[int]) -> int:
    return len(prefix_tree([rows[row] for row in part]))


@given(rows, st.integers(6, 40))
def test_every_row_is_in_one_part_and_no_part_is_too_long(rows: list[np.ndarray], most: int) -> None:
    parts = micro_batches(rows, most)
    assert sorted(row for part in parts for row in part) == list(range(len(rows)))
    assert all(len(part) > 0 for part in parts)
    assert max(cost(rows, part) for part in parts) <= most


@given(rows, st.integers(6, 40), st.data())
def test_ranks_make_as_many_parts_as_the_one_that_needs_most(rows: list[np.ndarray], most: int, data) -> None:
    needed = len(micro_batches(rows, most))
    wanted = data.draw(st.integers(needed, len(rows)))
    parts = micro_batches(rows, most, lambda own: max(own, wanted))
    assert len(parts) == wanted
    assert all(parts)
    assert max(cost(rows, part) for part in parts) <= most


def groups(count: int, size: int, prompt: int, response: int) -> list[np.ndarray]:
    """Rows in an order that mixes the groups."""
    random = np.random.default_rng(0)
    prompts = random.integers(0, 1000, (count, prompt))
    return [np.concatenate([prompts[at % count], random.integers(0, 1000, response)]) for at in range(count * size)]


def test_a_group_stays_together() -> None:
    rows = groups(count=6, size=4, prompt=50, response=10)
    parts = micro_batches(rows, most=200)  # two groups of 90
    assert sum(len({row % 6 for row in part}) for part in parts) == 6
    assert len(parts) == 3


def test_a_group_too_long_is_split_and_read_once_in_each_part() -> None:
    rows = groups(count=1, size=8, prompt=50, response=10)
    parts = micro_batches(rows, most=90)
    assert [len(part) for part in parts] == [4, 4]
    assert [cost(rows, part) for part in parts] == [90, 90]


def test_parts_are_of_similar_cost() -> None:
    rows = groups(count=5, size=1, prompt=30, response=10)
    assert sorted(len(part) for part in micro_batches(rows, most=160)) == [2, 3]  # not 4 and 1


@given(rows.filter(lambda rows: any(map(len, rows))), st.sampled_from([0.0, 0.05, 1.0, 1e9]))
def test_trees_side_by_side_hold_every_row_and_cost_no_more_than_one_tree_or_rows_alone(
    rows: list[np.ndarray], pair_cost: float
) -> None:
    def price(parts: list[list[int]]) -> float:
        width = max(cost(rows, part) for part in parts)
        return len(parts) * width * (1 + pair_cost * width)

    parts = cheapest_trees(rows, pair_cost)
    everyone = list(range(len(rows)))
    assert sorted(row for part in parts for row in part) == everyone
    assert price(parts) <= min(price([everyone]), price([[row] for row in everyone]))


def test_groups_are_trees_of_their_own_where_pairs_cost_and_one_tree_where_they_do_not() -> None:
    rows = groups(count=6, size=4, prompt=100, response=200)
    apart = cheapest_trees(rows, pair_cost=1 / 3000)
    assert {len({row % 6 for row in part}) for part in apart} == {1}
    assert 6 <= len(apart) < len(rows)
    assert len(cheapest_trees(rows, pair_cost=0.0)) == 1
    assert len(cheapest_trees(rows, pair_cost=1.0)) == len(rows)
