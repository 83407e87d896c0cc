"""Streams as verl batches: verdicts, excluded groups, replays without room, joining, reward extras."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from verl import DataProto
from verl.workers.rollout.router import GlobalRequestLoadBalancer

from fail2fix.method.config import ReplayConfig
from fail2fix.method.errors import InputError
from fail2fix.method.ledger import Cost
from fail2fix.method.objective import BatchSplit
from fail2fix.method.prompts import AttemptContext, CorrectionPrompt
from fail2fix.method.selection import Attempt, PromptGroup, Selection, distinct_candidates, select_attempts
from fail2fix.verl_ext.joint_batch import JointBatch, join
from fail2fix.verl_ext.replays import Replay, Replays, choose_replays, correction_requests
from fail2fix.verl_ext.requests import GROUP, Requests
from fail2fix.verl_ext.stream import Reading, Stream, concatenated

P, R = 5, 4


def stream(groups: int, rollouts: int, first: int = 0, name: str = "base", **columns: list[Any]) -> Stream:
    """Rows that carry their own number in every tensor and column."""
    n = groups * rollouts
    number = torch.arange(first, first + n)
    mask = torch.ones(n, P + R, dtype=torch.long)
    mask[:, 0] = 0
    tensors = {
        "prompts": number[:, None].expand(n, P).contiguous(),
        "responses": (number[:, None] * 10 + torch.arange(R)).contiguous(),
        "attention_mask": mask,
        "response_mask": mask[:, P:].clone(),
        "rm_scores": torch.nn.functional.pad(number.float()[:, None], (R - 1, 0)),
    }
    own = {"raw_prompt": [[{"role": "user", "content": "?"}]] * n} | columns
    given = {"uid": [f"u{(first + i) // rollouts}" for i in range(n)], "verify_status": ["ok"] * n} | own
    extras = [key for key in given if key not in ("uid", "raw_prompt")]
    arrays = {}
    for column, values in given.items():
        arrays[column] = np.empty(n, dtype=object)
        for i, value in enumerate(values):
            arrays[column][i] = value
    rows = DataProto.from_dict(tensors=tensors, non_tensors=arrays, meta_info={"reward_extra_keys": extras})
    return read(rows, rollouts, name)


def always(tokens: int) -> bool:
    """Every problem has room for an attempt."""
    return True


def read(rows: DataProto, rollouts: int, name: str = "base", threshold: float = 1.0) -> Stream:
    return Stream.of(name, rows, Requests(rows, rows), rollouts, Reading({0}, threshold))


@pytest.mark.parametrize(
    ("columns", "correct"),
    [
        ({"verdict": [1, 0, 0, 1]}, [1, 0, 0, 1]),
        ({"acc": [1, 0, 0, 1.0], "score": [0, 0, 9, 9]}, [1, 0, 0, 1]),  # verl's managers: a function's own acc
        ({"acc": [0.4, 0.5, 0.5 - 1e-9, 0.6]}, [0, 1, 1, 1]),  # a plain reward, which they call acc
        ({"score": [0.4, 0.5, 0.5 - 1e-9, 0.6]}, [0, 1, 1, 1]),  # not the reward with its other terms
        ({}, [0, 1, 1, 1]),
    ],
)
def test_a_verdict_is_read_from_what_the_manager_gives(columns: dict[str, list[Any]], correct: list[int]) -> None:
    made = read(stream(2, 2, **columns).rows, 2, threshold=0.5)
    assert made.rollouts.correct.astype(int).tolist() == correct


def test_only_an_answer_that_could_not_be_read_is_never_replayed() -> None:
    """A program over its limits can be corrected; METHOD.md, "Verdict"."""
    base = stream(1, 4, verify_status=["ok", "timeout", "over_limit", "no_answer"], verdict=[1, 0, 0, 0])
    (group,) = base.prompt_groups(always)
    assert [attempt.replayable for attempt in group.attempts] == [True, False, True, True]
    assert base.rollouts.ended_in("timeout").sum() == 1
    assert not base.rollouts.excluded.any()


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("balance", [True, False])
@pytest.mark.parametrize("whole_groups", [True, False])
def test_joining_moves_whole_rows_and_can_be_undone(ranks: int, balance: bool, whole_groups: bool) -> None:
    base, correction = stream(4, 4), stream(4, 2, first=16)
    joint = join([base, correction], BatchSplit(ranks=ranks, mini_batches=2), balance, whole_groups)
    number = joint.rows.batch["prompts"][:, 0].numpy()
    assert joint.natural(number).tolist() == list(range(24))
    assert joint.rows.batch["rm_scores"].sum(-1).int().tolist() == number.tolist()
    assert (joint.rows.batch["responses"][:, 0].numpy() == number * 10).all()
    assert joint.stream_of.tolist() == (number >= 16).astype(int).tolist()
    sizes = {(step, s): ((joint.mini_batch == step) & (joint.stream_of == s)).sum() for step in (0, 1) for s in (0, 1)}
    assert sizes == {(0, 0): 8, (1, 0): 8, (0, 1): 4, (1, 1): 4}


def test_groups_stay_on_one_rank_and_ranks_of_similar_length() -> None:
    """Prompts have the same length: ranks differ by responses only, and a group's prompt counts once."""
    base, correction = stream(8, 4), stream(4, 2, first=32)
    for made in (base, correction):
        kept = torch.randint(1, R + 1, (len(made), 1), generator=torch.Generator().manual_seed(len(made)))
        made.rows.batch["attention_mask"][:, P:] = (torch.arange(R) < kept).long()
        made.rows.batch["response_mask"] = made.rows.batch["attention_mask"][:, P:].clone()
    streams = [read(base.rows, 4), read(correction.rows, 2, "correction")]
    joint = join(streams, BatchSplit(ranks=2), balance=True, whole_groups=True)
    number = joint.rows.batch["prompts"][:, 0].numpy()
    ranks = np.split(np.where(number < 32, number // 4, 8 + (number - 32) // 2), 2)
    assert not set(ranks[0]) & set(ranks[1])
    one, other = (int(part.sum()) for part in joint.rows.batch["response_mask"].split(len(number) // 2))
    assert abs(one - other) <= 0.05 * (one + other)


def test_streams_that_differ_in_a_tensor_are_refused() -> None:
    base, correction = stream(2, 2), stream(2, 2, first=4)
    correction.rows.batch["extra"] = torch.zeros(4)
    with pytest.raises(ValueError, match="extra"):
        join([base, correction], BatchSplit(), balance=False)


def test_a_reward_field_of_one_stream_only_is_filled_in_the_other() -> None:
    base, correction = stream(2, 2, hint=["a", "b", "c", "d"]), stream(2, 2, first=4)
    joint: JointBatch = join([base, correction], BatchSplit(), balance=False)
    assert joint.rows.non_tensor_batch["hint"].tolist() == ["a", "b", "c", "d", "", "", "", ""]
    assert "hint" in joint.rows.meta_info["reward_extra_keys"]


def test_a_failed_check_takes_its_whole_group_out_of_everything() -> None:
    base = stream(3, 2, verify_status=["ok", "error", "ok", "ok", "timeout", "ok"])
    assert base.rollouts.excluded.tolist() == [True, False, False]
    groups = base.prompt_groups(always)
    assert [group.attempts[0].group for group in groups] == [1, 2]
    replayable = [[a.replayable for a in group.attempts] for group in groups]
    assert replayable == [[True, True], [False, True]], "a check that timed out is never replayed"
    joint = join([base], BatchSplit(), balance=False)
    assert joint.rows.batch["response_mask"].sum(-1).tolist() == [0, 0, 4, 4, 4, 4]


class NoRoomFor:
    """A prompt builder in whose eyes some attempts find no room."""

    def __init__(self, refused: set[int]) -> None:
        self.refused = refused

    def fits(self, tokens: int) -> bool:
        return True

    def build(self, contexts: list[AttemptContext]) -> list[CorrectionPrompt | None]:
        prompt = CorrectionPrompt([1, 2], "block", shortened=False, fell_back=False)
        return [None if c.response_ids[0] in self.refused else prompt for c in contexts]


def test_an_attempt_without_room_gives_its_place_to_the_next() -> None:
    base = stream(4, 4, verdict=[1, 1, 0, 0] * 4)

    def choose(groups: list[PromptGroup]) -> Selection:
        k = min(6, len(distinct_candidates(groups)[0]))
        return select_attempts(groups, k, 0.5, ReplayConfig(), seed=0, step=1)

    refused = {row * 10 for row in (0, 1, 4, 5, 8)}  # first tokens of rows: most of the correct attempts
    replays, selection = choose_replays(base, NoRoomFor(refused), choose)  # type: ignore[arg-type]
    assert len(replays) == 6
    assert [replay.attempt for replay in replays.replays] == selection.attempts
    assert replays.correct.any(), "the probe of the correct side survives"
    assert selection.counts["skipped"] > 0
    places = sum(selection.counts[name] for name in ("medium", "fallback", "filled", "relaxed"))
    assert places == len(replays)


def test_a_rule_that_keeps_to_an_attempt_without_a_prompt_ends_the_run() -> None:
    """It returns attempts that it kept from before, not the groups' own."""
    base = stream(2, 2, verdict=[1, 0, 1, 0])
    kept = [attempt for group in base.prompt_groups(always) for attempt in group.attempts]
    with pytest.raises(InputError, match=r"replayable=False, which has no prompt"):
        choose_replays(base, NoRoomFor({10}), lambda groups: Selection(kept, 2))  # type: ignore[arg-type]


def routed(groups: list[str], router: GlobalRequestLoadBalancer, draw: random.Random) -> list[str]:
    """The engine of each of a step's requests by verl's router: 8 workers send theirs in order, at any pace."""
    waiting = [list(part) for part in np.array_split(np.array(groups, dtype=object), 8)]
    turns = [worker for worker, part in enumerate(waiting) for _ in part]
    return [router.acquire_server(f"1:{waiting[worker].pop(0)}")[0] for worker in draw.sample(turns, len(turns))]


def engine_loads(form: str, draw: random.Random) -> Counter[str]:
    """Corrections of 8 engines: 128 attempts of 96 of the step's 128 problems, 8 corrections each."""
    random.seed(draw.random())  # the router breaks ties by chance
    router, rollouts = GlobalRequestLoadBalancer(dict.fromkeys("abcdefgh")), 8
    base = stream(128, rollouts)
    for engine in routed(list(base.rows.non_tensor_batch["uid"]), router, draw):
        router.release_server(engine)
    prompt = CorrectionPrompt([1, 2], form, shortened=False, fell_back=False)  # type: ignore[arg-type]
    once = draw.sample(range(128), 96)
    problems = sorted(once + once[:32])
    attempts = [Attempt(group, place % rollouts, True, b"") for place, group in enumerate(problems)]
    request = correction_requests([Replay(attempt, base, prompt) for attempt in attempts]).repeat(rollouts).request
    return Counter(routed(list(request.non_tensor_batch[GROUP]), router, draw))


def test_corrections_spread_evenly_over_the_engines_where_they_share_no_prefix_with_their_problem() -> None:
    """Even is 128 of 1,024 on each; in form turn they follow the rollouts whose prefix they continue."""
    runs = range(20)
    block, turn = (np.mean([max(engine_loads(f, random.Random(i)).values()) for i in runs]) for f in ("block", "turn"))
    assert block <= 1.1 * 128
    assert turn > 1.2 * 128


def test_corrections_of_an_attempt_share_an_engine_and_in_form_turn_with_its_problem() -> None:
    base = stream(3, 4)
    replays = [
        Replay(Attempt(group, sample, True, b""), base, CorrectionPrompt([1], form, shortened=False, fell_back=False))
        for group, sample, form in ((0, 1, "block"), (0, 2, "block"), (1, 0, "turn"), (1, 3, "turn"), (1, 2, "block"))
    ]
    groups = list(correction_requests(replays).request.non_tensor_batch[GROUP])
    assert groups[2:4] == ["u1", "u1"], "the problem's own rollouts are asked for under its uid"
    assert len({*groups, "u0", "u1", "u2"}) == 6


def test_an_attempts_reward_is_the_steps_own_or_its_pools() -> None:
    """Online, KL in the reward is in it (METHOD.md, item 4); another pool's rewards are as they were stored."""
    base, pool = stream(2, 2), stream(3, 2, first=50)
    attempt, prompt = Attempt(1, 1, True, b""), CorrectionPrompt([1, 2], "block", shortened=False, fell_back=False)
    replays = Replays([Replay(attempt, base, prompt), Replay(attempt, pool, prompt)])
    assert replays.rewards(base, np.array([0.0, 0.1, 0.2, 0.3])).tolist() == [0.3, 53.0]


def test_streams_are_concatenated_and_taken_apart_group_by_group() -> None:
    whole = concatenated([stream(2, 2), stream(3, 2, first=4)])
    assert (whole.rollouts.groups, whole.rollouts.reward.tolist()) == (5, list(range(10)))
    part = whole.groups_at(np.array([4, 1]))
    assert part.rollouts.reward.tolist() == [8, 9, 2, 3]
    assert part.requests.head.non_tensor_batch["uid"].tolist() == ["u4", "u4", "u1", "u1"]


def test_a_stream_costs_what_it_generated_and_every_call_of_the_verifier() -> None:
    cost = Cost.of(stream(2, 2, verifier_calls=[1, 3, 1, 1]).rollouts, seconds=2.5)
    assert cost == Cost(rollouts=4, prompt_tokens=4 * (P - 1), generated_tokens=4 * R, verifier_calls=6, seconds=2.5)
    assert Cost.of(stream(2, 2).rollouts, seconds=0).verifier_calls == 4
