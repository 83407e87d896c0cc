"""DAPO's dynamic sampling: groups without a signal are refilled, within bounds, and everything is counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fail2fix.verl_ext.dynamic_sampling import refilled, with_signal
from fail2fix.verl_ext.stream import Stream
from tests.verl_ext.test_stream import read, stream


def verdicts(*groups: str, first: int = 0) -> Stream:
    """Groups whose rollouts have these verdicts, "1", "0", or "e" for a verifier that failed."""
    flat = "".join(groups)
    made = stream(
        len(groups), len(groups[0]), first,
        verdict=[int(v == "1") for v in flat], verify_status=["error" if v == "e" else "ok" for v in flat],
    )  # fmt: skip
    for row, verdict in enumerate(flat):
        made.rows.batch["rm_scores"][row] = 0
        made.rows.batch["rm_scores"][row, -1] = float(verdict == "1")
    return read(made.rows, len(groups[0]))


def names(made: Stream) -> list[str]:
    return made.requests.head.non_tensor_batch["uid"].tolist()[:: made.rollouts.group_size]


class Supply:
    """Gives prepared rounds and notes what was asked for."""

    def __init__(self, *rounds: Stream) -> None:
        self.rounds, self.asked = list(rounds), []

    def __call__(self, missing: int, round_number: int) -> Stream | None:
        self.asked.append((missing, round_number))
        return self.rounds.pop(0) if self.rounds else None


@pytest.mark.parametrize("metric", ["acc", "reward"])
def test_a_signal_is_a_difference_among_rollouts_that_were_verified(metric: str) -> None:
    assert with_signal(verdicts("10", "11", "00", "1e"), metric).tolist() == [True, False, False, False]


def test_a_step_with_signals_everywhere_is_left_alone() -> None:
    first, supply = verdicts("10", "01"), Supply()
    chosen, counts = refilled(first, supply, "acc", rounds=3)
    assert supply.asked == []
    assert names(chosen) == names(first)
    assert counts["fail2fix/base/sampling_rounds"] == 1
    assert counts["fail2fix/base/discarded_groups"] == counts["fail2fix/base/unfilled_groups"] == 0


def test_only_what_is_missing_is_asked_for_until_it_is_there() -> None:
    first = verdicts("10", "11", "00", "01")
    supply = Supply(verdicts("11", "10", first=8), verdicts("01", first=12))
    chosen, counts = refilled(first, supply, "acc", rounds=5)
    assert supply.asked == [(2, 2), (1, 3)]
    assert names(chosen) == ["u0", "u3", "u5", "u6"]
    assert counts == {
        "fail2fix/base/sampling_rounds": 3,
        "fail2fix/base/sampled_groups": 7,
        "fail2fix/base/sampled_excluded_groups": 0,
        "fail2fix/base/sampled_accuracy": 8 / 14,
        "fail2fix/base/discarded_groups": 3,
        "fail2fix/base/unfilled_groups": 0,
    }


def test_rounds_are_bounded_and_groups_without_a_signal_fill_the_step() -> None:
    supply = Supply(verdicts("11", "11", first=6))
    chosen, counts = refilled(verdicts("10", "11", "00"), supply, "acc", rounds=2)
    assert chosen.rollouts.groups == 3
    assert names(chosen)[0] == "u0"
    assert counts["fail2fix/base/unfilled_groups"] == 2
    assert counts["fail2fix/base/discarded_groups"] == 2


def test_a_budget_that_is_spent_ends_the_rounds() -> None:
    supply = Supply(verdicts("10", first=6))
    chosen, counts = refilled(verdicts("10", "11", "00"), supply, "acc", rounds=5)
    assert supply.asked == [(2, 2), (1, 3)]
    assert names(chosen)[0] == "u0"
    assert counts["fail2fix/base/sampling_rounds"] == 2
    assert counts["fail2fix/base/unfilled_groups"] == 1


def test_groups_that_were_not_verified_are_counted_and_fill_last() -> None:
    chosen, counts = refilled(verdicts("1e", "ee", "10", "11"), Supply(verdicts("0e", "00", "00", first=8)), "acc", 2)
    assert counts["fail2fix/base/sampled_excluded_groups"] == 3
    assert names(chosen) == ["u2", "u3", "u5", "u6"]
    assert not chosen.rollouts.excluded.any()


def test_rewards_differ_where_verdicts_do_not() -> None:
    """An overlong punishment gives a signal to the reward and none to the verdict."""
    made: Any = verdicts("11")
    made.rows.batch["rm_scores"][0, -1] = 0.5
    made = read(made.rows, 2)
    assert with_signal(made, "reward").tolist() == [True]
    assert with_signal(made, "acc").tolist() == [False]
    assert np.asarray(made.rollouts.correct).all()
