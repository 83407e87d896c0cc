"""The accounting of a step, counted from the batch that would be trained on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.method.accounting import Account, AccountingError
from fail2fix.method.ledger import Ledger
from fail2fix.method.objective import BatchSplit, joint_layout
from fail2fix.verl_ext.dynamic_sampling import discarded
from fail2fix.verl_ext.joint_batch import balanced, join
from fail2fix.verl_ext.step import Step
from fail2fix.verl_ext.stream import Stream
from fail2fix.verl_ext.trainer import Fail2FixTrainer
from tests.verl_ext.test_stream import read, stream

# Groups of two, of which the verifier failed on the second.
FAILED = ["ok", "ok", "ok", "error", "no_answer", "timeout"]


def started(**streams: tuple[int, Stream]) -> Step:
    """A step that asked for these prompts and got these rollouts."""
    nothing: Any = SimpleNamespace()
    step = Step(1, 0, False, nothing, Ledger())
    for name, (prompts, made) in streams.items():
        step.accounts[name].enter(prompts, len(made), len(made), made.rollouts.verified)
    return step


def checked(step: Step, *streams: Stream) -> dict[str, Account]:
    """The step's accounts, checked as the trainer does."""
    trainer: Any = SimpleNamespace()
    Fail2FixTrainer.check_accounting(trainer, join(streams, BatchSplit(), balance=False), step)
    return step.accounts


def test_a_failed_group_is_counted_and_every_status_is_a_verification() -> None:
    base = stream(3, 2, verify_status=FAILED)
    account = checked(started(base=(3, base)), base)["base"]
    assert (account.trained, account.failed, account.verified, account.recorded) == (2, 1, 6, 6)


def test_what_dynamic_sampling_left_out_is_discarded_or_failed() -> None:
    """5 groups sampled, 2 of them failed; 3 stay, one of them a failed one."""
    sampled = stream(5, 2, verify_status=FAILED + ["error", "ok", "ok", "ok"])
    kept, step = sampled.groups_at(np.array([0, 1, 4])), started(base=(5, sampled))
    counts = {"fail2fix/base/discarded_groups": 2.0, "fail2fix/base/sampled_excluded_groups": 2.0}
    step.accounts["base"].leave(**discarded(kept, counts))
    account = checked(step, kept)["base"]
    assert (account.trained, account.failed, account.skipped["discarded"], account.recorded) == (2, 2, 1, 10)


def test_corrections_have_their_own_account() -> None:
    base, correction = stream(2, 2), stream(3, 2, first=50, name="correction", verify_status=FAILED)
    step = started(base=(2, base), correction=(4, correction))
    step.accounts["correction"].leave(no_room=1)
    account = checked(step, base, correction)["correction"]
    assert (account.trained, account.failed) == (2, 1)


def test_a_step_without_corrections_balances() -> None:
    base = stream(2, 2)
    assert checked(started(base=(2, base)), base)["correction"].trained == 0


def test_a_group_that_is_lost_before_the_update_is_found() -> None:
    base = stream(3, 2)
    with pytest.raises(AccountingError, match="of 3 base prompts 2 are accounted for"):
        checked(started(base=(3, base)), base.groups_at(np.array([0, 2])))


def test_a_group_that_is_in_the_batch_twice_is_found() -> None:
    base = stream(3, 2)
    with pytest.raises(AccountingError):
        checked(started(base=(3, base)), base.groups_at(np.array([0, 1, 1])))


@pytest.mark.parametrize("what", ["status", "reward"])
def test_a_rollout_without_a_verdict_is_found(what: str) -> None:
    base = stream(2, 2, verify_status=["ok", "ok", "" if what == "status" else "ok", "ok"])
    if what == "reward":
        base.rows.batch["rm_scores"][2] = float("nan")
        base = read(base.rows, 2)
    with pytest.raises(AccountingError, match="4 generated, 3 verified"):
        checked(started(base=(2, base)), base)


@given(
    split=st.builds(BatchSplit, *[st.sampled_from([1, 2])] * 3),
    teaching=st.lists(st.booleans(), min_size=16, max_size=16),
    skip=st.booleans(),
    only=st.sampled_from([0, 1]),
)
def test_an_update_on_one_stream_sees_all_of_it_that_teaches_and_no_row_of_another(
    split: BatchSplit, teaching: list[bool], skip: bool, only: int
) -> None:
    """The rows of the other stream all have advantages: none may fill up a rank, a mini-batch or a micro-batch."""
    joint = join([stream(4, 4), stream(4, 4, first=50, name="correction")], split, balance=False)
    natural = [[True] * 16, [True] * 16]
    natural[only] = teaching
    taught = torch.tensor(natural).flatten()[torch.from_numpy(joint.order)]
    joint.rows.batch["advantages"] = taught[:, None] * joint.rows.batch["response_mask"].float()
    rows, kept, metrics = joint.for_update(split, only_advantage=True, skip=skip, only=only)
    own = joint.stream_of == only
    assert len(rows) == len(kept) == len(set(kept))
    assert set(kept) <= set(np.flatnonzero(own))
    assert set(kept) >= set(np.flatnonzero(own if not skip else own & taught.numpy()))
    assert len(kept) % (split.ranks * split.mini_batches * split.update_micro) == 0
    assert metrics["fail2fix/update/skipped_rows"] == 16 - len(kept)
    for place, rank in enumerate(np.split(kept, split.ranks)):
        steps = [joint.mini_batch[part] for part in np.split(rank, split.mini_batches)]
        assert all(set(step) == {number} for number, step in enumerate(steps)), (place, steps)


def test_an_update_on_one_stream_measures_that_stream_and_the_policy() -> None:
    joint = join([stream(2, 2), stream(2, 2, first=50, name="correction")], BatchSplit(), balance=False)
    metrics = {"fail2fix/base/pg_loss": 0.0, "fail2fix/correction/pg_loss": 2.0, "actor/grad_norm": 1.0}
    measured = {place: set(joint.measured(metrics, place)) for place in (None, 0, 1)}
    assert measured[None] == set(metrics)
    assert measured[0] == {"fail2fix/base/pg_loss", "actor/grad_norm"}
    assert measured[1] == {"fail2fix/correction/pg_loss", "actor/grad_norm"}


@given(st.integers(0, 99))
def test_whole_groups_leave_ranks_balanced(seed: int) -> None:
    """The paper's step on 8 ranks, answers as long as a model's: no rank reads 5 % more than the mean."""
    random, size, groups = np.random.default_rng(seed), 8, 128
    prompts = np.concatenate([random.integers(50, 250, groups), random.integers(300, 1500, groups)])
    responses = np.clip(random.lognormal(6.8, 0.6, 2 * groups * size), 1, 4096).astype(int)
    lengths = np.repeat(prompts // size, size) + responses
    streams = np.repeat([0, 1], groups * size)
    order, _ = joint_layout(streams, lengths.tolist(), BatchSplit(ranks=8), balanced, [size, size])
    of_ranks = lengths[order].reshape(8, -1).sum(1)
    assert of_ranks.max() <= 1.05 * of_ranks.mean()
