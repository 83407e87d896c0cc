"""What a stream's rollouts are generated from: dataset rows or replays, as rows that verl's engines answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from verl import DataProto

from fail2fix.method.rollouts import Ints

PROMPT_IDS_AGENT = "fail2fix_prompt_ids"
PROMPT_IDS = "fail2fix_prompt_ids"
GROUP = "fail2fix_group"  # which rows have a prefix in common
PURPOSE = "fail2fix_purpose"  # in meta_info: what the rollouts are for


@dataclass(frozen=True)
class Requests:
    """Rows to generate from, in verl's two halves.

    Attributes:
        head: what verl keeps aside for the batch (a tensor, uid, data_source, reward_model, extra_info).
        request: what the agent loop and the reward function get.
    """

    head: DataProto
    request: DataProto

    def __len__(self) -> int:
        return len(self.head)

    def rows(self, index: Ints) -> Requests:
        return Requests(self.head[index], self.request[index])

    def repeat(self, times: int) -> Requests:
        return Requests(self.head.repeat(times, interleave=True), self.request.repeat(times, interleave=True))

    def asked(self, first: int, step: int, purpose: str) -> DataProto:
        """The request as verl's manager takes it; a copy, because the manager writes into it.

        Args:
            first: priority of the first row; under full determinism a priority names a request, so that no two of a
                step may be equal.
            purpose: what the rollouts are for; seeds depend on it.
        """
        priority = np.arange(first, first + len(self), dtype=np.int64)
        columns = dict(self.request.non_tensor_batch) | {"priority": priority}
        about = dict(self.request.meta_info) | {"global_steps": step, PURPOSE: purpose}
        return DataProto(non_tensor_batch=columns, meta_info=about)

    def answered(self, output: DataProto) -> DataProto:
        """Head and output as one batch; the head stays as it is, corrections are built from it."""
        head = DataProto(self.head.batch.copy(), dict(self.head.non_tensor_batch), dict(self.head.meta_info))
        return head.union(output)


def joined_requests(parts: Sequence[Requests]) -> Requests:
    """Requests one after the other, each with an ``extra_info``."""
    joined = parts[0]
    if len(parts) > 1:
        joined = Requests(*(DataProto.concat([getattr(part, half) for part in parts]) for half in ("head", "request")))
    fill_extra_info(joined.head)
    return joined


def fill_extra_info(rows: DataProto) -> None:
    """Give every row an ``extra_info``, in place: a data set class may leave it out, also for some rows only."""
    given = rows.non_tensor_batch.get("extra_info", [None] * len(rows))
    if any(info is None for info in given):
        rows.non_tensor_batch["extra_info"] = objects([{} if info is None else info for info in given])


def objects(values: Sequence) -> NDArray:
    """An object array of the values themselves; numpy would stack equal-sized ones."""
    return np.fromiter(values, dtype=object, count=len(values))
