"""Admission decides each group by itself, as often as wanted, and never by length."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fail2fix.core.admission import (
    EVERYBODY,
    NOBODY,
    Cutoffs,
    Wanted,
    admitted,
    is_late,
    next_cutoffs,
    priority,
    still_owed,
)
from fail2fix.core.config import ReplayConfig
from fail2fix.core.selection import Attempt, PromptGroup, select_attempts

CONFIG = ReplayConfig()
ALL = Cutoffs(EVERYBODY, EVERYBODY, limit=2, patience=100)


def problems(step: int, count: int = 128, rollouts: int = 8) -> tuple[list[PromptGroup], list[list[int]]]:
    """Problems of every pass rate and the lengths of their rollouts: wrong answers are longer, hard problems too."""
    draw = random.Random(step)
    groups, lengths = [], []
    for group in range(count):
        rate = draw.betavariate(0.8, 0.8)
        right = [draw.random() < rate for _ in range(rollouts)]
        tokens = [min(1000, int(draw.lognormvariate(5.4 - rate, 0.6) * (1 if ok else 1.25))) for ok in right]
        attempts = (
            Attempt(group, s, ok, f"{group}.{s}".encode(), cut_off=n == 1000)
            for s, (ok, n) in enumerate(zip(right, tokens, strict=True))
        )
        groups.append(PromptGroup(f"{step}-{group}", tuple(attempts)))
        lengths.append(tokens)
    return groups, lengths


def admit_all(groups: list[PromptGroup], cutoffs: Cutoffs, step: int) -> list[Attempt]:
    return [attempt for group in groups for attempt in admitted(group, cutoffs, CONFIG, seed=0, step=step)]


@pytest.mark.parametrize(("k", "rho"), [(128, 0.3), (128, 0.8), (40, 0.5), (7, 0.2), (1, 0.3)])
def test_the_cutoffs_of_a_step_would_have_given_it_what_it_wanted(k: int, rho: float) -> None:
    groups, lengths = problems(step=1)
    cutoffs = next_cutoffs(groups, [max(n) for n in lengths], Wanted(k, rho, 0.3), CONFIG, seed=0, step=1)
    chosen = admit_all(groups, cutoffs, step=1)
    serial = select_attempts(groups, k, rho, CONFIG, seed=0, step=1)
    assert len(chosen) == k
    assert sum(a.correct for a in chosen) == serial.correct
    assert max(Counter(a.group for a in chosen).values()) <= CONFIG.max_attempts_per_prompt


@pytest.mark.parametrize(("k", "rollouts", "steps"), [(128, 8, 42), (32, 8, 120), (8, 8, 400), (4, 4, 600)])
def test_steps_admit_on_average_what_serial_selection_would(k: int, rollouts: int, steps: int) -> None:
    """As many attempts, and as many correct ones, with many problems and with few."""
    cutoffs, counts, correct, serially_correct = None, [], 0, 0
    for step in range(1, steps):
        groups, lengths = problems(step, k, rollouts)
        owed = (0, 0)
        if cutoffs is not None:
            chosen = admit_all(groups, cutoffs, step)
            owed = still_owed(cutoffs, k, Counter(attempt.correct for attempt in chosen))
            counts.append(len(chosen))
            correct += sum(attempt.correct for attempt in chosen)
            serially_correct += select_attempts(groups, k, 0.3, CONFIG, seed=0, step=step).correct
        longest = [max(n) for n in lengths]
        wanted = Wanted(k, 0.3, 0.3)
        cutoffs = next_cutoffs(groups, longest, wanted, CONFIG, 0, step, owed)
    assert np.mean(counts) == pytest.approx(k, rel=0.05)
    assert correct == pytest.approx(serially_correct, rel=0.07)


def test_admitted_attempts_are_as_long_as_serially_selected_ones() -> None:
    ours: list[int] = []
    theirs: list[int] = []
    groups, lengths = problems(0)
    for step in range(1, 61):
        longest = [max(n) for n in lengths]
        cutoffs = next_cutoffs(groups, longest, Wanted(128, 0.3, 0.3), CONFIG, seed=0, step=step - 1)
        groups, lengths = problems(step)
        ours += [lengths[a.group][a.sample] for a in admit_all(groups, cutoffs, step)]
        serial = select_attempts(groups, 128, 0.3, CONFIG, seed=0, step=step)
        theirs += [lengths[a.group][a.sample] for a in serial.attempts]
    at = np.arange(1001)
    shares = [np.searchsorted(np.sort(lengths), at, "right") / len(lengths) for lengths in (ours, theirs)]
    distance = np.abs(shares[0] - shares[1]).max()  # two-sample Kolmogorov-Smirnov
    assert distance < 1.63 * (2 / len(ours)) ** 0.5  # its critical value at 1 %


@given(st.permutations(range(16)), st.floats(-1, 4), st.floats(-1, 4), st.integers(1, 8))
@settings(deadline=None)
def test_a_group_is_decided_by_itself(order: list[int], correct: float, failed: float, limit: int) -> None:
    groups, _ = problems(step=3, count=16)
    cutoffs = Cutoffs(correct, failed, limit, patience=5)
    alone = [admitted(group, cutoffs, CONFIG, seed=0, step=3) for group in groups]
    assert {place: admitted(groups[place], cutoffs, CONFIG, seed=0, step=3) for place in order} == dict(
        enumerate(alone)
    )
    assert all(len(chosen) <= limit for chosen in alone)


def test_time_changes_when_an_attempt_is_corrected_and_not_whether() -> None:
    groups, _ = problems(step=4)
    patient, impatient = replace(ALL, patience=10**6), replace(ALL, patience=0)
    assert admit_all(groups, patient, 4) == admit_all(groups, impatient, 4)
    assert (is_late(101, ALL), is_late(100, ALL)) == (True, False)


def test_patience_is_a_share_of_the_longest_rollout() -> None:
    groups, _ = problems(step=1, count=3)
    assert next_cutoffs(groups, [10, 200, 30], Wanted(2, 0.5, 0.3), CONFIG, 0, 1).patience == 60


def test_what_may_not_be_replayed_is_not_admitted_and_twins_once() -> None:
    attempts = (
        Attempt(0, 0, True, b"a", replayable=False),
        Attempt(0, 1, False, b"b"),
        Attempt(0, 2, False, b"b"),
        Attempt(0, 3, False, b"c", cut_off=True),
    )
    group = PromptGroup("p", attempts)
    assert [a.sample for a in admitted(group, replace(ALL, limit=4), CONFIG, 0, 1)] in ([1, 3], [2, 3])
    without_the_cut_off = replace(ALL, failed=2.0)
    assert len(admitted(group, without_the_cut_off, CONFIG, 0, 1)) == 1
    assert admitted(group, replace(ALL, failed=NOBODY), CONFIG, 0, 1) == []


def test_the_limit_a_problem_grows_where_too_few_problems_are_there() -> None:
    groups, _ = problems(step=5, count=4)
    cutoffs = next_cutoffs(groups, [1] * 4, Wanted(20, 0.5, 0.3), CONFIG, seed=0, step=5)
    assert cutoffs.limit == 5
    assert len(admit_all(groups, cutoffs, 5)) == 20


def test_nothing_to_learn_from_admits_everything_that_is_wanted() -> None:
    cutoffs = next_cutoffs([], [], Wanted(4, 0.5, 0.3), CONFIG, seed=0, step=1)
    assert (cutoffs.correct, cutoffs.failed, cutoffs.patience) == (EVERYBODY, EVERYBODY, 0)


def test_priorities_are_uniform_and_each_ones_own() -> None:
    drawn = [priority(0, step, key, sample) for step in range(20) for key in "abcde" for sample in range(8)]
    assert len(set(drawn)) == len(drawn)
    assert all(0 <= value < 1 for value in drawn)
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.05)
