"""Mean cost of runs, and the 1 % rule: runs whose rollouts differ by more are not called equal.

Reads the ledger of a finished run: {"total/rollouts": ..., "total/prompt_tokens": ..., "seconds": ...}. Rollouts are
held equal; tokens, seconds, optimizer steps and distinct problems are reported beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Ledger = dict[str, float]
Cost = dict[str, float]

COSTS = ("rollouts", "tokens", "seconds", "optimizer_steps", "problems")

TOLERANCE_PERCENT = 1


def tokens(ledger: Ledger) -> float:
    """Prompt and generated tokens together."""
    return ledger["total/prompt_tokens"] + ledger["total/generated_tokens"]


def mean_cost(ledgers: Sequence[Ledger]) -> Cost:
    """The mean cost of runs from their final ledgers, at least one; ``problems``: distinct training problems seen."""
    costs = [each | {"rollouts": each["total/rollouts"], "tokens": tokens(each)} for each in ledgers]
    return {name: sum(cost[name] for cost in costs) / len(costs) for name in COSTS}


def ratios(cost: Cost, reference: Cost) -> dict[str, float | None]:
    """Each cost over the reference's; None where the reference's is 0."""
    return {name: value / reference[name] if reference[name] else None for name, value in cost.items()}


def unequal(rollouts: Mapping[str, float]) -> str:
    """Name the two runs whose rollouts differ most, if by more than 1 % of the smaller; else empty.

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
