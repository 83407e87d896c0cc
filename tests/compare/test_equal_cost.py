"""The 1 % rule, and ratios of costs."""

import pytest

from fail2fix.compare.summary import mean_cost, ratios, unequal


@pytest.mark.parametrize("rollouts", [(1000, 1000), (1000, 1010), (1010, 1000), (7, 7), (0, 0)])
def test_up_to_one_percent_is_equal(rollouts: tuple[int, int]) -> None:
    assert unequal({"a": rollouts[0], "b": rollouts[1]}) == ""


def test_more_is_not_and_the_worst_pair_is_named() -> None:
    found = unequal({"grpo-seed0": 1000, "grpo-seed1": 1005, "cipo-seed0": 1011})
    assert found == "grpo-seed0 spent 1,000 rollouts and cipo-seed0 1,011, 1.1 % more"


def test_the_rule_is_of_the_smaller_and_exact_for_large_runs() -> None:
    assert unequal({"a": 100_000_000, "b": 101_000_000}) == ""
    assert "1 % more" in unequal({"a": 100_000_000, "b": 101_000_001})


def test_nothing_spent_is_not_equal_to_something() -> None:
    assert unequal({"a": 0, "b": 1}) == "a spent 0 rollouts and b 1"


def ledger(scale: float) -> dict[str, float]:
    return {
        "total/rollouts": 100 * scale,
        "total/prompt_tokens": 1000 * scale,
        "total/generated_tokens": 500 * scale,
        "seconds": 60 * scale,
        "optimizer_steps": 10,
        "problems": 0,
    }


def test_costs_are_means_over_seeds_and_ratios_are_to_the_reference() -> None:
    cost = mean_cost([ledger(1), ledger(3)])
    assert cost == {"rollouts": 200, "tokens": 3000, "seconds": 120, "optimizer_steps": 10, "problems": 0}
    found = ratios(cost, mean_cost([ledger(1)]))
    assert found == {"rollouts": 2, "tokens": 2, "seconds": 2, "optimizer_steps": 1, "problems": None}
