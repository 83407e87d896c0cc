"""Replays: chosen attempts with the prompts that ask for their correction (METHOD.md, items 2 and 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np

from fail2fix.method.errors import InputError
from fail2fix.method.prompts import AttemptContext, CorrectionPrompt, CorrectionPromptBuilder
from fail2fix.method.rollouts import CORRECTION, Bools, Floats
from fail2fix.method.selection import Attempt, PromptGroup, Selection
from fail2fix.verl_ext.requests import GROUP, PROMPT_IDS, PROMPT_IDS_AGENT, Requests, joined_requests, objects
from fail2fix.verl_ext.stream import Stream

Choose = Callable[[list[PromptGroup]], Selection]


@dataclass(frozen=True)
class Replay:
    """An attempt that will be corrected, the rollouts it is one of, and the prompt that asks for it."""

    attempt: Attempt
    pool: Stream
    prompt: CorrectionPrompt

    @property
    def row(self) -> int:
        """The attempt's row in its pool."""
        return self.pool.row_of(self.attempt)

    @property
    def answer(self) -> str:
        """The attempt's extracted answer."""
        return self.pool.rollouts.answers[self.row]


@dataclass(frozen=True)
class Replays:
    """What a step replays, one entry a correction group. Arrays are in that order, (K,).

    ``groups``: the attempts that were chosen from; those that turned out to have no prompt are not replayable.
    """

    replays: Sequence[Replay] = ()
    groups: Sequence[PromptGroup] = ()

    def __len__(self) -> int:
        return len(self.replays)

    @cached_property
    def correct(self) -> Bools:
        """The attempts' verdicts."""
        return np.array([replay.attempt.correct for replay in self.replays], dtype=bool)

    @cached_property
    def answers(self) -> list[str]:
        """The attempts' extracted answers."""
        return [replay.answer for replay in self.replays]

    @cached_property
    def pass_rates(self) -> Floats:
        """The empirical pass rates of the attempts' problems."""
        pools = [(replay.pool.rollouts, replay.attempt.group) for replay in self.replays]
        return np.array([pool.solved[group] / pool.group_size for pool, group in pools])

    def retention(self, corrections: Stream) -> tuple[int, int]:
        """How many rollouts of the groups with a correct attempt are correct, and how many there are."""
        read = corrections.rollouts
        verdicts = read.by_group(read.correct)[self.correct & ~read.excluded]
        return int(verdicts.sum()), int(verdicts.size)

    def rewards(self, base: Stream, base_rewards: Floats) -> Floats:
        """The attempts' own unshaped rewards.

        Args:
            base: this step's rollouts. An attempt of other rollouts has the reward that they are stored with.
            base_rewards: (N,) their rewards, which may include KL in the reward.
        """
        return np.array([(base_rewards if r.pool is base else r.pool.rollouts.reward)[r.row] for r in self.replays])


def choose_replays(pool: Stream, builder: CorrectionPromptBuilder, choose: Choose) -> tuple[Replays, Selection]:
    """Choose attempts until each has a prompt: one without gives its place to the next in line, and is counted.

    Raises:
        InputError: the rule chooses an attempt that cannot be replayed.
    """
    groups, skipped = pool.prompt_groups(builder.fits), 0
    refused: set[tuple[int, int]] = set()  # by place: a rule may return attempts that it has made or kept
    while True:
        selection = choose(groups)
        replays, counts = build_replays(pool, selection.attempts, builder)
        skipped += counts.pop("skipped")
        if len(replays) == len(selection.attempts):
            selection.counts.update(counts, skipped=skipped)
            return Replays(replays, groups), selection
        unfit = {_place(a) for a in selection.attempts} - {_place(replay.attempt) for replay in replays}
        if unfit & refused:
            raise InputError("fail2fix.replay.rule chose an attempt with replayable=False, which has no prompt")
        refused |= unfit
        groups = [_without(group, unfit) for group in groups]


def build_replays(
    pool: Stream, attempts: Sequence[Attempt], builder: CorrectionPromptBuilder
) -> tuple[list[Replay], Counter[str]]:
    """The attempts whose correction prompt fits, and how the others and the shortened ones count."""
    messages, rows = pool.rows.non_tensor_batch["raw_prompt"], [pool.row_of(attempt) for attempt in attempts]
    contexts = [AttemptContext(list(messages[row]), pool.prompt_ids(row), pool.response_ids(row)) for row in rows]
    prompts = builder.build(contexts)
    replays = [Replay(a, pool, p) for a, p in zip(attempts, prompts, strict=True) if p is not None]
    counts = Counter(
        skipped=len(attempts) - len(replays),
        shortened=sum(r.prompt.shortened for r in replays),
        fell_back_to_block=sum(r.prompt.fell_back for r in replays),
        unknown_thinking=sum(r.prompt.unknown_thinking for r in replays),
    )
    return replays, counts


def _place(attempt: Attempt) -> tuple[int, int]:
    return attempt.group, attempt.sample


def _without(group: PromptGroup, unfit: set[tuple[int, int]]) -> PromptGroup:
    attempts = tuple(replace(a, replayable=False) if _place(a) in unfit else a for a in group.attempts)
    return PromptGroup(group.key, attempts)


def correction_requests(replays: Sequence[Replay]) -> Requests:
    """One row a replay.

    The attempt's own row brings every column that a data set or a reward function needs. The row then gets a group id,
    the contract of METHOD.md, "Reward rows" in ``extra_info["fail2fix"]`` and the prompt's token ids.
    """
    runs = [list(run) for _, run in groupby(replays, key=lambda replay: id(replay.pool))]
    requests = joined_requests([run[0].pool.requests.rows(np.array([r.row for r in run])) for run in runs])
    head = requests.head.non_tensor_batch
    uids = [f"f2f-{u}-{r.attempt.sample}" for u, r in zip(head["uid"], replays, strict=True)]
    contracts = [
        {
            "stream": CORRECTION,
            "attempt_id": uid,
            "attempt_correct": r.attempt.correct,
            "attempt": r.prompt.attempt,
        }
        for uid, r in zip(uids, replays, strict=True)
    ]
    infos = [dict(info) | {"fail2fix": own} for info, own in zip(head["extra_info"], contracts, strict=True)]
    for rows in (requests.head, requests.request):
        rows.non_tensor_batch["uid"] = np.array(uids, dtype=object)
        rows.non_tensor_batch["extra_info"] = objects(infos)
    request = requests.request.non_tensor_batch
    request[GROUP] = np.array([_engine_group(uid, r) for uid, r in zip(uids, replays, strict=True)], dtype=object)
    request["agent_name"] = np.array([PROMPT_IDS_AGENT] * len(replays), dtype=object)
    request[PROMPT_IDS] = objects([np.array(r.prompt.ids) for r in replays])
    return requests


def _engine_group(uid: str, replay: Replay) -> str:
    """Which rollouts a correction's prompt shares a prefix with: its problem's (``turn``), or its attempt's alone."""
    return uid.removeprefix("f2f-").rpartition("-")[0] if replay.prompt.form == "turn" else uid
