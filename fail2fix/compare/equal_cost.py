"""What runs cost, and the 1 % rule: runs whose rollouts differ by more are not called equal.

Knows the ledger of a finished run: {"total/rollouts": ..., "total/prompt_tokens": ..., "seconds": ...}. Rollouts are
what is held equal; tokens, seconds, optimiser steps and distinct problems are reported beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Ledger = Mapping[str, float]

TOLERANCE_PERCENT = 1


@dataclass(frozen=True)
class Cost:
    """What a config's runs cost, a mean over its seeds. ``problems`` are distinct training problems seen."""

    rollouts: float
    tokens: float
    seconds: float
    optimizer_steps: float
    problems: float


def tokens(ledger: Ledger) -> float:
    """Prompt and generated tokens together."""
    return ledger["total/prompt_tokens"] + ledger["total/generated_tokens"]


def mean_cost(ledgers: Sequence[Ledger]) -> Cost:
    """The mean cost of runs from their final ledgers, at least one."""

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    return Cost(
        rollouts=mean([ledger["total/rollouts"] for ledger in ledgers]),
        tokens=mean([tokens(ledger) for ledger in ledgers]),
        seconds=mean([ledger["seconds"] for ledger in ledgers]),
        optimizer_steps=mean([ledger["optimizer_steps"] for ledger in ledgers]),
        problems=mean([ledger["problems"] for ledger in ledgers]),
    )


def ratios(cost: Cost, reference: Cost) -> dict[str, float | None]:
    """Each cost over the reference's; None where the reference's is 0."""
    mine, others = vars(cost), vars(reference)
    return {name: mine[name] / others[name] if others[name] else None for name in mine}


def unequal(rollouts: Mapping[str, float]) -> str:
    """Say which two runs' rollouts differ most, if by more than 1 % of the smaller; else nothing.

    ``rollouts``: {run: its total}, at least one. Example: ``grpo-seed0 spent 1,000 rollouts and cipo-seed0 1,011,
    1.1 % more``.
    """
    least = min(rollouts, key=lambda run: rollouts[run])
    most = max(rollouts, key=lambda run: rollouts[run])
    excess = rollouts[most] - rollouts[least]
    if 100 * excess <= TOLERANCE_PERCENT * rollouts[least]:
        return ""
    share = f", {100 * excess / rollouts[least]:.3g} % more" if rollouts[least] else ""
    return f"{least} spent {rollouts[least]:,.0f} rollouts and {most} {rollouts[most]:,.0f}{share}"
