"""The prefix tree: what every node is, sees and predicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention.flex_attention import create_mask

from fail2fix.prefix.attention import block_mask, dense_mask
from fail2fix.prefix.packing import needed_tokens, pack
from fail2fix.prefix.tree import prefix_tree, sorted_rows

# Two tokens: rows share starts, are starts of others, and are equal to others.
tokens = st.lists(st.integers(0, 1), max_size=7).map(lambda row: np.array(row, dtype=np.int64))
forests = st.lists(tokens, min_size=1, max_size=8)
prompts = st.lists(st.integers(0, 1), min_size=1, max_size=4)
exchanges = st.lists(st.tuples(prompts, st.lists(st.integers(0, 1), max_size=4)), min_size=1, max_size=8)


def starts(rows: list[np.ndarray]) -> set[tuple[int, ...]]:
    return {tuple(row[: end + 1].tolist()) for row in rows for end in range(len(row))}


@given(forests)
def test_a_node_is_a_distinct_start_of_a_row_and_no_start_is_read_twice(rows: list[np.ndarray]) -> None:
    tree = prefix_tree(rows)
    assert len(tree) == len(starts(rows))
    for row, places in zip(rows, tree.places, strict=True):
        assert tree.tokens[places].tolist() == row.tolist()
        assert tree.depths[places].tolist() == list(range(len(row)))


@given(forests.filter(lambda rows: any(map(len, rows))))
def test_a_token_sees_the_tokens_before_it_in_its_row_and_itself(rows: list[np.ndarray]) -> None:
    tree = prefix_tree(rows)
    sees = dense_mask(tree.ends[None], "cpu")[0, 0].numpy()
    for places in tree.places:
        for at, place in enumerate(places):
            assert np.flatnonzero(sees[place]).tolist() == places[: at + 1].tolist()


@given(forests)
def test_neighbors_in_the_order_of_rows_share_the_most(rows: list[np.ndarray]) -> None:
    assert [rows[row].tolist() for row in sorted_rows(rows)] == sorted(row.tolist() for row in rows)


def test_rows_are_ordered_by_ids_of_any_size() -> None:
    rows = [np.array(row) for row in ([256, 1], [1, 256], [70_000], [255])]
    assert [rows[row][0] for row in sorted_rows(rows)] == [1, 255, 256, 70_000]


@given(exchanges, st.sampled_from([0.0, 0.1, 1e9]))
def test_every_response_token_is_predicted_by_the_node_of_the_token_before_it(exchanges: list, cost: float) -> None:
    rows = [np.array(prompt + response, dtype=np.int64) for prompt, response in exchanges]
    packed = pack(rows, [len(response) for _, response in exchanges], cost)
    flat, predictors, labels = np.concatenate(rows), packed.predictors[packed.responses], packed.labels
    assert packed.row_tokens == len(flat)
    assert labels[packed.responses].tolist() == [token for _, response in exchanges for token in response]
    assert flat[packed.unpacked + 1].tolist() == labels[packed.responses].tolist()
    assert packed.tokens.flatten()[predictors].tolist() == flat[packed.unpacked].tolist()
    assert packed.depths.flatten()[predictors].tolist() == [
        len(prompt) - 1 + at for prompt, response in exchanges for at in range(len(response))
    ]


@given(exchanges)
def test_logits_are_of_different_tokens_however_many_rows_hold_them(exchanges: list) -> None:
    rows = [np.array(prompt + response, dtype=np.int64) for prompt, response in exchanges]
    packed = pack(rows, [len(response) for _, response in exchanges])
    pairs = set(zip(packed.predictors.tolist(), packed.labels.tolist(), strict=True))
    assert len(pairs) == len(packed.labels) <= packed.nodes + len(rows)


@given(exchanges)
def test_only_what_predicts_or_precedes_a_prediction_is_read(exchanges: list) -> None:
    rows = [np.array(prompt + response, dtype=np.int64) for prompt, response in exchanges]
    responses = [len(response) for _, response in exchanges]
    read = pack(rows, responses).nodes
    assert read == max(1, len(starts(needed_tokens(rows, responses))))


def test_a_row_without_a_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="prompt"):
        pack([np.array([1, 2])], [2])


@pytest.mark.parametrize("count", [1, 9, 40])
def test_the_block_mask_is_the_dense_mask(count: int) -> None:
    random = np.random.default_rng(count)
    prompts = random.integers(0, 3, (3, 50))
    rows = [np.concatenate([prompts[i % 3], random.integers(0, 3, random.integers(1, 9))]) for i in range(count)]
    for cost in (0.0, 1e9):
        ends = pack(rows, [1] * count, cost).ends
        blocks = block_mask(ends, "cpu")
        dense = create_mask(blocks.mask_mod, len(ends), None, *2 * ends.shape[1:], device="cpu")
        assert (dense == dense_mask(ends, "cpu")).all()
