"""Refill of the correction stream: bounded, charged, accounted; groups that teach come first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fail2fix.method.config import Baseline, CorrectionConfig
from fail2fix.method.ledger import Cost
from fail2fix.method.prompts import CorrectionPrompt
from fail2fix.method.rollouts import CORRECTION
from fail2fix.method.selection import Attempt, PromptGroup, select_attempts
from fail2fix.run.config import BudgetConfig, Fail2FixConfig
from fail2fix.verl_ext.correction_refill import refilled_corrections, teaches, without_chosen
from fail2fix.verl_ext.dynamic_sampling import with_signal
from fail2fix.verl_ext.replays import Replay, Replays
from fail2fix.verl_ext.step import Step
from fail2fix.verl_ext.stream import Stream
from tests.verl_ext.test_dynamic_sampling import names, verdicts
from tests.verl_ext.test_stream import stream

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

PROBLEMS, SAMPLES, SIZE = 3, 4, 2
PATTERNS = st.sampled_from(["10", "11", "00", "1e"])


PROMPT = CorrectionPrompt([1], "block", shortened=False, fell_back=False)


class Run:
    """What `refilled_corrections` reads of a trainer.

    Its engines answer with the verdicts ``further``; ``room``: how many further attempts have a prompt.
    """

    def __init__(
        self, first: list[str], further: list[str], texts: list[int], budget: int | None = None, room: int = 9
    ) -> None:
        pool = stream(PROBLEMS, SAMPLES)
        flat = [Attempt(g, s, s % 2 == 0, bytes([texts[g * SAMPLES + s]])) for g in range(3) for s in range(SAMPLES)]
        groups = [PromptGroup(f"x{g}", tuple(flat[g * SAMPLES : (g + 1) * SAMPLES])) for g in range(PROBLEMS)]
        self.settings = Fail2FixConfig(
            correction=CorrectionConfig(attempts=len(first), rollouts=SIZE), budget=BudgetConfig(rollouts=budget)
        )
        self.step, self.ratio, self.select_attempts = Step.outside(), SimpleNamespace(rho=0.5), select_attempts
        self.ledger, self.generation, self.further = self.step.ledger, self, further
        chosen = select_attempts(groups, len(first), 0.5, self.settings.replay, 0, 0).attempts
        self.replays = Replays([Replay(a, pool, PROMPT) for a in chosen], groups)
        self.asked: list[Replay] = []
        self.step.accounts[CORRECTION].enter(prompts=len(chosen))
        self.prompt_builder = SimpleNamespace(
            build=lambda wanted: [PROMPT if i < room else None for i in range(len(wanted))]
        )
        self.first = self.enter(CORRECTION, verdicts(*first[: len(chosen)]), self.step)

    def ask_corrections(self, replays: Replays, step: Step, first: int) -> Stream:
        assert first == len(self.first), "no two requests of a step have the same number"
        self.asked = replays.replays
        return verdicts(*self.further[: len(replays)], first=first)

    def enter(self, name: str, answers: Stream, step: Step) -> Stream:
        rows = len(answers)
        step.accounts[name].enter(asked=rows, generated=rows, verified=rows)
        step.ledger.spend(name, Cost(rollouts=rows))
        return answers


@st.composite
def runs(draw: st.DrawFn) -> Run:
    first = draw(st.lists(PATTERNS, min_size=1, max_size=5))
    further = draw(st.lists(PATTERNS, min_size=5, max_size=5))
    texts = draw(st.lists(st.integers(0, 4), min_size=PROBLEMS * SAMPLES, max_size=PROBLEMS * SAMPLES))
    return Run(first, further, texts, draw(st.none() | st.integers(1, 24)), draw(st.integers(0, 9)))


def identity(attempt: Attempt) -> tuple[int, bytes]:
    return attempt.group, attempt.content


@given(runs())
def test_a_refill_is_bounded_charged_and_accounted_and_keeps_what_teaches(run: Run) -> None:
    trainer: Any = run
    before = run.ledger.total.rollouts
    replays, kept = refilled_corrections(trainer, run.replays, run.first, run.step)
    idle, groups = int((~with_signal(run.first, "reward")).sum()), len(run.replays)
    assert len(run.asked) <= idle
    assert run.ledger.total.rollouts == before + len(run.asked) * SIZE
    budget = run.settings.budget.rollouts
    assert not run.asked or budget is None or run.ledger.total.rollouts <= budget

    made = verdicts(*run.further[: len(run.asked)]) if run.asked else None
    teaching = groups - idle + (int(with_signal(made, "reward").sum()) if made else 0)
    assert kept.rollouts.groups == len(replays) == groups
    assert with_signal(kept, "reward").sum() == min(groups, teaching)
    everything = dict(zip(names(run.first), run.replays.replays, strict=True))
    everything |= {f"u{groups + place}": replay for place, replay in enumerate(run.asked)}
    assert replays.replays == [everything[name] for name in names(kept)], "each group beside its own attempt"

    account, failed = run.step.accounts[CORRECTION], int(kept.rollouts.excluded.sum())
    account.leave(recorded=len(kept), trained=groups - failed, failed=failed)
    account.check(1)
    read = {name.rsplit("/", 1)[1]: value for name, value in run.step.metrics.items()}
    assert read == {"idle_groups": idle, "further_groups": len(run.asked), "unfilled_groups": max(0, groups - teaching)}


@given(runs())
def test_further_attempts_are_others_than_the_chosen_and_identical_ones_count_once(run: Run) -> None:
    trainer: Any = run
    refilled_corrections(trainer, run.replays, run.first, run.step)
    attempts = [replay.attempt for replay in [*run.replays.replays, *run.asked]]
    assert len({identity(attempt) for attempt in attempts}) == len(attempts)


def test_only_the_chosen_and_their_copies_at_the_same_problem_are_left_out() -> None:
    run = Run(["00"], ["10"] * 5, [7, 7, 1, 2] + [7, 3, 4, 5] * 2)
    chosen = run.replays.replays[0].attempt
    for group in without_chosen(run.replays):
        for attempt in group.attempts:
            assert attempt.replayable == (identity(attempt) != identity(chosen))


def test_with_the_attempt_in_the_baseline_a_group_that_turned_its_verdict_teaches() -> None:
    pool = stream(PROBLEMS, SAMPLES)
    wrong, right = (Replay(Attempt(0, place, place == 0, b""), pool, PROMPT) for place in (1, 0))
    replays, made = (
        [wrong, wrong, wrong, right, right, right, wrong],
        verdicts("11", "00", "10", "11", "00", "10", "1e"),
    )
    assert teaches(made, replays, Baseline.with_attempt).tolist() == [True, False, True, False, True, True, False]
    assert teaches(made, replays, Baseline.group).tolist() == with_signal(made, "reward").tolist()


def test_a_stream_in_which_all_groups_teach_asks_for_nothing() -> None:
    run: Any = Run(["10", "01"], ["10"] * 5, list(range(12)))
    replays, kept = refilled_corrections(run, run.replays, run.first, run.step)
    assert (run.asked, replays.replays) == ([], run.replays.replays)
    np.testing.assert_array_equal(kept.rollouts.reward, run.first.rollouts.reward)
