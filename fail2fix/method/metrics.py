"""What is measured every step, both streams apart (METHOD.md, "What is measured").

Plain arrays in, ``{name: number}`` out. A group whose verifier failed is in none of these numbers but its count.

Shapes: N rollouts of one stream; K correction groups of G rollouts each (G' in METHOD.md).

Example::

    transition_metrics(np.array([True, False]), np.array([[True, False], [True, True]]))
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fail2fix.method.rollouts import Bools, Floats, Rollouts
from fail2fix.method.selection import Selection
from fail2fix.method.shaping import same_answer

Metrics = dict[str, float]

FIX_RATE_BINS = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))


CHECKS = {
    "no_answer": "verifier_no_answer",
    "timeout": "verifier_timeouts",
    "over_limit": "verifier_over_limit",
    "error": "verifier_errors",
}
"""How a check can end beside ``ok``, and the metric that counts it."""


def stream_metrics(stream: str, rollouts: Rollouts) -> Metrics:
    """Accuracy, rewards, lengths, tokens and failed checks of one stream, under ``fail2fix/<stream>/``."""
    kept = rollouts.included
    values = {
        "rollouts": float(len(rollouts)),
        "prompt_tokens": float(rollouts.prompt_tokens.sum()),
        "generated_tokens": float(rollouts.response_tokens.sum()),
    }
    values |= {name: float(rollouts.ended_in(status).sum()) for status, name in CHECKS.items()}
    if kept.any():
        values |= {
            "accuracy": rollouts.correct[kept].mean(),
            "reward_plain": (rollouts.reward + rollouts.taken)[kept].mean(),
            "reward_shaped": rollouts.reward[kept].mean(),
            "response_length": rollouts.response_tokens[kept].mean(),
            "prompt_length": rollouts.prompt_tokens[kept].mean(),
            "cut_off": rollouts.cut_off[kept].mean(),
        }
    return {f"fail2fix/{stream}/{name}": float(value) for name, value in values.items()}


def correction_metrics(attempt_K: Bools, pass_rate_K: Floats, answer_K: Sequence[str], rollouts: Rollouts) -> Metrics:
    """What corrections did to their attempts: the transition matrix, the constant policies, the changed answers.

    Args:
        attempt_K, pass_rate_K, answer_K: verdict and answer of each attempt, and the pass rate of its problem.
        rollouts: K groups of corrections; groups whose verifier failed are left out.
    """
    kept = ~rollouts.excluded
    correct_KG = rollouts.by_group(rollouts.correct)[kept]
    answers_KG = rollouts.by_group(np.array(rollouts.answers, dtype=object))[kept].tolist()
    attempts = [answer for answer, keep in zip(answer_K, kept, strict=True) if keep]
    return (
        transition_metrics(attempt_K[kept], correct_KG)
        | constant_policy_metrics(attempt_K[kept], pass_rate_K[kept], correct_KG)
        | changed_share(attempts, answers_KG)
    )


def group_metrics(stream: str, zero_variance: Bools, excluded: Bools) -> Metrics:
    """How many groups a stream has, how many teach nothing, how many left the update.

    Args:
        zero_variance: groups (K,) without a gradient; counted among those that did not leave.
        excluded: groups (K,) that left because the verifier failed.
    """
    prefix, kept = f"fail2fix/{stream}", ~excluded
    return {
        f"{prefix}/groups": float(kept.sum()),
        f"{prefix}/zero_variance_groups": float(zero_variance[kept].sum()),
        f"{prefix}/excluded_groups": float(excluded.sum()),
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


def own_answer_metrics(
    first_N: Bools, answer_N: Sequence[str], correct_NS: Bools, answers_NS: Sequence[Sequence[str]]
) -> Metrics:
    """Own answers to N held-out problems, and S revisions of each (ours).

    ``revised``: accuracy after one revision. ``confirmed``: after S revisions, where an answer gives way only if all
    agree on another one. ``repeated``: share of revisions of wrong answers that give the same answer again.
    """
    right, wrong = correct_NS[first_N], correct_NS[~first_N]
    metrics = {"answers": float(len(first_N))}
    if len(first_N):
        metrics |= {"accuracy": float(first_N.mean()), "revised": float(correct_NS.mean())}
        metrics["confirmed"] = float(confirmed(first_N, answer_N, correct_NS, answers_NS).mean())
    if wrong.size:
        same = [
            same_answer(before, answer)
            for before, row, first in zip(answer_N, answers_NS, first_N, strict=True)
            if not first
            for answer in row
        ]
        metrics |= {"fix_rate": float(wrong.mean()), "repeated": sum(same) / len(same)}
    if right.size:
        metrics |= {"keep_rate": float(right.mean()), "break_rate": 1.0 - float(right.mean())}
    return {f"fail2fix/own_answers/{name}": value for name, value in metrics.items()}


def confirmed(first_N: Bools, answer_N: Sequence[str], correct_NS: Bools, answers_NS: Sequence[Sequence[str]]) -> Bools:
    """Verdicts (N,) where an answer gives way only to revisions that all agree on another one."""
    agree = [len({*row}) == 1 and row[0] not in ("", before) for before, row in zip(answer_N, answers_NS, strict=True)]
    return np.where(agree, correct_NS[:, 0], first_N)


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
