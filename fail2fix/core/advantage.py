"""Advantages of correction groups (METHOD.md, "The penalty that does nothing").

All G' rollouts of a group share one attempt, so the risk term is an affine map of a group's rewards and
mean-and-std normalisation removes it. The scale therefore leaves the risk term out (``raw_std``), or a
baseline that contains the attempt itself makes it visible (``with_attempt``).

Shapes: K groups, G rollouts in each (G' in METHOD.md).

Example::

    import numpy as np
    plain, shaped = np.array([[1.0, 1, 0, 1]]), np.array([[1.0, 1, -1, 1]])
    correction_advantages(shaped, plain, np.array([1.0]), Scale.raw_std, Baseline.group).values  # 1, 1, -3, 1
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fail2fix.core.config import Baseline, Scale

EPSILON = 1e-6  # verl's, added to every scale
ZERO_VARIANCE = 1e-4  # a group whose scale is below this teaches nothing

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Advantages:
    """``values`` (K, G), and ``zero_variance`` (K,): groups that teach nothing."""

    values: Array
    zero_variance: NDArray[np.bool_]


def correction_advantages(
    shaped_KG: Array, plain_KG: Array, attempt_K: Array, scale: Scale, baseline: Baseline, leave_one_out: bool = False
) -> Advantages:
    """One advantage a rollout.

    Args:
        shaped_KG: R~, rewards with the risk term; everything else (KL, length terms) is in both arrays.
        plain_KG: R, the same rewards without the risk term.
        attempt_K: the attempts' own unshaped rewards; read by ``with_attempt`` only.
        scale: what to divide by.
        baseline: over what the mean and the std are taken.
        leave_one_out: compare each rollout with the mean of the others only (RLOO).

    Raises:
        ValueError: fewer than two rollouts a group, or shapes that differ.
    """
    if shaped_KG.ndim != 2 or shaped_KG.shape != plain_KG.shape or attempt_K.shape != shaped_KG.shape[:1]:
        raise ValueError(f"want (K, G), (K, G), (K,); got {shaped_KG.shape}, {plain_KG.shape}, {attempt_K.shape}")
    if shaped_KG.shape[1] < 2:
        raise ValueError(f"a correction group needs at least 2 rollouts, got {shaped_KG.shape[1]}")
    shaped_ref, plain_ref = shaped_KG, plain_KG
    if baseline is Baseline.with_attempt:
        shaped_ref = np.concatenate([shaped_KG, attempt_K[:, None]], axis=1)
        plain_ref = np.concatenate([plain_KG, attempt_K[:, None]], axis=1)
    centred = shaped_KG - shaped_ref.mean(axis=1, keepdims=True)
    if leave_one_out:
        # x - mean of the n - 1 others = (x - mean of all n) n / (n - 1)
        centred = centred * shaped_ref.shape[1] / (shaped_ref.shape[1] - 1)
    std_K = (shaped_ref if scale is Scale.shaped_std else plain_ref).std(axis=1, ddof=1)
    if scale is Scale.none:
        zero = np.abs(centred).max(axis=1) < ZERO_VARIANCE
        values = centred
    else:
        zero = std_K < ZERO_VARIANCE
        values = centred / (std_K[:, None] + EPSILON)
    return Advantages(np.where(zero[:, None], 0.0, values), zero)


def risk_effect(
    shaped_KG: Array, plain_KG: Array, attempt_K: Array, scale: Scale, baseline: Baseline, leave_one_out: bool = False
) -> float:
    """mean |A(lambda_risk) - A(0)|: how much the risk term changes what is learned (ours)."""
    if shaped_KG.size == 0:
        return 0.0
    with_risk = correction_advantages(shaped_KG, plain_KG, attempt_K, scale, baseline, leave_one_out).values
    without = correction_advantages(plain_KG, plain_KG, attempt_K, scale, baseline, leave_one_out).values
    return float(np.abs(with_risk - without).mean())
