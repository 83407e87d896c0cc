"""Admission decides each group by itself, as often as wanted, and never by length."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fail2fix.method.admission import (
    EVERYBODY,
    NOBODY,
    Cutoffs,
    Wanted,
    admitted,
    first_of_each_problem,
    is_late,
    next_cutoffs,
    priority,
    still_owed,
)
from fail2fix.method.config import ReplayConfig
from fail2fix.method.selection import Attempt, PromptGroup, select_attempts

CONFIG = ReplayConfig()
MIXED, EASY, HARD = (0.8, 0.8), (5.0, 0.5), (0.1, 5.0)
"""Pass rates of a step's problems, as beta distributions."""
ALL = Cutoffs(EVERYBODY, EVERYBODY, NOBODY, limit=2, patience=100)


def problems(
    step: int, count: int = 128, rollouts: int = 8, rates: tuple[float, float] = MIXED
) -> tuple[list[PromptGroup], list[list[int]]]:
    """Problems of every pass rate and the lengths of their rollouts: wrong answers are longer, hard problems too."""
    draw = random.Random(step)
    groups, lengths = [], []
    for group in range(count):
        rate = draw.betavariate(*rates)
        right = [draw.random() < rate for _ in range(rollouts)]
        tokens = [min(1000, int(draw.lognormvariate(5.4 - rate, 0.6) * (1 if ok else 1.25))) for ok in right]
        attempts = (
            Attempt(group, s, ok, f"{group}.{s}".encode(), cut_off=n == 1000)
            for s, (ok, n) in enumerate(zip(right, tokens, strict=True))
        )
        groups.append(PromptGroup(f"{step}-{group}", tuple(attempts)))
        lengths.append(tokens)
    return groups, lengths


def both_ways(
    steps: int, k: int, rollouts: int, rates: tuple[float, float] | Callable[[int], tuple[float, float]]
) -> Iterator[tuple[list[Attempt], list[Attempt], list[list[int]], Counter[str]]]:
    """Steps of a run that streams: what each admits, what serial selection would, all lengths, and the counts."""
    cutoffs = None
    for step in range(1, steps):
        groups, lengths = problems(step, k, rollouts, rates(step) if callable(rates) else rates)
        owed = (0, 0)
        if cutoffs is not None:
            decided = [admitted(group, cutoffs, CONFIG, seed=0, step=step) for group in groups]
            mine = [attempt for attempts, _ in decided for attempt in attempts]
            counts = sum((counts for _, counts in decided), Counter[str]())
            yield mine, select_attempts(groups, k, 0.3, CONFIG, seed=0, step=step).attempts, lengths, counts
            owed = still_owed(cutoffs, Counter(attempt.correct for attempt in mine))
        cutoffs = next_cutoffs(groups, [max(n) for n in lengths], Wanted(k, 0.3, 0.3), CONFIG, 0, step, owed)


@pytest.mark.parametrize("solved", ["almost all solved", "most solved", "most unsolved"])
def test_the_share_of_correct_attempts_is_as_wanted_where_one_side_is_of_few_problems(solved: str) -> None:
    """As in serial selection, ``test_selection.TestShare``; on average over the steps."""
    rates = {"almost all solved": (4.0, 0.5), "most solved": (2.0, 0.25), "most unsolved": (0.5, 2.0)}[solved]
    ours = sum(counts_of(mine) for mine, *_ in both_ways(40, 128, 8, rates))
    assert ours[1] / ours[0] == pytest.approx(0.3, abs=0.05)


def counts_of(attempts: list[Attempt]) -> np.ndarray:
    """Attempts, and correct ones among them."""
    return np.array([len(attempts), sum(a.correct for a in attempts)])


def admit_all(groups: list[PromptGroup], cutoffs: Cutoffs, step: int) -> list[Attempt]:
    return [attempt for group in groups for attempt in admitted(group, cutoffs, CONFIG, seed=0, step=step)[0]]


@pytest.mark.parametrize(("k", "rho"), [(128, 0.3), (128, 0.8), (40, 0.5), (7, 0.2), (1, 0.3)])
def test_the_cutoffs_of_a_step_would_have_given_it_what_it_wanted(k: int, rho: float) -> None:
    groups, lengths = problems(step=1)
    cutoffs = next_cutoffs(groups, [max(n) for n in lengths], Wanted(k, rho, 0.3), CONFIG, seed=0, step=1)
    chosen = admit_all(groups, cutoffs, step=1)
    serial = select_attempts(groups, k, rho, CONFIG, seed=0, step=1)
    assert len(chosen) == k
    assert sum(a.correct for a in chosen) == serial.correct
    assert max(Counter(a.group for a in chosen).values()) <= CONFIG.max_attempts_per_prompt


@pytest.mark.parametrize("rates", [MIXED, EASY, HARD])
@pytest.mark.parametrize(("k", "rollouts", "steps"), [(128, 8, 42), (32, 8, 120), (8, 8, 400), (4, 4, 600)])
def test_steps_admit_on_average_what_serial_selection_would(
    k: int, rollouts: int, steps: int, rates: tuple[float, float]
) -> None:
    """As many attempts, and as many correct ones, with many problems and with few."""
    ours, theirs = np.zeros(2), np.zeros(2)
    for mine, serial, _, _ in both_ways(steps, k, rollouts, rates):
        ours += counts_of(mine)
        theirs += counts_of(serial)
    assert ours[0] == pytest.approx(theirs[0], rel=0.05)
    assert ours[1] == pytest.approx(theirs[1], rel=0.07)


@pytest.mark.parametrize("rates", [MIXED, EASY, HARD])
def test_admitted_attempts_are_as_long_as_serially_selected_ones(rates: tuple[float, float]) -> None:
    ours: list[int] = []
    theirs: list[int] = []
    for mine, serial, lengths, _ in both_ways(60, 128, 8, rates):
        ours += [lengths[a.group][a.sample] for a in mine]
        theirs += [lengths[a.group][a.sample] for a in serial]
    at = np.arange(1001)
    shares = [np.searchsorted(np.sort(lengths), at, "right") / len(lengths) for lengths in (ours, theirs)]
    distance = np.abs(shares[0] - shares[1]).max()  # two-sample Kolmogorov-Smirnov
    assert distance < 1.63 * (2 / len(ours)) ** 0.5  # its critical value at 1 %


@pytest.mark.parametrize("rates", [MIXED, EASY, HARD])
def test_the_limit_a_problem_gives_way_as_in_serial_selection(rates: tuple[float, float]) -> None:
    """Only to a side's own attempts, and where both sides have enough within the limit to none."""
    ours, theirs = Counter[str](), Counter[str]()
    for mine, serial, _, counts in both_ways(30, 128, 8, rates):
        ours.update(counts, problems=len({a.group for a in mine}))
        over = sum(max(0, n - 2) for n in Counter(a.group for a in serial).values())
        theirs.update(relaxed=over, problems=len({a.group for a in serial}))
    assert ours["problems"] == pytest.approx(theirs["problems"], rel=0.15), "of about as many problems"
    assert ours["relaxed"] == pytest.approx(theirs["relaxed"], rel=0.3, abs=2)
    assert (theirs["relaxed"] == 0) == (rates == MIXED)


@pytest.mark.parametrize("rates", [EASY, HARD])
def test_what_a_side_never_had_is_not_made_up_for_when_it_has_it_again(rates: tuple[float, float]) -> None:
    def over_ten_steps(step: int) -> tuple[float, float]:
        part = min(max((step - 30) / 10, 0), 1)
        return tuple(a + part * (b - a) for a, b in zip(rates, MIXED, strict=True))

    steps = [
        (sum(attempt.correct for attempt in mine), len(mine), sum(attempt.correct for attempt in serial))
        for mine, serial, *_ in both_ways(55, 128, 8, over_ten_steps)
    ]
    since, back = steps[28:], steps[42:]
    assert sum(ours for ours, _, _ in since) == pytest.approx(sum(theirs for _, _, theirs in since), rel=0.15)
    assert sum(ours for ours, _, _ in back) / sum(count for _, count, _ in back) == pytest.approx(0.3, abs=0.08)


def test_a_problem_that_a_step_has_twice_is_replayed_once() -> None:
    assert first_of_each_problem(["a", "b", "a", "c", "b"]) == [0, 1, 3]
    groups, lengths = problems(step=1, count=20)
    twice = [replace(g, attempts=tuple(replace(a, group=a.group + 20) for a in g.attempts)) for g in groups]
    wanted, longest = Wanted(8, 0.3, 0.3), [max(n) for n in lengths]
    once = next_cutoffs(groups, longest, wanted, CONFIG, 0, 1)
    assert next_cutoffs(groups + twice, longest * 2, wanted, CONFIG, 0, 1) == once


@given(st.permutations(range(16)), *[st.floats(-1, 4)] * 3, st.integers(1, 8))
@settings(deadline=None)
def test_a_group_is_decided_by_itself(
    order: list[int], correct: float, failed: float, filled: float, limit: int
) -> None:
    groups, _ = problems(step=3, count=16)
    cutoffs = Cutoffs(correct, failed, filled, limit, patience=5)
    alone = [admitted(group, cutoffs, CONFIG, seed=0, step=3) for group in groups]
    assert {place: admitted(groups[place], cutoffs, CONFIG, seed=0, step=3) for place in order} == dict(
        enumerate(alone)
    )
    assert all(len(chosen) <= limit for chosen, _ in alone)


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
    assert [a.sample for a in admit_all([group], replace(ALL, limit=4), 1)] in ([1, 3], [2, 3])
    without_the_cut_off = replace(ALL, failed=2.0)
    assert len(admit_all([group], without_the_cut_off, 1)) == 1
    assert admit_all([group], replace(ALL, failed=NOBODY), 1) == []


def test_the_limit_a_problem_grows_where_too_few_problems_are_there() -> None:
    groups, _ = problems(step=5, count=4)
    cutoffs = next_cutoffs(groups, [1] * 4, Wanted(20, 0.5, 0.3), CONFIG, seed=0, step=5)
    serial = select_attempts(groups, 20, 0.5, CONFIG, seed=0, step=5)
    assert sorted(map(sum, [counts_of(admit_all(groups, cutoffs, 5))])) == [sum(counts_of(serial.attempts))]
    assert len(serial.attempts) == 20


def test_nothing_to_learn_from_admits_everything_up_to_the_limit() -> None:
    groups, _ = problems(step=2)
    cutoffs = next_cutoffs([], [], Wanted(4, 0.5, 0.3), CONFIG, seed=0, step=1)
    assert cutoffs.patience == 0
    assert set(Counter(a.group for a in admit_all(groups, cutoffs, 2)).values()) == {CONFIG.max_attempts_per_prompt}


def test_priorities_are_uniform_and_each_ones_own() -> None:
    drawn = [priority(0, step, key, sample) for step in range(20) for key in "abcde" for sample in range(8)]
    assert len(set(drawn)) == len(drawn)
    assert all(0 <= value < 1 for value in drawn)
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.05)
