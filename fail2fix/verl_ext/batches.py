"""Join verl batches that were generated apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from verl import DataProto

from fail2fix.method.rollouts import Ints
from fail2fix.verl_ext.reward_extras import absent


def same_reward_extras(outputs: Sequence[DataProto]) -> None:
    """Give every part every reward extra, in place.

    A reward function may return a field for some rows only, and one that failed returns none of its own.
    """
    keys = sorted({key for part in outputs for key in part.meta_info.get("reward_extra_keys", [])})
    for key in keys:
        example = next(part.non_tensor_batch[key] for part in outputs if key in part.non_tensor_batch)
        for part in outputs:
            if key not in part.non_tensor_batch:
                part.non_tensor_batch[key] = np.array([absent(example[0])] * len(part))
    for part in outputs:
        if "reward_extra_keys" in part.meta_info:
            part.meta_info["reward_extra_keys"] = keys


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
