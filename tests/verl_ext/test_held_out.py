"""Held-out corrections: what is frozen, and what a validation says of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from fail2fix.method.errors import InputError
from fail2fix.method.metrics import confirmed, held_out_metrics, own_answer_metrics
from fail2fix.method.prompts import CorrectionPromptBuilder
from fail2fix.method.selection import Attempt, PromptGroup
from fail2fix.verl_ext.held_out import HeldOutCorrections, frozen_attempts, load_held_out
from fail2fix.verl_ext.requests import Requests
from fail2fix.verl_ext.starting_policy import Messages
from fail2fix.verl_ext.stream import Reading, Stream
from fail2fix.verl_ext.validation import validated_accuracy
from tests.verl_ext.test_sources import TOKENIZER, pool


def group(index: int, verdicts: str, **options: bool) -> PromptGroup:
    attempts = (Attempt(index, i, v == "1", f"{index}.{i}".encode(), **options) for i, v in enumerate(verdicts))
    return PromptGroup(f"problem {index}", tuple(attempts))


def test_one_right_and_one_wrong_attempt_a_problem_where_there_are_any() -> None:
    chosen = frozen_attempts([group(0, "1100"), group(1, "0000"), group(2, "1111"), group(3, "10", replayable=False)])
    assert [(a.group, a.correct) for a in chosen] == [(0, True), (0, False), (1, False), (2, True)]


def test_which_attempt_is_frozen_depends_on_what_was_written_alone() -> None:
    forward = group(0, "111100")
    backward = PromptGroup("problem 0", forward.attempts[::-1])
    assert frozen_attempts([forward]) == frozen_attempts([backward])


def test_a_finished_attempt_is_frozen_before_one_that_was_cut_off() -> None:
    attempts = tuple(Attempt(0, i, False, bytes([i]), cut_off=i != 6) for i in range(8))
    assert frozen_attempts([PromptGroup("p", attempts)])[0].sample == 6


class Policy:
    """The trainer's side: which problems it validates, and what its file says of its start."""

    provenance: dict[str, object] = {"model": "m", "tokenizer": "t", "val_files": "v"}

    def __init__(self, problems: list[Messages]) -> None:
        self.problems = problems

    def held_out_problems(self, problems: int) -> list[Messages]:
        return self.problems[:problems]

    def held_out_rollouts(self, problems: int | None) -> Stream:
        return pool()


def test_a_shared_file_serves_runs_that_validate_the_same_problems_in_the_same_order(tmp_path: Path) -> None:
    config = OmegaConf.create({"fail2fix": {"held_out": {"file": str(tmp_path / "held_out.parquet")}}})
    builder = CorrectionPromptBuilder(TOKENIZER, max_tokens=512)
    stream = pool()
    asked = stream.requests.request.non_tensor_batch["raw_prompt"]
    messages = [list(row) for row in asked[:: stream.rollouts.group_size]]

    def load(policy: Policy) -> HeldOutCorrections:
        return load_held_out(config, policy, builder, {0})

    first, more = load(Policy(messages)), load(Policy([*messages, messages[0]]))
    assert [replay.attempt for replay in first.replays] == [replay.attempt for replay in more.replays]
    for other in (messages[::-1], messages[:-1], [*messages[1:], messages[0]]):
        with pytest.raises(InputError, match="is not this run's validation problem"):
            load(Policy(other))
    stranger = Policy(messages)
    stranger.provenance = stranger.provenance | {"model": "another"}
    with pytest.raises(InputError, match="written with another model"):
        load(stranger)


def test_rates_and_the_two_constant_policies_by_hand() -> None:
    """Attempts right, wrong, wrong, right; corrections of each 1 1, 1 0, 0 0, 0 1; re-solving gets .5 .25 .25 1."""
    metrics = held_out_metrics(
        np.array([True, False, False, True]),
        np.array([0.5, 0.25, 0.25, 1.0]),
        np.array([[1, 1], [1, 0], [0, 0], [0, 1]], dtype=bool),
    )
    assert metrics == {
        "fail2fix/held_out/corrections": 8,
        "fail2fix/held_out/fix_rate": 0.25,
        "fail2fix/held_out/keep_rate": 0.75,
        "fail2fix/held_out/break_rate": 0.25,
        "fail2fix/held_out/accuracy": 0.5,
        "fail2fix/held_out/keep_policy": 0.5,
        "fail2fix/held_out/resolve_policy": 0.5,
        "fail2fix/held_out/gain_over_keep": 0.0,
        "fail2fix/held_out/gain_over_resolve": 0.0,
    }


def test_a_rate_without_attempts_is_left_out() -> None:
    metrics = held_out_metrics(np.array([True]), np.array([1.0]), np.array([[True]]))
    assert "fail2fix/held_out/fix_rate" not in metrics
    assert metrics["fail2fix/held_out/keep_rate"] == 1


def test_accuracy_by_problem_in_the_order_of_the_validation_set() -> None:
    assert validated_accuracy(["b", "b", "a", "a"], [1, 0, 1, 1], None).tolist() == [0.5, 1.0]


def test_a_sample_without_a_verdict_counts_for_neither_side() -> None:
    accuracy = validated_accuracy(["b", "b", "a"], [1, 0, 0], ["ok", "error", "error"])
    assert accuracy[0] == 1.0
    assert np.isnan(accuracy[1])


def test_every_frozen_prompt_is_answered_and_dumped(tmp_path: Path) -> None:
    stream = pool()
    groups = stream.prompt_groups(lambda tokens: True)
    held_out = HeldOutCorrections(stream, groups, CorrectionPromptBuilder(TOKENIZER, max_tokens=512), samples=2)
    asked: list[Requests] = []

    def answer(requests: Requests, samples: int, first: int) -> tuple[Stream, list[str]]:
        """Every correction is what the pool's first rows are; only the verdicts matter here."""
        asked.append(requests)
        rows = stream.rows[np.arange(len(requests))]
        rows.non_tensor_batch["uid"] = requests.head.non_tensor_batch["uid"]
        answers = Stream.of("correction", rows, requests, samples, Reading({0}))
        return answers, [f"text {i}" for i in range(len(requests))]

    metrics = held_out.evaluate(answer, np.full(stream.rollouts.groups, 0.5), tmp_path / "dumps" / "3.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "dumps" / "3.jsonl").read_text().splitlines()]
    assert len(lines) == len(asked[0]) == 2 * len(held_out.replays) == metrics["fail2fix/held_out/corrections"]
    fixed = [line["correct"] for line in lines if not line["attempt_correct"]]
    kept = [line["correct"] for line in lines if line["attempt_correct"]]
    assert metrics["fail2fix/held_out/fix_rate"] == pytest.approx(np.mean(fixed))
    assert metrics["fail2fix/held_out/keep_rate"] == pytest.approx(np.mean(kept))
    frozen = {replay.attempt.group for replay in held_out.replays}
    assert metrics["fail2fix/held_out/problems"] == len(frozen)
    assert metrics["fail2fix/held_out/excluded"] == 0

    resolve = np.full(stream.rollouts.groups, 0.5)
    lost = min(frozen)
    resolve[lost] = np.nan  # no sample of this problem got a verdict
    fewer = held_out.evaluate(answer, resolve, tmp_path / "4.jsonl")
    excluded = sum(replay.attempt.group == lost for replay in held_out.replays)
    assert fewer["fail2fix/held_out/excluded"] == excluded > 0
    assert fewer["fail2fix/held_out/corrections"] == len(lines) - 2 * excluded
    assert fewer["fail2fix/held_out/resolve_policy"] == 0.5
    for line, info in zip(lines, asked[0].request.non_tensor_batch["extra_info"], strict=True):
        assert info["fail2fix"]["attempt_id"] == line["attempt_id"]
        assert info["fail2fix"]["attempt_correct"] == line["attempt_correct"]
    texts = [TOKENIZER.decode(stream.response_ids(replay.row), skip_special_tokens=True) for replay in held_out.replays]
    assert [info["fail2fix"]["attempt"] for info in asked[0].request.non_tensor_batch["extra_info"][::2]] == texts


def test_own_answers_are_revised_by_the_policy_that_wrote_them(tmp_path: Path) -> None:
    stream = pool()
    builder = CorrectionPromptBuilder(TOKENIZER, max_tokens=512)
    held_out = HeldOutCorrections(stream, stream.prompt_groups(lambda tokens: True), builder, 2, revisions=2)
    assert held_out.own is not None
    asked: list[tuple[Requests, int]] = []

    def answer(requests: Requests, samples: int, first: int) -> tuple[Stream, list[str]]:
        asked.append((requests, first))
        rows = stream.rows[np.arange(len(requests)) % len(stream.rows)]
        rows.non_tensor_batch["uid"] = requests.head.non_tensor_batch["uid"]
        return Stream.of("base", rows, requests, samples, Reading({0})), [f"text {i}" for i in range(len(requests))]

    metrics = held_out.own.evaluate(answer, tmp_path / "3.jsonl")
    every = [json.loads(line) for line in (tmp_path / "3.jsonl").read_text().splitlines()]
    assert sorted({line["place"] for line in every}) == list(range(stream.rollouts.groups)), "each answer is there"
    lines = [line for line in every if line["status"] != "skipped"]
    (problems, first), (revisions, then) = asked
    assert len(problems) == stream.rollouts.groups
    assert first != then, "no two requests of a step may have one number"
    infos = revisions.request.non_tensor_batch["extra_info"]
    assert [info["fail2fix"]["attempt_correct"] for info in infos] == [line["attempt_correct"] for line in lines]
    assert [line["place"] for line in lines] == sorted(line["place"] for line in lines)
    right = [line["correct"] for line in lines if line["attempt_correct"]]
    wrong = [line["correct"] for line in lines if not line["attempt_correct"]]
    assert metrics["fail2fix/own_answers/revised"] == pytest.approx(np.mean(right + wrong))
    if wrong:
        assert metrics["fail2fix/own_answers/fix_rate"] == pytest.approx(np.mean(wrong))
    assert metrics["fail2fix/own_answers/problems"] == len(problems)
    assert metrics["fail2fix/own_answers/skipped"] == len(problems) - len(lines) / 2


def test_an_own_answer_without_room_for_a_revision_is_dumped_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = pool()
    builder = CorrectionPromptBuilder(TOKENIZER, max_tokens=512)
    own = HeldOutCorrections(stream, stream.prompt_groups(lambda tokens: True), builder, 2, revisions=2).own
    assert own is not None
    room = iter([False] + [True] * len(own.problems))
    monkeypatch.setattr(builder, "fits", lambda tokens: next(room))

    def answer(requests: Requests, samples: int, first: int) -> tuple[Stream, list[str]]:
        rows = stream.rows[np.arange(len(requests)) % len(stream.rows)]
        rows.non_tensor_batch["uid"] = requests.head.non_tensor_batch["uid"]
        return Stream.of("base", rows, requests, samples, Reading({0})), ["text"] * len(requests)

    own.evaluate(answer, tmp_path / "3.jsonl")
    stands, *others = [json.loads(line) for line in (tmp_path / "3.jsonl").read_text().splitlines()]
    assert (stands["place"], stands["status"], stands["tokens"]) == (0, "skipped", 0)
    assert (stands["correct"], stands["answer"]) == (stands["attempt_correct"], stands["attempt_answer"])
    assert stands["attempt_tokens"] > 0
    revised = [line["place"] for line in others if line["status"] == "ok"]
    assert revised == [place for place in sorted(set(revised)) for _ in range(2)]
    assert 0 not in revised


def test_an_answer_gives_way_only_to_revisions_that_agree_on_another() -> None:
    first = np.array([True, False, False, True])
    answers = [["5", "5"], ["8", "8"], ["8", "9"], ["", ""]]
    correct = np.array([[False, False], [True, True], [True, False], [False, False]])
    assert confirmed(first, ["7", "6", "6", "7"], correct, answers).tolist() == [False, True, False, True]
    metrics = own_answer_metrics(first, ["7", "6", "6", "7"], correct, answers)
    assert metrics["fail2fix/own_answers/confirmed"] == 0.5
    assert metrics["fail2fix/own_answers/repeated"] == 0.0
