"""Figures of a training, computed from the rows of its ``metrics.jsonl``."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]

PHASES = ("gen", "old_log_prob", "ref", "adv", "update_actor", "update_weights")
PEARSON = "training/rollout_actor_probs_pearson_corr"
STREAMS = ("base", "correction")
KEPT = ("step", "timing_s/step", "timing_s/gen", "timing_s/update_actor", "timing_s/update_weights", PEARSON,
        "training/rollout_probs_diff_mean", "actor/pg_loss", "actor/grad_norm")  # fmt: skip


def rows(folder: Path) -> list[Row]:
    """A run's metrics, without a last line that is still being written."""
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 4) if known else None


def least(steps: list[Row], key: str) -> float:
    """The smallest value of a key that every step must have; nan if one lacks it or there is no step."""
    values = [step.get(key, math.nan) for step in steps]
    return math.nan if any(map(math.isnan, values)) else min(values, default=math.nan)


def rounds(steps: list[Row], names: tuple[str, ...]) -> list[dict[str, Row]]:
    """Complete rounds: the steps of each kind, in turn."""
    size = len(names)
    whole = range(0, len(steps) - size + 1, size)
    return [dict(zip(names, steps[at : at + size], strict=True)) for at in whole]


def step_times(counted: list[dict[str, Row]]) -> dict[str, Any]:
    """Medians over the rounds in seconds, shares of a step, and ratios to plain within a round."""
    if not counted:
        return {}
    names = list(counted[0])
    return {
        "rounds": len(counted),
        "turns": {name: _times([one[name] for one in counted]) for name in names},
        "step_to_plain": {name: ratio(counted, "timing_s/step", name) for name in names},
        "generation_to_plain": {name: ratio(counted, "timing_s/gen", name) for name in names},
    }


def _times(steps: list[Row]) -> dict[str, Any]:
    seconds = {name: median(step.get(f"timing_s/{name}") for step in steps) for name in ("step", *PHASES)}
    shares = {
        name: median(step.get(f"timing_s/{name}", 0.0) / step["timing_s/step"] for step in steps) for name in PHASES
    }
    return {"seconds": seconds, "share_of_step": shares,
            "rollouts": median(total(step, "rollouts") for step in steps),
            "generated_tokens": median(total(step, "generated_tokens") for step in steps)}  # fmt: skip


def ratio(counted: list[dict[str, Row]], key: str, name: str, peer: str = "plain") -> float | None:
    """The median over the rounds of one turn's seconds to the peer's."""
    return median(one[name][key] / one[peer][key] for one in counted)


def total(step: Row, what: str) -> float:
    """The sum over both streams."""
    return sum(step.get(f"fail2fix/{stream}/{what}") or 0.0 for stream in STREAMS)


def seeds_cost(of: dict[str, Row], without: list[dict[str, Row]]) -> dict[str, float | None]:
    """Generation seconds of the round with the other seeding, to the median of the counted rounds."""
    return {
        name: round(step["timing_s/gen"] / known, 3)
        for name, step in of.items()
        if (known := median(one[name]["timing_s/gen"] for one in without))
    }


def held_out(steps: list[Row]) -> dict[int, float]:
    """Held-out accuracy (0 to 1) by step."""
    return {
        step["step"]: value
        for step in steps
        for key, value in step.items()
        if key.startswith("val-core/") and "/acc/mean@" in key
    }


def excerpt(steps: list[Row]) -> list[Row]:
    return [{key: step[key] for key in KEPT if key in step} for step in steps]
