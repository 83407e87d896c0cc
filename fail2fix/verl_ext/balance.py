"""A step's books (`method.accounting`) from verl's batches: who is in the update, and what became of the others."""

from __future__ import annotations

import numpy as np

from fail2fix.method.accounting import Account
from fail2fix.method.objective import BASE, CORRECTION
from fail2fix.verl_ext.streams import JointBatch, Stream


def verified(stream: Stream) -> int:
    """Rollouts that the reward function said something about: a finite reward, and a status where it gives any."""
    said = np.isfinite(stream.reward)
    statuses = stream.rows.non_tensor_batch.get("verify_status")
    if statuses is not None:
        said &= np.array([bool(status) for status in statuses])
    return int(said.sum())


def close_base(account: Account, joint: JointBatch, discarded: int, excluded: int) -> None:
    """Where the step's problems went.

    Args:
        discarded: groups that dynamic sampling left out.
        excluded: groups whose verifier failed, among all that were sampled.
    """
    failed_and_discarded = excluded - int(joint.base.excluded.sum())
    account.leave(
        recorded=_rows(joint, BASE) + discarded * joint.base.rollouts,
        trained=_trained(joint, BASE),
        failed=excluded,
        discarded=discarded - failed_and_discarded,
    )


def close_correction(account: Account, joint: JointBatch) -> None:
    """Where the chosen attempts went."""
    failed = int(joint.correction.excluded.sum()) if joint.correction else 0
    account.leave(recorded=_rows(joint, CORRECTION), trained=_trained(joint, CORRECTION), failed=failed)


def _rows(joint: JointBatch, stream: int) -> int:
    return int((joint.streams == stream).sum())


def _trained(joint: JointBatch, stream: int) -> int:
    """Groups of the stream in the update, by their ids in the batch itself."""
    return len(set(joint.rows.non_tensor_batch["uid"][(joint.streams == stream) & joint.included]))
