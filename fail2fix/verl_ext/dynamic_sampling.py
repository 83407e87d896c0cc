"""DAPO's dynamic sampling: groups that teach nothing are replaced before the update (arXiv 2503.14476, sec. 3.2).

verl's keys, ``algorithm.filter_groups.{enable,metric,max_num_gen_batches}``. Rounds are bounded; what they leave
missing is filled up with groups without a signal, so that every step has its B groups.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fail2fix.method.advantage import ZERO_VARIANCE
from fail2fix.verl_ext.streams import Bools, Stream, concatenated

# filter_groups.metric -> what a group's spread is taken of: its rewards or its verdicts.
REWARD_METRICS = ("reward", "score", "seq_reward", "seq_final_reward")
METRICS = (*REWARD_METRICS, "acc")


def with_signal(stream: Stream, metric: str) -> Bools:
    """Groups (N / G,) whose rollouts differ in the metric and whose verifier did not fail."""
    values = stream.reward if metric in REWARD_METRICS else stream.correct.astype(float)
    return np.asarray(stream.by_group(values).std(axis=1, ddof=1) >= ZERO_VARIANCE) & ~stream.excluded


def refilled(
    first: Stream, more: Callable[[int, int], Stream | None], metric: str, rounds: int
) -> tuple[Stream, dict[str, float]]:
    """As many groups as ``first`` has, those with a signal first, and what that took.

    Args:
        first: the step's own groups, round 1.
        more: (missing groups, round) -> rollouts of as many problems, or fewer; None where none can be afforded.
        rounds: most rounds, the first included.
    """
    wanted, rollouts = first.groups, [first]
    count = 1
    while count < rounds and (missing := wanted - sum(int(with_signal(s, metric).sum()) for s in rollouts)) > 0:
        if (others := more(missing, count + 1)) is None:
            break
        count += 1
        rollouts.append(others)
    sampled = concatenated(rollouts)
    signal = with_signal(sampled, metric)
    verified = sampled.correct[sampled.included_rows]
    # A group without a signal still measures p-hat and gives attempts; one whose verifier failed gives nothing.
    parts = (signal, ~signal & ~sampled.excluded, sampled.excluded)
    chosen = np.sort(np.concatenate([np.flatnonzero(part) for part in parts])[:wanted])
    counts = {
        "sampling_rounds": float(count),
        "sampled_groups": float(sampled.groups),
        "sampled_excluded_groups": float(sampled.excluded.sum()),
        "sampled_accuracy": float(verified.mean()) if len(verified) else 0.0,
        "discarded_groups": float(sampled.groups - wanted),
        "unfilled_groups": float(max(0, wanted - int(signal.sum()))),
    }
    return sampled.groups_at(chosen), {f"fail2fix/base/{name}": value for name, value in counts.items()}
