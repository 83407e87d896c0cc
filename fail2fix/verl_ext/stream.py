"""A stream: verified rollouts of requests, read once when they arrive.

Legend: N rows in N / G groups of G rollouts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from verl import DataProto

from fail2fix.method.rollouts import Bools, Floats, Ints, Rollouts
from fail2fix.method.selection import Attempt, PromptGroup
from fail2fix.method.verdict import reaches
from fail2fix.verify.reward_errors import REWARD_ERROR
from fail2fix.verl_ext.requests import Requests, joined_requests
from fail2fix.verl_ext.reward_extras import same_reward_extras


@dataclass(frozen=True)
class Reading:
    """How rows are read as rollouts.

    Attributes:
        end_of_turn: tokens that end a response.
        correct_threshold: for reward functions that give no ``acc`` (METHOD.md, "Verdict").
    """

    end_of_turn: Collection[int] = ()
    correct_threshold: float = 1.0


@dataclass(frozen=True)
class Stream:
    """One stream's rollouts in natural order.

    Attributes:
        name: ``base`` or ``correction``.
        rows: N rows in verl's batch.
        requests: N rows they were generated from.
        rollouts: the rows as plain values.
        reading: how they were read.
    """

    name: str
    rows: DataProto
    requests: Requests
    rollouts: Rollouts
    reading: Reading

    @classmethod
    def of(cls, name: str, rows: DataProto, requests: Requests, group_size: int, reading: Reading) -> Stream:
        """Read verified rows."""
        return cls(name, rows, requests, read_rollouts(rows, group_size, reading), reading)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def cached_tokens(self) -> Ints | None:
        """Prompt tokens that the engine's prefix cache held already (N,); None where the engine does not say."""
        cached = self.rows.non_tensor_batch.get("num_cached_tokens")
        if cached is None or any(count is None for count in cached):
            return None
        return cached.astype(np.int64)

    def groups_at(self, index: Ints) -> Stream:
        """The stream of these groups, in this order."""
        size = self.rollouts.group_size
        rows = (index[:, None] * size + np.arange(size)).ravel()
        return Stream.of(self.name, self.rows[rows], self.requests.rows(rows), size, self.reading)

    def row_of(self, attempt: Attempt) -> int:
        """The row of a rollout."""
        return attempt.group * self.rollouts.group_size + attempt.sample

    def prompt_ids(self, row: int) -> list[int]:
        width, used = self.rows.batch["prompts"].shape[1], int(self.rollouts.prompt_tokens[row])
        return self.rows.batch["prompts"][row, width - used :].tolist()

    def response_ids(self, row: int) -> list[int]:
        return self.rows.batch["responses"][row, : int(self.rollouts.response_tokens[row])].tolist()

    def prompt_groups(self, fits: Callable[[int], bool]) -> list[PromptGroup]:
        """The problems and their attempts, as selection reads them; groups whose verifier failed are not among them.

        ``fits``: tokens of a problem's prompt -> whether its correction prompt has room for an attempt.
        """
        read, size = self.rollouts, self.rollouts.group_size
        timed_out, responses = read.ended_in("timeout"), self.rows.batch["responses"].numpy()
        groups = []
        for group in map(int, np.flatnonzero(~read.excluded)):
            has_room = fits(int(read.prompt_tokens[group * size]))
            attempts = tuple(
                Attempt(
                    group=group,
                    sample=row - group * size,
                    correct=bool(read.correct[row]),
                    content=_digest(responses[row, : int(read.response_tokens[row])], 16),
                    cut_off=bool(read.cut_off[row]),
                    replayable=has_room and not timed_out[row],
                )
                for row in range(group * size, (group + 1) * size)
            )
            groups.append(PromptGroup(key=read.problems[group], attempts=attempts))
        return groups


Answer = Callable[[Requests, int, int], tuple[Stream, list[str]]]
"""(requests, rollouts a group, number of the first request) -> verified responses and their texts."""


def concatenated(streams: Sequence[Stream]) -> Stream:
    """Streams of equally large groups as one, in order."""
    first = streams[0]
    if len(streams) == 1:
        return first
    parts = [stream.rows for stream in streams]
    same_reward_extras(parts)
    requests = joined_requests([stream.requests for stream in streams])
    return Stream.of(first.name, DataProto.concat(parts), requests, first.rollouts.group_size, first.reading)


def read_rollouts(rows: DataProto, group_size: int, reading: Reading) -> Rollouts:
    """Rows (N,) of verl's batch as plain values."""
    prompts, mask = rows.batch["prompts"].numpy(), rows.batch["attention_mask"]
    width = prompts.shape[1]
    prompt_tokens, response_tokens = mask[:, :width].sum(-1).numpy(), mask[:, width:].sum(-1).numpy()
    reward = rows.batch["rm_scores"].sum(-1).double().numpy()
    columns = rows.non_tensor_batch
    calls = columns.get("verifier_calls")
    return Rollouts(
        group_size=group_size,
        correct=_verdicts(columns, reward, reading.correct_threshold),
        reward=reward,
        taken=_taken(columns, len(rows)),
        prompt_tokens=prompt_tokens,
        response_tokens=response_tokens,
        cut_off=_cut_off(rows, response_tokens, reading.end_of_turn),
        answers=[str(answer) for answer in columns.get("pred", [""] * len(rows))],
        problems=[
            _digest(prompts[row, width - prompt_tokens[row] :], 8).hex() for row in range(0, len(rows), group_size)
        ],
        statuses=None if (statuses := columns.get("verify_status")) is None else list(statuses),
        # A reward manager that does not count its calls made one a rollout.
        verifier_calls=len(rows) if calls is None else int(calls.astype(int).sum()),
        reward_errors=[str(error) for error in columns.get(REWARD_ERROR, ()) if error],
    )


def _verdicts(columns: dict[str, NDArray], reward: Floats, threshold: float) -> Bools:
    if "verdict" in columns:
        return columns["verdict"].astype(int) == 1
    # verl's own managers: beside a score, acc is what the function gave; alone, it is a plain reward's copy.
    if "acc" in columns and "score" in columns:
        return np.asarray(reaches(columns["acc"].astype(float)))
    score = next((columns[name] for name in ("score", "acc") if name in columns), reward)
    return np.asarray(reaches(score.astype(float), threshold))


def _taken(columns: dict[str, NDArray], rows: int) -> Floats:
    if "plain_reward" not in columns:
        return np.zeros(rows)
    return columns["plain_reward"].astype(float) - columns["shaped_reward"].astype(float)


def _cut_off(rows: DataProto, response_tokens: Ints, end_of_turn: Collection[int]) -> Bools:
    """Rows (N,) that fill the response width and do not end with an end-of-turn token."""
    responses = rows.batch["responses"]
    return (response_tokens == responses.shape[1]) & ~np.isin(responses[:, -1].numpy(), list(end_of_turn))


def _digest(tokens: Ints, size: int) -> bytes:
    """What identifies a problem, or an attempt at it: ``size`` bytes that its token ids decide."""
    return hashlib.blake2b(tokens.tobytes(), digest_size=size).digest()
