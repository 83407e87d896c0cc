"""The cost ledger: everything generated for training is counted, once, and survives a resumption."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from fail2fix.method.ledger import Cost, Ledger

costs = st.builds(Cost, *[st.integers(0, 10_000)] * 4, seconds=st.integers(0, 1000).map(float))
spending = st.lists(
    st.tuples(st.sampled_from(["base", "correction", "initial"]), costs, st.lists(st.sampled_from("abcdef"))),
    max_size=12,
)


def spent(entries: list[tuple[str, Cost, list[str]]]) -> Ledger:
    ledger = Ledger()
    for stream, cost, problems in entries:
        ledger.spend(stream, cost, problems)
    return ledger


def test_the_lines_and_their_total() -> None:
    ledger = spent(
        [
            ("initial", Cost(8, 80, 40, 8, 1.0), ["a", "b"]),
            ("base", Cost(16, 160, 90, 17, 2.0), ["b", "c"]),
            ("correction", Cost(4, 100, 20, 4, 0.5), []),
            ("base", Cost(16, 150, 70, 16, 2.0), ["d"]),
        ]
    )
    ledger.optimizer_steps, ledger.seconds = 2, 9.5
    metrics = ledger.metrics()
    assert metrics["fail2fix/ledger/base/rollouts"] == 32
    assert metrics["fail2fix/ledger/base/prompt_tokens"] == 310
    assert metrics["fail2fix/ledger/base/verifier_calls"] == 33
    assert metrics["fail2fix/ledger/initial/generated_tokens"] == 40
    assert metrics["fail2fix/ledger/total/rollouts"] == 44
    assert metrics["fail2fix/ledger/total/seconds"] == 5.5
    assert (metrics["fail2fix/ledger/problems"], metrics["fail2fix/ledger/optimizer_steps"]) == (4, 2)
    assert metrics["fail2fix/ledger/seconds"] == 9.5


def test_an_empty_ledger_has_a_total() -> None:
    assert Ledger().metrics()["fail2fix/ledger/total/rollouts"] == 0


@given(spending)
def test_the_total_is_the_sum_of_what_was_spent(entries: list[tuple[str, Cost, list[str]]]) -> None:
    assert spent(entries).total.rollouts == sum(cost.rollouts for _, cost, _ in entries)


@given(spending, spending)
def test_a_resumed_ledger_goes_on_exactly(before: list, later: list) -> None:
    resumed = Ledger.from_state(json.loads(json.dumps(spent(before).state_dict())))
    for stream, cost, problems in later:
        resumed.spend(stream, cost, problems)
    assert resumed.metrics() == spent(before + later).metrics()


def test_what_is_left_of_a_budget() -> None:
    ledger = spent([("base", Cost(rollouts=44), [])])
    assert (ledger.left(100), ledger.left(None)) == (56, math.inf)
