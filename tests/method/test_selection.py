"""Replay selection: what METHOD.md, item 2, promises for every step."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fail2fix.method.config import ReplayConfig
from fail2fix.method.selection import (
    Attempt,
    PromptGroup,
    Selection,
    distinct_candidates,
    in_band,
    select_attempts,
    select_uniform,
    wanted_correct,
)

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

NO_LIMIT = ReplayConfig(max_attempts_per_prompt=10_000)


def group(index: int, verdicts: str, **options: bool) -> PromptGroup:
    """A problem whose rollouts have these verdicts, "1" or "0", and distinct contents."""
    attempts = tuple(
        Attempt(index, sample, verdict == "1", f"{index}.{sample}".encode(), **options)
        for sample, verdict in enumerate(verdicts)
    )
    return PromptGroup(f"problem {index}", attempts)


def select(
    groups: list[PromptGroup], k: int, rho: float, config: ReplayConfig = NO_LIMIT, step: int = 1, seed: int = 0
) -> Selection:
    return select_attempts(groups, k, rho, config, seed, step)


def chosen(groups: list[PromptGroup], selection: Selection) -> Counter[tuple[str, bytes, bool]]:
    """What was chosen, by content: problem, text, verdict."""
    key = {attempt.group: group.key for group in groups for attempt in group.attempts}
    return Counter((key[a.group], a.content, a.correct) for a in selection.attempts)


@st.composite
def steps(draw: st.DrawFn) -> list[PromptGroup]:
    """A step with few problems and few texts, so that problems, texts and verdicts repeat and disagree."""
    rollouts = draw(st.integers(1, 5))
    rollout = st.tuples(st.sampled_from("abcdef"), st.booleans(), st.integers(0, 9))
    rows = draw(st.lists(st.lists(rollout, min_size=rollouts, max_size=rollouts), max_size=6))
    return [
        PromptGroup(
            key=draw(st.sampled_from("xyz")) if draw(st.booleans()) else f"problem {index}",
            attempts=tuple(
                Attempt(index, sample, correct, text.encode(), cut_off=text in "ef", replayable=luck > 0)
                for sample, (text, correct, luck) in enumerate(row)
            ),
        )
        for index, row in enumerate(rows)
    ]


configs = st.builds(ReplayConfig, max_attempts_per_prompt=st.integers(1, 3), keep_probe=st.booleans())
ratios = st.floats(0, 1)


class TestBand:
    @pytest.mark.parametrize(("solved", "inside"), [(2, False), (3, True), (4, True), (6, True), (7, False)])
    def test_bounds_are_inclusive_at_eight_rollouts(self, solved: int, inside: bool) -> None:
        assert in_band(solved, 8, ReplayConfig()) is inside

    @given(rollouts=st.integers(1, 64), low=st.integers(0, 64), high=st.integers(0, 64))
    def test_a_bound_that_is_a_share_of_the_rollouts_is_inside(self, rollouts: int, low: int, high: int) -> None:
        low, high = sorted((low % (rollouts + 1), high % (rollouts + 1)))
        config = ReplayConfig(band_low=low / rollouts, band_high=high / rollouts)
        inside = [solved for solved in range(rollouts + 1) if in_band(solved, rollouts, config)]
        assert inside == list(range(low, high + 1))

    def test_no_count_lies_in_the_band_of_two_rollouts_but_one_half(self) -> None:
        assert [in_band(solved, 2, ReplayConfig()) for solved in range(3)] == [False, True, False]


class TestQuotas:
    @given(k=st.integers(1, 300), rho=ratios)
    def test_the_correct_quota_is_rho_k_rounded_half_up(self, k: int, rho: float) -> None:
        assert wanted_correct(k, rho, True, True, keep_probe=False) == min(k, floor(rho * k + 0.5))

    @pytest.mark.parametrize(("k", "rho", "correct"), [(128, 0.3, 38), (5, 0.3, 2), (10, 0.25, 3), (4, 0.5, 2)])
    def test_each_side_gets_its_quota_where_it_can(self, k: int, rho: float, correct: int) -> None:
        selection = select([group(i, "11110000") for i in range(64)], k, rho)
        assert (selection.correct, len(selection.attempts)) == (correct, k)
        assert selection.wanted_correct == correct
        assert selection.rho_effective == correct / k

    def test_probes_keep_both_sides_measurable(self) -> None:
        groups = [group(i, "1100") for i in range(4)]
        assert select(groups, 4, 0.0).correct == 1
        assert select(groups, 4, 1.0).correct == 3
        assert select(groups, 1, 0.0).correct == 1
        assert select(groups, 1, 1.0).correct == 1

    def test_without_probes_a_side_may_stay_empty(self) -> None:
        config = replace(NO_LIMIT, keep_probe=False)
        groups = [group(i, "1100") for i in range(4)]
        assert select(groups, 4, 0.0, config).correct == 0
        assert select(groups, 4, 1.0, config).correct == 4

    @pytest.mark.parametrize("verdict", ["0", "1"])
    def test_a_side_that_does_not_exist_is_not_probed(self, verdict: str) -> None:
        selection = select([group(0, 4 * verdict)], 3, 0.5)
        assert [a.correct for a in selection.attempts] == 3 * [verdict == "1"]

    def test_a_probe_is_not_kept_out_by_the_limit_a_problem(self) -> None:
        """The only failed attempt is of a problem that the correct side would use up."""
        groups = [group(0, "1110"), group(1, "1111")]
        for step in range(20):
            for limit in (1, 2):
                config = ReplayConfig(max_attempts_per_prompt=limit)
                assert select(groups, 1 + limit, 0.8, config, step).correct == limit

    @given(groups=steps(), k=st.integers(2, 12), rho=ratios, config=configs)
    def test_with_probes_both_sides_are_chosen_where_they_exist(
        self, groups: list[PromptGroup], k: int, rho: float, config: ReplayConfig
    ) -> None:
        config = replace(config, keep_probe=True)
        exist = {a.correct for a in distinct_candidates(groups)[0]}
        assert {a.correct for a in select(groups, k, rho, config).attempts} == exist


class TestOrderOfPreference:
    def test_medium_first_then_fallback_then_the_other_side(self) -> None:
        medium, easy = group(0, "11110000"), group(1, "11111110")
        selection = select([medium, easy], 14, 0.25)  # 4 correct, 10 failed wanted; 5 failed exist
        assert selection.counts["medium"] == 4 + 4
        assert selection.counts["fallback"] == 1
        assert selection.counts["filled"] == 5
        assert selection.counts["relaxed"] == 0
        assert (len(selection.attempts), selection.correct) == (14, 9)

    def test_without_difficulty_all_are_alike_and_the_band_is_still_counted(self) -> None:
        groups = [group(0, "11110000"), group(1, "00000000")]
        chosen = [select(groups, 4, 0.0, replace(NO_LIMIT, difficulty=False, keep_probe=False), s) for s in range(20)]
        assert {a.group for selection in chosen for a in selection.attempts} == {0, 1}
        for selection in chosen:
            medium = sum(a.group == 0 for a in selection.attempts)
            assert (selection.counts["medium"], selection.counts["fallback"]) == (medium, 4 - medium)

    def test_fallback_comes_only_after_every_medium_attempt_of_the_side(self) -> None:
        groups = [group(0, "11110000"), group(1, "00000000")]
        for step in range(20):
            failed = [a for a in select(groups, 8, 0.5, step=step).attempts if not a.correct]
            assert {a.group for a in failed} == {0}

    def test_cut_off_attempts_are_last_of_their_side_even_medium_ones(self) -> None:
        cut, whole = group(0, "11110000", cut_off=True), group(1, "00000000")
        selection = select([cut, whole], 10, 0.2)
        assert [a.group for a in selection.attempts if not a.correct] == 8 * [1]
        assert selection.counts["cut_off"] == 2
        assert select([cut, whole], 14, 0.2).counts["cut_off"] == 6

    def test_the_limit_a_problem_holds_while_others_can_fill(self) -> None:
        groups = [group(i, "11110000") for i in range(8)]
        selection = select(groups, 16, 0.3, ReplayConfig())
        assert Counter(a.group for a in selection.attempts) == dict.fromkeys(range(8), 2)
        assert selection.counts["relaxed"] == 0

    def test_the_limit_is_relaxed_and_counted_before_k_is_missed(self) -> None:
        groups = [group(i, "11110000") for i in range(2)]
        selection = select(groups, 10, 0.5, ReplayConfig())
        assert (len(selection.attempts), selection.counts["relaxed"], selection.correct) == (10, 6, 5)

    @given(groups=steps(), k=st.integers(0, 30), rho=ratios, config=configs)
    def test_every_place_is_counted_once(
        self, groups: list[PromptGroup], k: int, rho: float, config: ReplayConfig
    ) -> None:
        selection = select(groups, k, rho, config)
        places = sum(selection.counts[name] for name in ("medium", "fallback", "filled", "relaxed"))
        assert places == len(selection.attempts)

    @given(groups=steps(), k=st.integers(0, 30), rho=ratios, config=configs)
    def test_a_problem_exceeds_its_limit_only_by_relaxed_places(
        self, groups: list[PromptGroup], k: int, rho: float, config: ReplayConfig
    ) -> None:
        selection = select(groups, k, rho, config)
        key = {a.group: g.key for g in groups for a in g.attempts}
        per_problem = Counter(key[a.group] for a in selection.attempts)
        over = sum(max(0, n - config.max_attempts_per_prompt) for n in per_problem.values())
        assert over == selection.counts["relaxed"]


class TestShare:
    """The wanted share of correct attempts comes before the limit a problem."""

    # Problems with 0 to 8 of 8 rollouts solved.
    MIXTURES = (
        (0, 0, 4, 4, 6, 6, 16, 24, 68),
        (6, 2, 2, 2, 2, 2, 4, 8, 100),
        (12, 0, 0, 0, 0, 0, 0, 0, 116),
        (100, 8, 4, 2, 2, 2, 2, 2, 6),
        (116, 0, 0, 0, 0, 0, 0, 0, 12),
        (30, 8, 8, 8, 8, 8, 8, 8, 42),
    )

    @pytest.mark.parametrize("mixture", MIXTURES, ids=str)
    @pytest.mark.parametrize("rho", [0.2, 0.3, 0.5, 0.8])
    @pytest.mark.parametrize("pool", [1, 4])
    def test_it_is_effective_while_that_side_has_enough_attempts(
        self, mixture: tuple[int, ...], rho: float, pool: int
    ) -> None:
        """Of a step's problems (online, and lagged one step later) and of an offline pool of four times as many."""
        solved = [count for count, problems in enumerate(mixture) for _ in range(problems * pool)]
        groups = [group(i, "1" * count + "0" * (8 - count)) for i, count in enumerate(solved)]
        exist = Counter(a.correct for g in groups for a in g.attempts)
        selection = select(groups, 128, rho, ReplayConfig())
        wanted = wanted_correct(128, rho, True, True, keep_probe=True)
        enough = exist[True] >= wanted and exist[False] >= 128 - wanted
        assert not enough or selection.rho_effective == pytest.approx(rho, abs=0.05)
        assert len(selection.attempts) == 128

    @given(
        solved=st.lists(st.sampled_from([0, 0, 1, 4, 4, 4]), min_size=4, max_size=8),
        k=st.integers(4, 16),
        rho=ratios,
        config=configs,
    )
    def test_a_place_goes_to_the_other_side_only_when_a_side_has_no_attempt_left(
        self, solved: list[int], k: int, rho: float, config: ReplayConfig
    ) -> None:
        groups = [group(i, "1" * count + "0" * (4 - count)) for i, count in enumerate(solved)]
        selection = select(groups, k, rho, config)
        exist = Counter(a.correct for a in distinct_candidates(groups)[0])
        places = len(selection.attempts)
        for side, quota in ((True, selection.wanted_correct), (False, places - selection.wanted_correct)):
            chosen_of_side = sum(a.correct == side for a in selection.attempts)
            assert chosen_of_side >= min(quota, exist[side])

    def test_the_other_side_keeps_to_the_limit_while_it_can(self) -> None:
        groups = [group(0, "00000000"), *(group(i, "11111111") for i in range(1, 9))]
        selection = select(groups, 20, 0.2, ReplayConfig())
        per_problem = Counter(a.group for a in selection.attempts)
        assert (per_problem.pop(0), max(per_problem.values())) == (8, 2)
        assert (selection.correct, selection.counts["filled"], selection.counts["relaxed"]) == (12, 8, 6)


class TestCandidates:
    @given(groups=steps(), k=st.integers(0, 30), rho=ratios, config=configs)
    def test_k_is_missed_only_when_fewer_distinct_attempts_exist(
        self, groups: list[PromptGroup], k: int, rho: float, config: ReplayConfig
    ) -> None:
        distinct = {(g.key, a.content) for g in groups for a in g.attempts if a.replayable}
        picked = select(groups, k, rho, config).attempts
        assert len(picked) == min(k, len(distinct))

    @given(groups=steps(), k=st.integers(0, 30), rho=ratios, config=configs)
    def test_no_attempt_twice_and_none_that_timed_out(
        self, groups: list[PromptGroup], k: int, rho: float, config: ReplayConfig
    ) -> None:
        picked = select(groups, k, rho, config)
        key = {a.group: g.key for g in groups for a in g.attempts}
        texts = [(key[a.group], a.content) for a in picked.attempts]
        assert len(texts) == len(set(texts))
        assert all(a.replayable for a in picked.attempts)

    def test_what_was_left_out_is_counted(self) -> None:
        same = [Attempt(0, i, False, b"same") for i in range(3)]
        late = [Attempt(0, i, False, b"late", replayable=False) for i in (3, 4)]
        selection = select([PromptGroup("x", (*same, *late))], 5, 0.3)
        assert len(selection.attempts) == 1
        assert (selection.counts["duplicates"], selection.counts["unreplayable"]) == (2, 2)

    def test_the_same_text_at_two_problems_is_two_attempts(self) -> None:
        groups = [PromptGroup(str(i), (Attempt(i, 0, False, b"42"),)) for i in range(2)]
        assert len(select(groups, 2, 0.3).attempts) == 2

    def test_nothing_to_choose_from(self) -> None:
        assert select([], 4, 0.3).attempts == []
        nothing = select([group(0, "10")], 0, 0.3)
        assert nothing.attempts == []
        assert nothing.rho_effective != nothing.rho_effective


class TestPurity:
    @given(groups=steps(), k=st.integers(0, 20), rho=ratios, config=configs, order=st.randoms())
    def test_the_order_of_completion_changes_nothing(
        self, groups: list[PromptGroup], k: int, rho: float, config: ReplayConfig, order: random.Random
    ) -> None:
        """Samples change places within their groups, groups within the batch, and both get new indices."""
        shuffled = []
        for index, old in enumerate(order.sample(groups, len(groups))):
            attempts = order.sample(old.attempts, len(old.attempts))
            moved = tuple(replace(a, group=index, sample=sample) for sample, a in enumerate(attempts))
            shuffled.append(PromptGroup(old.key, moved))
        before, after = select(groups, k, rho, config), select(shuffled, k, rho, config)
        assert chosen(groups, before) == chosen(shuffled, after)
        assert before.counts == after.counts

    @given(groups=steps(), k=st.integers(0, 20), rho=ratios, seed=st.integers(0), step=st.integers(0))
    def test_the_same_seed_and_step_choose_the_same(
        self, groups: list[PromptGroup], k: int, rho: float, seed: int, step: int
    ) -> None:
        first = select(groups, k, rho, step=step, seed=seed)
        assert select(groups, k, rho, step=step, seed=seed).attempts == first.attempts

    def test_attempts_come_in_the_order_of_their_groups(self) -> None:
        picked = select([group(i, "11110000") for i in range(16)], 30, 0.3, ReplayConfig()).attempts
        assert [a.group for a in picked] == sorted(a.group for a in picked)

    def test_steps_and_seeds_choose_independently(self) -> None:
        """Over 200 steps each of 8 equal problems is one of the 2 chosen a quarter of the time, within 5 sigma."""
        groups = [group(i, "0000") for i in range(8)]
        for vary in ("step", "seed"):
            picked = [select(groups, 2, 0.3, ReplayConfig(max_attempts_per_prompt=1), **{vary: i}) for i in range(200)]
            times = Counter(a.group for selection in picked for a in selection.attempts)
            assert all(20 <= times[i] <= 80 for i in range(8)), times


@given(steps(), st.integers(0, 12), st.integers(0, 3))
def test_the_uniform_rule_takes_each_problem_once_before_any_twice(
    groups: list[PromptGroup], k: int, step: int
) -> None:
    """And no verdict counts: with all of them turned around the same attempts are chosen."""
    found = select_uniform(groups, k, 0.3, ReplayConfig(), 0, step)
    candidates, _ = distinct_candidates(groups)
    key = {attempt.group: group.key for group in groups for attempt in group.attempts}
    assert len(found.attempts) == min(k, len(candidates))
    problems = Counter(key[a.group] for a in found.attempts)
    if len(problems) < len({key[a.group] for a in candidates}):
        assert set(problems.values()) <= {1}
    assert len({(key[a.group], a.content) for a in found.attempts}) == len(found.attempts)


def test_no_verdict_counts_for_the_uniform_rule() -> None:
    groups = [group(index, "1100") for index in range(6)]
    turned = [group(index, "0011") for index in range(6)]
    one, other = (select_uniform(each, 4, 0.3, ReplayConfig(), 0, 1) for each in (groups, turned))
    assert [(a.group, a.sample) for a in one.attempts] == [(a.group, a.sample) for a in other.attempts]
    assert len({a.group for a in one.attempts}) == 4
