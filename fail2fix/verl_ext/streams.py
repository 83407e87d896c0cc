"""A stream's rollouts in verl's batch, read as the core's plain values; and both streams as one batch.

Natural order is group by group, base rows first. The joint batch is laid out for ranks and mini-batches
(``method.objective.joint_layout``) and remembers where each natural row went.

Legend: N rows, B problems, K correction groups, G rollouts a group, P and R prompt and response width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from verl import DataProto
from verl.utils.seqlen_balancing import get_seqlen_balanced_partitions

from fail2fix.method.ledger import Cost
from fail2fix.method.metrics import Rollouts
from fail2fix.method.objective import BASE, CORRECTION, BatchSplit, joint_layout
from fail2fix.method.selection import Attempt, PromptGroup
from fail2fix.method.verdict import reaches
from fail2fix.run.faults import Checks
from fail2fix.verify.reward_errors import REWARD_ERROR
from fail2fix.verl_ext.rollout import STREAM_NAME, same_reward_extras

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """What a stream's rows are generated from, in verl's two halves, row by row.

    Attributes:
        head: what verl keeps aside for the batch (a tensor, uid, data_source, reward_model, extra_info).
        request: what the agent loop and the reward function get.
    """

    head: DataProto
    request: DataProto

    def __len__(self) -> int:
        return len(self.head)

    def rows(self, index: Ints) -> Source:
        return Source(self.head[index], self.request[index])

    def repeat(self, times: int) -> Source:
        return Source(self.head.repeat(times, interleave=True), self.request.repeat(times, interleave=True))

    def asked(self, priority: Ints, step: int, stream: str) -> DataProto:
        """The request as verl's manager takes it; a copy, because the manager writes into it.

        ``stream``: what the rollouts are for; seeds depend on it.
        """
        columns = dict(self.request.non_tensor_batch) | {"priority": priority}
        about = dict(self.request.meta_info) | {"global_steps": step, STREAM_NAME: stream}
        return DataProto(non_tensor_batch=columns, meta_info=about)

    def answered(self, output: DataProto) -> DataProto:
        """Head and output as one batch; the head stays as it is, corrections are built from it."""
        head = DataProto(self.head.batch.copy(), dict(self.head.non_tensor_batch), dict(self.head.meta_info))
        return head.union(output)


@dataclass
class Stream:
    """One stream's rollouts, verified, in natural order.

    Attributes:
        rows: N = groups * G rows.
        rollouts: G.
        source: what the rows were generated from.
        correct_threshold: for reward functions that give no ``acc`` (METHOD.md, "Verdict").
    """

    rows: DataProto
    rollouts: int
    source: Source
    correct_threshold: float = 1.0

    @property
    def groups(self) -> int:
        return len(self.rows) // self.rollouts

    @cached_property
    def correct(self) -> Bools:
        """Verdicts (N,)."""
        columns = self.rows.non_tensor_batch
        if "verdict" in columns:
            return columns["verdict"].astype(int) == 1
        # verl's own managers: beside a score, acc is what the function gave; alone, it is a plain reward's copy.
        if "acc" in columns and "score" in columns:
            return np.asarray(reaches(columns["acc"].astype(float)))
        score = next((columns[name] for name in ("score", "acc") if name in columns), self.reward)
        return np.asarray(reaches(score.astype(float), self.correct_threshold))

    @property
    def reward(self) -> Floats:
        """The reward the manager gave (N,), shaped for corrections."""
        return self.rows.batch["rm_scores"].sum(-1).double().numpy()

    @property
    def risk(self) -> Floats:
        """What shaping took from each reward (N,): R - R~."""
        columns = self.rows.non_tensor_batch
        if "plain_reward" not in columns:
            return np.zeros(len(self.rows))
        return columns["plain_reward"].astype(float) - columns["shaped_reward"].astype(float)

    @cached_property
    def solved(self) -> Ints:
        """How many of each group's rollouts are correct (groups,): the integers behind the empirical pass rates."""
        return np.asarray(self.by_group(self.correct).sum(axis=1))

    @cached_property
    def answers(self) -> list[str]:
        """Extracted answers (N), empty where the reward function gives none."""
        return [str(answer) for answer in self.rows.non_tensor_batch.get("pred", [""] * len(self.rows))]

    def status(self, name: str) -> Bools:
        """Rows (N,) whose check ended in ``name``: ok, no_answer, timeout, over_limit or error."""
        statuses = self.rows.non_tensor_batch.get("verify_status")
        if statuses is None:
            return np.zeros(len(self.rows), dtype=bool)
        return np.array([status == name for status in statuses], dtype=bool)

    @property
    def excluded(self) -> Bools:
        """Groups (N / G,) that leave the step: the verifier failed on one of their rollouts (METHOD.md, "Verdict")."""
        return np.asarray(self.by_group(self.status("error")).any(axis=1))

    @property
    def checks(self) -> Checks:
        """How the rows' checks ended, as a step's limits of failures read it."""
        errors = self.rows.non_tensor_batch.get(REWARD_ERROR, ())
        return Checks(
            rollouts=len(self.rows),
            groups=self.groups,
            timed_out=int(self.status("timeout").sum()),
            failed=int(self.status("error").sum()),
            excluded=int(self.excluded.sum()),
            reward_errors=[str(error) for error in errors if error],
        )

    @property
    def included_rows(self) -> Bools:
        return np.repeat(~self.excluded, self.rollouts)

    @cached_property
    def prompt_tokens(self) -> Ints:
        width = self.rows.batch["prompts"].shape[1]
        return self.rows.batch["attention_mask"][:, :width].sum(-1).numpy()

    @cached_property
    def response_tokens(self) -> Ints:
        width = self.rows.batch["prompts"].shape[1]
        return self.rows.batch["attention_mask"][:, width:].sum(-1).numpy()

    @property
    def cached_tokens(self) -> Ints | None:
        """Prompt tokens that the engine's prefix cache held already (N,); None where the engine does not say."""
        cached = self.rows.non_tensor_batch.get("num_cached_tokens")
        if cached is None or any(count is None for count in cached):
            return None
        return cached.astype(np.int64)

    def cut_off(self, end_of_turn: set[int]) -> Bools:
        """Rollouts that fill the response width and do not end with an end-of-turn token (N,)."""
        responses = self.rows.batch["responses"]
        full = self.response_tokens == responses.shape[1]
        ended = np.isin(responses[:, -1].numpy(), list(end_of_turn))
        return full & ~ended

    @cached_property
    def problem_keys(self) -> list[str]:
        """What identifies each group's problem (groups): a digest of its prompt's ids."""
        prompts = self.rows.batch["prompts"].numpy()
        firsts = range(0, len(self.rows), self.rollouts)
        return [_digest(prompts[row, -int(self.prompt_tokens[row]) :]) for row in firsts]

    def cost(self, seconds: float) -> Cost:
        """What the stream's rollouts cost; a reward manager that does not count its calls made one a rollout."""
        calls = self.rows.non_tensor_batch.get("verifier_calls")
        return Cost(
            rollouts=len(self.rows),
            prompt_tokens=int(self.prompt_tokens.sum()),
            generated_tokens=int(self.response_tokens.sum()),
            verifier_calls=len(self.rows) if calls is None else int(calls.astype(int).sum()),
            seconds=seconds,
        )

    def groups_at(self, index: Ints) -> Stream:
        """The stream of these groups, in this order."""
        rows = (index[:, None] * self.rollouts + np.arange(self.rollouts)).ravel()
        return Stream(self.rows[rows], self.rollouts, self.source.rows(rows), self.correct_threshold)

    def row_of(self, attempt: Attempt) -> int:
        """The row of a base rollout."""
        return attempt.group * self.rollouts + attempt.sample

    def by_group(self, values: NDArray) -> NDArray:
        """(N,) as (groups, G)."""
        return values.reshape(-1, self.rollouts)

    def prompt_ids(self, row: int) -> list[int]:
        width, used = self.rows.batch["prompts"].shape[1], int(self.prompt_tokens[row])
        return self.rows.batch["prompts"][row, width - used :].tolist()

    def response_ids(self, row: int) -> list[int]:
        return self.rows.batch["responses"][row, : int(self.response_tokens[row])].tolist()

    def summary(self, end_of_turn: set[int]) -> Rollouts:
        """What the stream's metrics read."""
        reward = self.reward
        return Rollouts(
            correct=self.correct,
            plain_reward=reward + self.risk,
            shaped_reward=reward,
            prompt_tokens=self.prompt_tokens,
            response_tokens=self.response_tokens,
            cut_off=self.cut_off(end_of_turn),
            unanswered=self.status("no_answer"),
            timed_out=self.status("timeout"),
            over_limit=self.status("over_limit"),
            failed=self.status("error"),
            excluded=~self.included_rows,
        )


def prompt_groups(base: Stream, has_room: Bools, end_of_turn: set[int]) -> list[PromptGroup]:
    """The step's problems and attempts, as selection reads them; groups whose verifier failed are not among them.

    ``has_room`` (B,): problems whose correction prompt has room for an attempt.
    """
    correct, cut_off, timed_out = base.correct, base.cut_off(end_of_turn), base.status("timeout")
    response_length, responses = base.response_tokens, base.rows.batch["responses"].numpy()
    groups = []
    for group in np.flatnonzero(~base.excluded):
        first = int(group) * base.rollouts
        attempts = tuple(
            Attempt(
                group=int(group),
                sample=row - first,
                correct=bool(correct[row]),
                content=responses[row, : int(response_length[row])].tobytes(),
                cut_off=bool(cut_off[row]),
                replayable=bool(has_room[group]) and not timed_out[row],
            )
            for row in range(first, first + base.rollouts)
        )
        groups.append(PromptGroup(key=base.problem_keys[int(group)], attempts=attempts))
    return groups


def concatenated(streams: Sequence[Stream]) -> Stream:
    """Streams of equally large groups as one, in order."""
    first = streams[0]
    if len(streams) == 1:
        return first
    parts = [stream.rows for stream in streams]
    same_reward_extras(parts)
    source = joined_sources([stream.source for stream in streams])
    return Stream(DataProto.concat(parts), first.rollouts, source, first.correct_threshold)


def joined_sources(sources: Sequence[Source]) -> Source:
    """Sources one after the other."""
    if len(sources) == 1:
        return sources[0]
    return Source(
        DataProto.concat([source.head for source in sources]), DataProto.concat([source.request for source in sources])
    )


def objects(values: Sequence) -> NDArray:
    """An object array of the values themselves; numpy would stack equal-sized ones."""
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array


def _digest(ids: NDArray) -> str:
    return hashlib.blake2b(ids.tobytes(), digest_size=8).hexdigest()


@dataclass
class JointBatch:
    """Both streams as one verl batch.

    Attributes:
        rows: N rows, laid out rank by rank, mini-batch by mini-batch, base rows first.
        order: (N,) the natural row of each laid-out row.
        mini_batch: (N,) the mini-batch of each laid-out row.
        base, correction: the streams in natural order; no correction on a plain GRPO step.
    """

    rows: DataProto
    order: Ints
    mini_batch: Ints
    base: Stream
    correction: Stream | None = None

    def natural(self, laid_out: NDArray) -> NDArray:
        values = np.empty_like(laid_out)
        values[self.order] = laid_out
        return values

    def laid_out(self, natural: NDArray) -> NDArray:
        return natural[self.order]

    @property
    def streams(self) -> Ints:
        """(N,) BASE or CORRECTION, laid out."""
        return np.where(self.order < len(self.base.rows), BASE, CORRECTION)

    @property
    def included(self) -> Bools:
        """(N,) rows that stay in the update, laid out."""
        streams = [self.base] + ([self.correction] if self.correction else [])
        return self.laid_out(np.concatenate([stream.included_rows for stream in streams]))

    def base_rows(self, tensors: Sequence[str], columns: Sequence[str]) -> DataProto:
        """The base stream's rows with these tensors and columns, those of them that exist."""
        kept_tensors = [name for name in tensors if name in self.rows.batch]
        kept_columns = [name for name in columns if name in self.rows.non_tensor_batch]
        return self.rows.select(kept_tensors, kept_columns).select_idxs(torch.from_numpy(self.streams == BASE))


def join(base: Stream, correction: Stream | None, split: BatchSplit, balance: bool) -> JointBatch:
    """One batch of both streams, every rank and mini-batch holding both in proportion."""
    streams = [base] if correction is None else [base, correction]
    same_reward_extras([stream.rows for stream in streams])
    stream_of = np.repeat([BASE, CORRECTION][: len(streams)], [len(stream.rows) for stream in streams])
    lengths = np.concatenate([stream.prompt_tokens + stream.response_tokens for stream in streams]).tolist()
    order, mini_batch = joint_layout(stream_of, lengths, split, balanced if balance else None)
    rows = _interleave([stream.rows for stream in streams], order)
    joint = JointBatch(rows, order, mini_batch, base, correction)
    # From here on no statistic and no loss sees the rows of a group whose verifier failed.
    rows.batch["response_mask"] = rows.batch["response_mask"] * torch.from_numpy(joint.included)[:, None]
    return joint


def _interleave(parts: list[DataProto], order: Ints) -> DataProto:
    """The rows of ``parts``, one after the other, in a new order; every tensor is copied once.

    Raises:
        ValueError: the parts differ in their columns.
    """
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
