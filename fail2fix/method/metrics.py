"""What is measured every step, both streams apart (METHOD.md, "What is measured").

Plain arrays in, ``{name: number}`` out. A group whose verifier failed is in none of these numbers but its count.

Shapes: N rollouts of one stream; K correction groups of G rollouts each (G' in METHOD.md).

Example::

    transition_metrics(np.array([True, False]), np.array([[True, False], [True, True]]))
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fail2fix.method.selection import Selection

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Metrics = dict[str, float]

FIX_RATE_BINS = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))


@dataclass(frozen=True)
class Rollouts:
    """One stream's rollouts, all arrays (N,): what the stream metrics read.

    ``unanswered``, ``timed_out``, ``over_limit`` (programs over their limits) and ``failed`` are checks that ended so;
    ``excluded`` are all rows of groups with a failed check.
    """

    correct: Bools
    plain_reward: Floats
    shaped_reward: Floats
    prompt_tokens: NDArray[np.int64]
    response_tokens: NDArray[np.int64]
    cut_off: Bools
    unanswered: Bools
    timed_out: Bools
    over_limit: Bools
    failed: Bools
    excluded: Bools


def stream_metrics(stream: str, rollouts: Rollouts) -> Metrics:
    """Accuracy, rewards, lengths and the ledger of one stream, under ``fail2fix/<stream>/``."""
    kept = ~rollouts.excluded
    values = {
        "rollouts": float(len(rollouts.correct)),
        "prompt_tokens": float(rollouts.prompt_tokens.sum()),
        "generated_tokens": float(rollouts.response_tokens.sum()),
        "verifier_no_answer": float(rollouts.unanswered.sum()),
        "verifier_timeouts": float(rollouts.timed_out.sum()),
        "verifier_over_limit": float(rollouts.over_limit.sum()),
        "verifier_errors": float(rollouts.failed.sum()),
    }
    if kept.any():
        values |= {
            "accuracy": rollouts.correct[kept].mean(),
            "reward_plain": rollouts.plain_reward[kept].mean(),
            "reward_shaped": rollouts.shaped_reward[kept].mean(),
            "response_length": rollouts.response_tokens[kept].mean(),
            "prompt_length": rollouts.prompt_tokens[kept].mean(),
            "cut_off": rollouts.cut_off[kept].mean(),
        }
    return {f"fail2fix/{stream}/{name}": float(value) for name, value in values.items()}


def group_metrics(stream: str, zero_variance: Bools, excluded: int) -> Metrics:
    """How many groups a stream has, how many teach nothing, how many left the update."""
    prefix = f"fail2fix/{stream}"
    return {
        f"{prefix}/groups": float(len(zero_variance)),
        f"{prefix}/zero_variance_groups": float(zero_variance.sum()),
        f"{prefix}/excluded_groups": float(excluded),
    }


def transition_metrics(attempt_K: Bools, correct_KG: Bools) -> Metrics:
    """The matrix of attempt -> correction in rollouts, its rates, and the histogram of per-attempt fix rates.

    ``fix_rate`` is the share of corrections of wrong attempts that are right, ``keep_rate`` (retention) that of
    right ones; a rate without rollouts is left out.
    """
    before = np.broadcast_to(attempt_K[:, None], correct_KG.shape)
    counts = {
        "fixed": int((~before & correct_KG).sum()),
        "kept": int((before & correct_KG).sum()),
        "broken": int((before & ~correct_KG).sum()),
        "still_wrong": int((~before & ~correct_KG).sum()),
    }
    metrics = {f"fail2fix/transition/{name}": float(count) for name, count in counts.items()}
    wrong, right = counts["fixed"] + counts["still_wrong"], counts["kept"] + counts["broken"]
    if wrong:
        metrics["fail2fix/transition/fix_rate"] = counts["fixed"] / wrong
    if right:
        metrics["fail2fix/transition/keep_rate"] = counts["kept"] / right
    return metrics | _fix_rate_histogram(correct_KG[~attempt_K])


def _fix_rate_histogram(correct_KG: Bools) -> Metrics:
    """How many failed attempts were fixed in none, up to a quarter, half, three quarters, more of their rollouts."""
    rates = correct_KG.mean(axis=1) if len(correct_KG) else np.zeros(0)
    counts = {"0": int((rates == 0).sum())}
    for low, high in FIX_RATE_BINS:
        counts[f"{low:g}-{high:g}"] = int(((rates > low) & (rates <= high)).sum())
    return {f"fail2fix/transition/fix_rate_histogram/{name}": float(count) for name, count in counts.items()}


def constant_policy_metrics(attempt_K: Bools, pass_rate_K: Floats, correct_KG: Bools) -> Metrics:
    """Correction accuracy against two constant policies: keep the attempt's answer, re-solve from scratch.

    ``pass_rate_K`` is the pass rate of each attempt's problem.
    """
    if correct_KG.size == 0:
        return {}
    keep, resolve = float(attempt_K.mean()), float(pass_rate_K.mean())
    return {
        "fail2fix/correction/keep_policy": keep,
        "fail2fix/correction/resolve_policy": resolve,
        "fail2fix/correction/gain_over_constant": float(correct_KG.mean()) - max(keep, resolve),
    }


def held_out_metrics(attempt_K: Bools, resolve_K: Floats, correct_KG: Bools) -> Metrics:
    """Corrections of frozen attempts on held-out problems, against the two constant policies.

    ``resolve_K`` is the current policy's accuracy on each attempt's problem, from scratch. The *keep* policy repeats
    the attempt's answer; the *re-solve* policy ignores the attempt.
    """
    right, wrong = correct_KG[attempt_K], correct_KG[~attempt_K]
    metrics = {"corrections": float(correct_KG.size)}
    if wrong.size:
        metrics["fix_rate"] = float(wrong.mean())
    if right.size:
        metrics["keep_rate"] = float(right.mean())
        metrics["break_rate"] = 1.0 - metrics["keep_rate"]
    if correct_KG.size:
        accuracy, keep, resolve = float(correct_KG.mean()), float(attempt_K.mean()), float(resolve_K.mean())
        metrics |= {
            "accuracy": accuracy,
            "keep_policy": keep,
            "resolve_policy": resolve,
            "gain_over_keep": accuracy - keep,
            "gain_over_resolve": accuracy - resolve,
        }
    return {f"fail2fix/held_out/{name}": value for name, value in metrics.items()}


def changed_share(attempt_answers: list[str], answers: list[list[str]]) -> Metrics:
    """Share of corrections whose extracted answer differs from their attempt's; pairs without both are left out."""
    pairs = [(a, b) for a, row in zip(attempt_answers, answers, strict=True) for b in row if a and b]
    if not pairs:
        return {}
    return {"fail2fix/transition/changed": sum(a != b for a, b in pairs) / len(pairs)}


def replay_metrics(selection: Selection, wanted: int, rho: float) -> Metrics:
    """What selection did: wanted and effective share of correct attempts, and every count of ``Selection``."""
    chosen = len(selection.attempts)
    metrics = {
        "rho": rho,
        "wanted": float(wanted),
        "chosen": float(chosen),
        "wanted_correct": float(selection.wanted_correct),
        "correct_attempts": float(selection.correct),
        "failed_attempts": float(chosen - selection.correct),
    }
    if chosen:
        metrics["rho_effective"] = selection.rho_effective
    metrics |= {name: float(count) for name, count in selection.counts.items()}
    return {f"fail2fix/replay/{name}": value for name, value in metrics.items()}
