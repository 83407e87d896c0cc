"""The books of a step, counted from the batch that would be trained on."""

from __future__ import annotations

import numpy as np
import pytest

from fail2fix.method.accounting import Account, AccountingError
from fail2fix.method.objective import BatchSplit
from fail2fix.verl_ext.balance import close_base, close_correction, verified
from fail2fix.verl_ext.streams import JointBatch, Stream, join
from tests.verl_ext.test_streams import stream

# Groups of two, of which the verifier failed on the second.
FAILED = ["ok", "ok", "ok", "error", "no_answer", "timeout"]


def joined(base: Stream, correction: Stream | None = None) -> JointBatch:
    return join(base, correction, BatchSplit(), balance=False)


def asked(name: str, prompts: int, rollouts: Stream) -> Account:
    account = Account(name)
    account.enter(prompts, len(rollouts.rows), len(rollouts.rows), verified(rollouts))
    return account


def test_a_failed_group_is_counted_and_every_status_is_a_verification() -> None:
    base = stream(3, 2, verify_status=FAILED)
    account = asked("base", 3, base)
    close_base(account, joined(base), discarded=0, excluded=1)
    account.check(1)
    assert (account.trained, account.failed, account.verified, account.recorded) == (2, 1, 6, 6)


def test_what_dynamic_sampling_left_out_is_discarded_or_failed() -> None:
    """5 groups sampled, 2 of them failed; 3 stay, one of them a failed one."""
    sampled = stream(5, 2, verify_status=FAILED + ["error", "ok", "ok", "ok"])
    account = asked("base", 5, sampled)
    close_base(account, joined(sampled.groups_at(np.array([0, 1, 4]))), discarded=2, excluded=2)
    account.check(1)
    assert (account.trained, account.failed, account.skipped["discarded"], account.recorded) == (2, 2, 1, 10)


def test_corrections_have_books_of_their_own() -> None:
    base, correction = stream(2, 2), stream(3, 2, first=50, verify_status=FAILED)
    account = asked("correction", 4, correction)
    account.leave(no_room=1)
    close_correction(account, joined(base, correction))
    account.check(1)
    assert (account.trained, account.failed) == (2, 1)


def test_a_step_without_corrections_balances() -> None:
    account = Account("correction")
    close_correction(account, joined(stream(2, 2)))
    account.check(1)


def test_a_group_that_is_lost_before_the_update_is_found() -> None:
    base = stream(3, 2)
    account = asked("base", 3, base)
    close_base(account, joined(base.groups_at(np.array([0, 2]))), discarded=0, excluded=0)
    with pytest.raises(AccountingError, match="of 3 base prompts 2 are accounted for"):
        account.check(1)


def test_a_group_that_is_in_the_batch_twice_is_found() -> None:
    base = stream(3, 2)
    account = asked("base", 3, base)
    close_base(account, joined(base.groups_at(np.array([0, 1, 1]))), discarded=0, excluded=0)
    with pytest.raises(AccountingError):
        account.check(1)


@pytest.mark.parametrize("what", ["status", "reward"])
def test_a_rollout_without_a_verdict_is_found(what: str) -> None:
    base = stream(2, 2, verify_status=["ok", "ok", "" if what == "status" else "ok", "ok"])
    if what == "reward":
        base.rows.batch["rm_scores"][2] = float("nan")
    account = asked("base", 2, base)
    close_base(account, joined(base), discarded=0, excluded=0)
    with pytest.raises(AccountingError, match="4 generated, 3 verified"):
        account.check(1)
