"""The streams of a step as one verl batch, laid out for ranks and mini-batches (METHOD.md, item 6).

Natural order is stream by stream, group by group. The joint batch remembers where each natural row went.

Legend: N rows of all streams, R response width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from verl import DataProto
from verl.utils.seqlen_balancing import get_seqlen_balanced_partitions

from fail2fix.method.objective import BatchSplit, joint_layout, rows_to_update, stream_sizes
from fail2fix.method.rollouts import Bools, Floats, Ints
from fail2fix.verl_ext.reward_extras import same_reward_extras
from fail2fix.verl_ext.stream import Stream

ROW = "fail2fix_row"  # a row's place in the update's batch
STREAM, SEQUENCES, TOKENS = "fail2fix_stream", "fail2fix_sequences", "fail2fix_tokens"


@dataclass
class JointBatch:
    """All streams as one verl batch.

    Attributes:
        rows: N rows, laid out rank by rank, mini-batch by mini-batch, stream by stream.
        streams: the streams in natural order: base, and correction unless nothing is replayed.
        stream_of: (N,) each laid-out row's place in ``streams``.
        included: (N,) laid-out rows that stay in the update.
        order: (N,) the natural row of each laid-out row.
        mini_batch: (N,) the mini-batch of each laid-out row.
    """

    rows: DataProto
    streams: Sequence[Stream]
    stream_of: Ints
    included: Bools
    order: Ints
    mini_batch: Ints

    @property
    def base(self) -> Stream:
        return self.streams[0]

    @property
    def correction(self) -> Stream | None:
        return self.streams[1] if len(self.streams) > 1 else None

    def natural(self, laid_out: NDArray) -> NDArray:
        """Rearrange (N,) laid-out values in natural order."""
        values = np.empty_like(laid_out)
        values[self.order] = laid_out
        return values

    def per_stream(self, laid_out: NDArray) -> list[NDArray]:
        """Split (N,) laid-out values into one natural array a stream."""
        ends = np.cumsum([len(stream) for stream in self.streams])
        return np.split(self.natural(laid_out), ends[:-1])

    def rewards(self) -> list[Floats]:
        """R~ of every row, one natural array a stream."""
        return self.per_stream(self.rows.batch["token_level_rewards"].sum(-1).double().numpy())

    def replace_advantages(self, stream: int, values: Floats) -> None:
        """Give a stream's rows one advantage each, ``values`` (rows of the stream,) in natural order."""
        natural = np.zeros(len(self.order))
        first = sum(len(earlier) for earlier in self.streams[:stream])
        natural[first : first + len(values)] = values
        batch = self.rows.batch
        ours = torch.from_numpy(natural[self.order]).float()[:, None] * batch["response_mask"]
        of_stream = torch.from_numpy(self.stream_of == stream)[:, None]
        for name in ("advantages", "returns"):
            batch[name] = torch.where(of_stream, ours, batch[name])

    def for_update(
        self, split: BatchSplit, only_advantage: bool, skip: bool, only: int | None = None
    ) -> tuple[DataProto, Ints, dict[str, float]]:
        """The rows that the update needs, rank by rank, their places in the joint batch, and counts of the others.

        METHOD.md, item 6; ours.

        Every row gets what the loss divides by: its stream's sequences and tokens in its mini-batch. A row without
        gradient stays in these denominators; its passes through the model are left out.

        Args:
            split: ranks and mini-batches.
            only_advantage: a row without advantage has no gradient: nothing else regularizes.
            skip: leave rows out at all.
            only: a stream's place; the rows of others are left out, and not counted.
        """
        batch = self.rows.batch
        valid, tokens = batch["response_mask"].sum(-1).numpy(), batch["attention_mask"].sum(-1).numpy()
        sequences, stream_tokens = stream_sizes(self.stream_of, self.mini_batch, valid, self.included)
        batch[STREAM] = torch.from_numpy(self.stream_of)
        batch[SEQUENCES] = torch.from_numpy(sequences).float()
        batch[TOKENS] = torch.from_numpy(stream_tokens).float()
        needed = valid > 0
        if only_advantage:
            needed &= (batch["advantages"] != 0).any(-1).numpy()
        kept = asked = np.arange(len(needed)) if only is None else np.flatnonzero(self.stream_of == only)
        if skip and not needed[asked].all():
            # Idle rows of the same stream fill up: a row of another one may have an advantage.
            kept = asked[rows_to_update(needed[asked], self.mini_batch[asked], tokens[asked].tolist(), split, balanced)]
        metrics = {
            "fail2fix/update/skipped_rows": float(len(asked) - len(kept)),
            "fail2fix/update/skipped_token_share": float(1 - tokens[kept].sum() / tokens[asked].sum()),
        }
        if len(kept) == len(needed):
            rows = self.rows
        else:
            rows = self.rows[kept]
            rows.meta_info = self.rows.meta_info | {"global_token_num": tokens[kept].tolist()}
        rows.batch[ROW] = torch.arange(len(kept))
        return rows, kept, metrics

    def measured(self, metrics: dict[str, Any], only: int | None) -> dict[str, Any]:
        """An update's metrics without those of streams that it left out: theirs are of their own update."""
        others = tuple(f"fail2fix/{stream.name}/" for place, stream in enumerate(self.streams) if place != only)
        return metrics if only is None else {k: v for k, v in metrics.items() if not k.startswith(others)}

    def base_rows(self, tensors: Sequence[str], columns: Sequence[str]) -> DataProto:
        """The base stream's rows with these tensors and columns, as far as they exist."""
        kept_tensors = [name for name in tensors if name in self.rows.batch]
        kept_columns = [name for name in columns if name in self.rows.non_tensor_batch]
        return self.rows.select(kept_tensors, kept_columns).select_idxs(torch.from_numpy(self.stream_of == 0))


def join(streams: Sequence[Stream], split: BatchSplit, balance: bool, whole_groups: bool = False) -> JointBatch:
    """One batch of all streams, every rank and mini-batch holding each in proportion.

    Args:
        balance: ranks get rows of similar total length.
        whole_groups: a group stays on one rank where that divides, and its prompt counts once.

    Raises:
        ValueError: the streams differ in their columns.
    """
    stream_of = np.repeat(np.arange(len(streams)), [len(stream) for stream in streams])
    read = [stream.rollouts for stream in streams]
    groups = [rollouts.group_size if whole_groups else 1 for rollouts in read]
    prompts = [rollouts.prompt_tokens // size for rollouts, size in zip(read, groups, strict=True)]
    lengths = np.concatenate([own + rollouts.response_tokens for own, rollouts in zip(prompts, read, strict=True)])
    order, mini_batch = joint_layout(stream_of, lengths.tolist(), split, balanced if balance else None, groups)
    included = np.concatenate([rollouts.included for rollouts in read])[order]
    rows = interleaved([stream.rows for stream in streams], order)
    # From here on no statistic and no loss sees the rows of a group whose verifier failed.
    rows.batch["response_mask"] = rows.batch["response_mask"] * torch.from_numpy(included)[:, None]
    rows.meta_info["global_token_num"] = rows.batch["attention_mask"].sum(-1).tolist()
    rows.meta_info["images_seqlens"] = []
    return JointBatch(rows, streams, stream_of[order], included, order, mini_batch)


def interleaved(parts: Sequence[DataProto], order: Ints) -> DataProto:
    """The rows of ``parts``, one after the other, in a new order; every tensor is copied once.

    Raises:
        ValueError: the parts differ in their columns.
    """
    same_reward_extras(parts)
    first = parts[0]
    for part in parts[1:]:
        differing = set(part.batch.keys()) ^ set(first.batch.keys())
        differing |= part.non_tensor_batch.keys() ^ first.non_tensor_batch.keys()
        if differing:
            raise ValueError(f"the streams differ in their columns: {sorted(differing)}")
    place = torch.empty(len(order), dtype=torch.long)
    place[torch.from_numpy(order)] = torch.arange(len(order))
    places = place.split([len(part) for part in parts])
    tensors = {}
    for key, example in first.batch.items():
        tensors[key] = example.new_empty((len(order), *example.shape[1:]))
        for where, part in zip(places, parts, strict=True):
            tensors[key][where] = part.batch[key]
    columns = {k: np.concatenate([part.non_tensor_batch[k] for part in parts])[order] for k in first.non_tensor_batch}
    keys = first.meta_info.get("reward_extra_keys", [])
    return DataProto.from_dict(tensors=tensors, non_tensors=columns, meta_info={"reward_extra_keys": keys})


def balanced(lengths: Sequence[int], ranks: int) -> list[list[int]]:
    """verl's partition of rows into equally many a rank, of similar total length."""
    return get_seqlen_balanced_partitions(list(lengths), k_partitions=ranks, equal_size=True)
