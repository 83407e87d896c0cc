"""From chosen attempts to the rows verl generates corrections for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from fail2fix.method.prompts import AttemptContext, CorrectionPrompt, CorrectionPromptBuilder
from fail2fix.method.selection import Attempt, PromptGroup, Selection
from fail2fix.verl_ext.extra_info import fill_extra_info
from fail2fix.verl_ext.rollout import GROUP, PROMPT_IDS, PROMPT_IDS_AGENT
from fail2fix.verl_ext.streams import Bools, Floats, Source, Stream, joined_sources, objects


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


@dataclass(frozen=True)
class Replays:
    """What a step replays, one entry a correction group. Arrays are in that order, (K,)."""

    replays: Sequence[Replay] = ()

    def __len__(self) -> int:
        return len(self.replays)

    @property
    def attempts(self) -> list[Attempt]:
        return [replay.attempt for replay in self.replays]

    @property
    def correct(self) -> Bools:
        """The attempts' verdicts."""
        return np.array([replay.attempt.correct for replay in self.replays], dtype=bool)

    @property
    def answers(self) -> list[str]:
        """The attempts' extracted answers."""
        return [replay.pool.answers[replay.row] for replay in self.replays]

    @property
    def pass_rates(self) -> Floats:
        """The empirical pass rates of the attempts' problems."""
        return np.array([replay.pool.solved[replay.attempt.group] / replay.pool.rollouts for replay in self.replays])

    def rewards(self, base: Stream, base_rewards: Floats) -> Floats:
        """The attempts' own unshaped rewards.

        Args:
            base, base_rewards: this step's rollouts (N,), whose rewards may hold more than the manager gave them (KL
                in the reward); an attempt of other rollouts has the reward they are stored with.
        """
        return np.array([(base_rewards if r.pool is base else r.pool.reward)[r.row] for r in self.replays])

    def kept(self, which: Bools) -> Replays:
        """Those of them."""
        return Replays([replay for replay, keep in zip(self.replays, which, strict=True) if keep])


def build_replays(
    pool: Stream, attempts: Sequence[Attempt], builder: CorrectionPromptBuilder
) -> tuple[list[Replay], Counter[str]]:
    """The attempts whose correction prompt fits, and how the others and the shortened ones count."""
    contexts = [_context(pool, attempt) for attempt in attempts]
    prompts = builder.build(contexts)
    replays = [Replay(a, pool, p) for a, p in zip(attempts, prompts, strict=True) if p is not None]
    counts = Counter(
        skipped=len(attempts) - len(replays),
        shortened=sum(r.prompt.shortened for r in replays),
        fell_back_to_block=sum(r.prompt.fell_back for r in replays),
        unknown_thinking=sum(r.prompt.unknown_thinking for r in replays),
    )
    return replays, counts


def fill_replays(
    pool: Stream,
    groups: list[PromptGroup],
    builder: CorrectionPromptBuilder,
    choose: Callable[[list[PromptGroup]], Selection],
) -> tuple[Replays, Selection]:
    """Choose attempts until each has a prompt: one without gives its place to the next in line, and is counted."""
    skipped = 0
    while True:
        selection = choose(groups)
        replays, counts = build_replays(pool, selection.attempts, builder)
        skipped += counts.pop("skipped")
        if len(replays) == len(selection.attempts):
            selection.counts.update(counts, skipped=skipped)
            return Replays(replays), selection
        built = {id(replay.attempt) for replay in replays}
        unfit = {id(attempt) for attempt in selection.attempts} - built
        groups = [_without(group, unfit) for group in groups]


def _without(group: PromptGroup, unfit: set[int]) -> PromptGroup:
    attempts = tuple(replace(a, replayable=False) if id(a) in unfit else a for a in group.attempts)
    return PromptGroup(group.key, attempts)


def _context(pool: Stream, attempt: Attempt) -> AttemptContext:
    row = pool.row_of(attempt)
    return AttemptContext(
        messages=list(pool.rows.non_tensor_batch["raw_prompt"][row]),
        prompt_ids=pool.prompt_ids(row),
        response_ids=pool.response_ids(row),
    )


def correction_source(replays: Sequence[Replay]) -> Source:
    """One row a replay, to be repeated G' times.

    Every column a data set or a reward function needs comes along by taking the attempt's own row; then the row
    gets a group id, METHOD.md's contract in ``extra_info["fail2fix"]`` and the prompt's ids.
    """
    runs = [list(run) for _, run in groupby(replays, key=lambda replay: id(replay.pool))]
    source = joined_sources([run[0].pool.source.rows(np.array([r.row for r in run])) for run in runs])
    fill_extra_info(source.head)
    uids = [f"f2f-{u}-{r.attempt.sample}" for u, r in zip(source.head.non_tensor_batch["uid"], replays, strict=True)]
    infos = [
        dict(info) | {"fail2fix": {"stream": "correction", "attempt_id": uid, "attempt_correct": r.attempt.correct}}
        for info, uid, r in zip(source.head.non_tensor_batch["extra_info"], uids, replays, strict=True)
    ]
    for rows in (source.head, source.request):
        rows.non_tensor_batch["uid"] = np.array(uids, dtype=object)
        rows.non_tensor_batch["extra_info"] = objects(infos)
    request = source.request.non_tensor_batch
    request[GROUP] = np.array([_engine_group(uid, r) for uid, r in zip(uids, replays, strict=True)], dtype=object)
    request["agent_name"] = np.array([PROMPT_IDS_AGENT] * len(replays), dtype=object)
    request[PROMPT_IDS] = objects([np.array(r.prompt.ids) for r in replays])
    return source


def _engine_group(uid: str, replay: Replay) -> str:
    """Which rollouts a correction's prompt shares a prefix with: its problem's (``turn``), or its attempt's alone."""
    return uid.removeprefix("f2f-").rpartition("-")[0] if replay.prompt.form == "turn" else uid
