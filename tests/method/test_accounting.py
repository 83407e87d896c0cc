"""A step's accounts: they balance exactly when nothing is lost, and say what is missing otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fail2fix.method.accounting import Account, AccountingError

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

COUNT = st.integers(0, 50)


def step_of_dynamic_sampling() -> Account:
    """4 problems and 2 more drawn, G = 3; 4 stay, of which 1 failed; of the 2 left out 1 failed too."""
    account = Account("base")
    account.enter(prompts=4)
    account.enter(asked=12, generated=12, verified=12)
    account.enter(prompts=2)
    account.enter(asked=6, generated=6, verified=6)
    account.leave(recorded=12 + 6, trained=3, failed=2, discarded=1)
    return account


def test_a_balanced_step_passes_and_says_all_its_numbers() -> None:
    account = step_of_dynamic_sampling()
    account.check(step=7)
    assert account.metrics() == {
        "fail2fix/accounting/base/prompts": 6,
        "fail2fix/accounting/base/trained": 3,
        "fail2fix/accounting/base/skipped": 1,
        "fail2fix/accounting/base/skipped_discarded": 1,
        "fail2fix/accounting/base/failed": 2,
        "fail2fix/accounting/base/generated": 18,
        "fail2fix/accounting/base/verified": 18,
        "fail2fix/accounting/base/recorded": 18,
    }


def test_a_lost_prompt_is_named_with_step_stream_and_numbers() -> None:
    account = step_of_dynamic_sampling()
    account.enter(prompts=1)
    with pytest.raises(
        AccountingError, match=r"step 7: of 7 base prompts 6 are accounted for: 3 trained \+ 1 discarded"
    ):
        account.check(step=7)


@pytest.mark.parametrize("what", ["asked", "generated", "verified"])
def test_a_lost_rollout_is_named(what: str) -> None:
    account = step_of_dynamic_sampling()
    account.enter(**{what: 1})
    with pytest.raises(AccountingError, match=rf"step 3: .*19 (base rollouts )?{what}"):
        account.check(step=3)


def test_a_stream_that_did_not_run_balances() -> None:
    Account("correction").check(step=1)


@given(
    trained=COUNT, failed=COUNT, discarded=COUNT, no_room=COUNT, rollouts=st.integers(1, 8), error=st.integers(-3, 3)
)
def test_books_balance_exactly_when_both_sides_agree(
    trained: int, failed: int, discarded: int, no_room: int, rollouts: int, error: int
) -> None:
    prompts = trained + failed + discarded + no_room
    account = Account("base")
    account.enter(prompts, prompts * rollouts, prompts * rollouts, prompts * rollouts)
    account.leave(prompts * rollouts, trained + error, failed, discarded=discarded, no_room=no_room)
    if error:
        with pytest.raises(AccountingError):
            account.check(1)
    else:
        account.check(1)
    assert account.metrics()["fail2fix/accounting/base/skipped"] == discarded + no_room
