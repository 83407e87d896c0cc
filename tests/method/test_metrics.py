"""What is measured every step, on hand-computed values (METHOD.md, "What is measured")."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fail2fix.method.metrics import (
    changed_share,
    constant_policy_metrics,
    group_metrics,
    replay_metrics,
    stream_metrics,
    transition_metrics,
)
from fail2fix.method.rollouts import Rollouts
from fail2fix.method.selection import Attempt, Selection

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

HISTOGRAM = "fail2fix/transition/fix_rate_histogram/"


def bools(*values: int) -> np.ndarray:
    return np.array(values, dtype=bool)


def rollouts(failed: np.ndarray) -> Rollouts:
    """Four rollouts; the third's check timed out, the fourth is cut off and went over its limits."""
    ended = ["ok", "no_answer", "timeout", "over_limit"]
    return Rollouts(
        group_size=1,
        correct=bools(1, 1, 0, 0),
        reward=np.array([1.0, 1.0, -1.0, 0.5]),
        taken=np.array([0.0, 0.0, 1.0, 0.0]),
        prompt_tokens=np.array([10, 20, 30, 40]),
        response_tokens=np.array([100, 200, 300, 400]),
        cut_off=bools(0, 0, 0, 1),
        answers=["", "", "", ""],
        problems=["a", "b", "c", "d"],
        statuses=["error" if lost else status for lost, status in zip(failed, ended, strict=True)],
        verifier_calls=4,
    )


class TestStreams:
    LEDGER = {
        "fail2fix/base/rollouts": 4,
        "fail2fix/base/prompt_tokens": 100,
        "fail2fix/base/generated_tokens": 1000,
    }

    @staticmethod
    def checks(no_answer: int, timeouts: int, over_limit: int, errors: int) -> dict[str, float]:
        counts = {"no_answer": no_answer, "timeouts": timeouts, "over_limit": over_limit, "errors": errors}
        return {f"fail2fix/base/verifier_{name}": count for name, count in counts.items()}

    def test_every_rollout_counts(self) -> None:
        assert stream_metrics("base", rollouts(bools(0, 0, 0, 0))) == self.LEDGER | self.checks(1, 1, 1, 0) | {
            "fail2fix/base/accuracy": 0.5,
            "fail2fix/base/reward_plain": 0.625,
            "fail2fix/base/reward_shaped": 0.375,
            "fail2fix/base/response_length": 250,
            "fail2fix/base/prompt_length": 25,
            "fail2fix/base/cut_off": 0.25,
        }

    def test_rollouts_whose_verifier_failed_are_in_the_ledger_only(self) -> None:
        assert stream_metrics("base", rollouts(bools(1, 1, 0, 0))) == self.LEDGER | self.checks(0, 1, 1, 2) | {
            "fail2fix/base/accuracy": 0,
            "fail2fix/base/reward_plain": 0.25,
            "fail2fix/base/reward_shaped": -0.25,
            "fail2fix/base/response_length": 350,
            "fail2fix/base/prompt_length": 35,
            "fail2fix/base/cut_off": 0.5,
        }

    def test_a_stream_without_verdicts_has_a_ledger_and_no_averages(self) -> None:
        metrics = stream_metrics("base", rollouts(bools(1, 1, 1, 1)))
        assert metrics == self.LEDGER | self.checks(0, 0, 0, 4)

    def test_streams_have_their_own_names(self) -> None:
        names = stream_metrics("correction", rollouts(bools(0, 0, 0, 0)))
        assert {name.rpartition("/")[0] for name in names} == {"fail2fix/correction"}

    def test_groups(self) -> None:
        assert group_metrics("correction", bools(1, 0, 1, 1, 0), excluded=bools(0, 0, 0, 1, 1)) == {
            "fail2fix/correction/groups": 3,
            "fail2fix/correction/zero_variance_groups": 2,
            "fail2fix/correction/excluded_groups": 2,
        }


class TestTransitions:
    def test_the_matrix_and_its_rates(self) -> None:
        attempts = bools(1, 0, 0)
        corrections = np.array([[1, 1, 0, 1], [0, 0, 0, 1], [1, 1, 0, 0]], dtype=bool)
        metrics = transition_metrics(attempts, corrections)
        assert {
            name: metrics[f"fail2fix/transition/{name}"] for name in ("fixed", "kept", "broken", "still_wrong")
        } == {
            "fixed": 3,
            "kept": 3,
            "broken": 1,
            "still_wrong": 5,
        }
        assert metrics["fail2fix/transition/fix_rate"] == 3 / 8
        assert metrics["fail2fix/transition/keep_rate"] == 3 / 4

    @pytest.mark.parametrize(("attempt", "missing"), [(1, "fix_rate"), (0, "keep_rate")])
    def test_a_rate_without_rollouts_is_left_out(self, attempt: int, missing: str) -> None:
        metrics = transition_metrics(bools(attempt), np.array([[True, False]]))
        rates = {"fail2fix/transition/fix_rate", "fail2fix/transition/keep_rate"}
        assert rates - metrics.keys() == {f"fail2fix/transition/{missing}"}

    @given(st.data())
    def test_every_rollout_is_in_one_cell_and_every_failed_attempt_in_one_bin(self, data: st.DataObject) -> None:
        k, g = data.draw(st.integers(0, 6)), data.draw(st.integers(2, 9))
        attempts, corrections = data.draw(arrays(bool, k)), data.draw(arrays(bool, (k, g)))
        metrics = transition_metrics(attempts, corrections)
        cells = ("fixed", "kept", "broken", "still_wrong")
        assert sum(metrics[f"fail2fix/transition/{name}"] for name in cells) == k * g
        bins = [value for name, value in metrics.items() if name.startswith(HISTOGRAM)]
        assert (len(bins), sum(bins)) == (5, (~attempts).sum())

    @pytest.mark.parametrize(
        ("fixed", "name"),
        [
            (0, "0"),
            (1, "0-0.25"),
            (2, "0-0.25"),
            (3, "0.25-0.5"),
            (4, "0.25-0.5"),
            (5, "0.5-0.75"),
            (6, "0.5-0.75"),
            (7, "0.75-1"),
            (8, "0.75-1"),
        ],
    )
    def test_a_fix_rate_at_an_edge_belongs_to_the_bin_below(self, fixed: int, name: str) -> None:
        metrics = transition_metrics(bools(0), np.arange(8)[None] < fixed)
        filled = [key for key, value in metrics.items() if key.startswith(HISTOGRAM) and value]
        assert filled == [HISTOGRAM + name]

    def test_correct_attempts_have_no_fix_rate(self) -> None:
        metrics = transition_metrics(bools(1, 1), np.ones((2, 8), dtype=bool))
        assert not any(value for name, value in metrics.items() if name.startswith(HISTOGRAM))


class TestConstantPolicies:
    CORRECTIONS = np.array([[1, 1, 1, 0], [1, 0, 1, 0]], dtype=bool)  # accuracy 5/8

    @pytest.mark.parametrize(
        ("attempts", "pass_rates", "keep", "resolve", "gain"),
        [((1, 0), (0.25, 0.5), 0.5, 0.375, 0.125), ((0, 0), (0.25, 0.5), 0, 0.375, 0.25)],
    )
    def test_corrections_are_held_against_the_better_one(
        self, attempts: tuple[int, ...], pass_rates: tuple[float, ...], keep: float, resolve: float, gain: float
    ) -> None:
        metrics = constant_policy_metrics(bools(*attempts), np.array(pass_rates), self.CORRECTIONS)
        assert metrics == {
            "fail2fix/correction/keep_policy": keep,
            "fail2fix/correction/resolve_policy": resolve,
            "fail2fix/correction/gain_over_constant": gain,
        }

    def test_no_corrections_no_policies(self) -> None:
        assert constant_policy_metrics(bools(), np.zeros(0), np.zeros((0, 8), dtype=bool)) == {}


class TestChanged:
    def test_answers_are_compared_with_their_own_attempt(self) -> None:
        share = changed_share(["4", "7"], [["4", "5", "4", "4"], ["7", "8", "4", "7"]])
        assert share == {"fail2fix/transition/changed": 3 / 8}

    def test_pairs_without_both_answers_are_left_out(self) -> None:
        share = changed_share(["4", ""], [["4", "", "5"], ["1", "2", "3"]])
        assert share == {"fail2fix/transition/changed": 1 / 2}

    def test_no_pair_no_share(self) -> None:
        assert changed_share([""], [["1"]]) == {}
        assert changed_share([], []) == {}


class TestReplay:
    def test_every_count_of_the_selection(self) -> None:
        attempts = [Attempt(0, i, correct=i == 0, content=b"") for i in range(4)]
        counts = Counter(medium=3, fallback=1, filled=0, duplicates=2, skipped=1)
        assert replay_metrics(Selection(attempts, 2, counts), wanted=8, rho=0.4) == {
            "fail2fix/replay/rho": 0.4,
            "fail2fix/replay/rho_effective": 0.25,
            "fail2fix/replay/wanted": 8,
            "fail2fix/replay/chosen": 4,
            "fail2fix/replay/wanted_correct": 2,
            "fail2fix/replay/correct_attempts": 1,
            "fail2fix/replay/failed_attempts": 3,
            "fail2fix/replay/medium": 3,
            "fail2fix/replay/fallback": 1,
            "fail2fix/replay/filled": 0,
            "fail2fix/replay/duplicates": 2,
            "fail2fix/replay/skipped": 1,
        }

    def test_nothing_chosen_has_no_effective_share(self) -> None:
        metrics = replay_metrics(Selection([], 0), wanted=8, rho=0.3)
        assert metrics["fail2fix/replay/chosen"] == 0
        assert "fail2fix/replay/rho_effective" not in metrics


def test_every_metric_is_a_plain_float() -> None:
    """Trackers and the metrics file take no numpy scalars."""
    k_g = np.array([[True, False]])
    metrics = (
        stream_metrics("base", rollouts(bools(0, 0, 0, 0)))
        | group_metrics("base", bools(1), bools(0))
        | transition_metrics(bools(0), k_g)
        | constant_policy_metrics(bools(0), np.array([0.5]), k_g)
        | changed_share(["1"], [["1"]])
        | replay_metrics(Selection([], 0), 8, 0.3)
    )
    assert {type(value) for value in metrics.values()} == {float}
