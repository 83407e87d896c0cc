"""What a validation says: verdicts, accuracy by problem, and the numbers that verl summarizes.

verl joins the reward extras of a validation's batches by name and summarizes every number with a bootstrap. The dumps
hold them all; verl's summary gets what a user reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np

from fail2fix.method.metrics import CHECKS
from fail2fix.method.rollouts import Floats
from fail2fix.method.verdict import reaches
from fail2fix.verl_ext.reward_extras import Extras

# Extras of our reward manager that a validation's summary leaves out: in a validation they are constants or copies.
# `pred` would add verl's majority votes (maj@k), which cost twice as much as the rest of the summary.
OURS = frozenset({"pred", "verdict", "plain_reward", "shaped_reward", "attempt_correct", "verifier_calls"})


def validated_extras(extras: Extras, majority: bool = False) -> Extras:
    """What verl summarizes under ``val-*``: the reward and the numbers that the reward function returned.

    Args:
        extras: one list a name, None where a row has no value.
        majority: keep our reward manager's ``pred``, so that verl takes majority votes. Another manager's always stays.
    """
    hidden = OURS if "shaped_reward" in extras else frozenset()
    hidden -= {"pred"} if majority else set()
    return {
        name: values
        for name, values in extras.items()
        if name not in hidden and (name == "pred" or all(value is None or isinstance(value, Real) for value in values))
    }


def validated_verdicts(extras: Extras, correct_threshold: float) -> list[bool]:
    """Each row's verdict: the reward manager's, else a full ``acc`` beside a score, else a reward of the threshold."""
    absent = [None] * len(extras["reward"])
    given = (extras.get(name, absent) for name in ("verdict", "acc", "score"))
    verdicts = []
    for reward, verdict, acc, score in zip(extras["reward"], *given, strict=True):
        if verdict is not None:
            verdicts.append(float(verdict) == 1)
        elif acc is not None and score is not None:
            verdicts.append(reaches(float(acc)))
        else:
            verdicts.append(reaches(reward, correct_threshold))
    return verdicts


def check_counts(statuses: Sequence[str | None] | None) -> dict[str, float]:
    """How many checks of a validation did not end in ``ok``, by status; nothing where no status is given."""
    if statuses is None:
        return {}
    return {f"fail2fix/validation/{name}": float(statuses.count(status)) for status, name in CHECKS.items()}


def validated_accuracy(uids: Sequence[str], verdicts: Sequence[float], statuses: Sequence[str] | None) -> Floats:
    """(problems,) mean verdict of each validated problem, in the order of the validation set; nan without verdicts.

    ``statuses``: of the verifier, which failed where they say ``error``; None: it never did.
    """
    by_problem: dict[str, list[float]] = {}
    for uid, verdict, status in zip(uids, verdicts, statuses or ["ok"] * len(uids), strict=True):
        by_problem.setdefault(uid, []).extend([] if status == "error" else [float(verdict)])
    return np.array([np.mean(values) if values else np.nan for values in by_problem.values()])
