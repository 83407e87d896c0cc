"""Seeds derived from their purpose: neither the order of requests nor a resumption changes a draw (ours)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence

SEED_BITS = 31
"""Every engine and service accepts seeds of this size."""


def derived_seed(*purpose: object) -> int:
    """Derive a seed in [0, 2^31) from the names and numbers that identify its use."""
    words = json.dumps(purpose)
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big") % (1 << SEED_BITS)


def rollout_seeds(
    run_seed: int, stream: str, step: int, prompts: Sequence[str], samples: Counter[str] | None = None
) -> list[int]:
    """Derive one seed per rollout from (run, stream, step, prompt, sample).

    Args:
        prompts: identity of each rollout's prompt; the n-th rollout of a prompt is sample n, in any position.
        samples: earlier rollouts per prompt; updated in place.
    """
    samples = Counter() if samples is None else samples
    seeds = []
    for prompt in prompts:
        seeds.append(derived_seed(run_seed, stream, step, prompt, samples[prompt]))
        samples[prompt] += 1
    return seeds
