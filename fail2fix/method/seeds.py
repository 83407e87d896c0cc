"""Seeds that are functions of what they are for: neither order nor a resumption changes what is drawn (ours)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence

SEED_BITS = 31
"""What every engine and service accepts."""


def derived_seed(*purpose: object) -> int:
    """One seed a purpose, in [0, 2^31): names and numbers that say what will be drawn with it."""
    words = json.dumps(purpose)
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big") % 2**SEED_BITS


def rollout_seeds(
    run_seed: int, stream: str, step: int, prompts: Sequence[str], samples: Counter[str] | None = None
) -> list[int]:
    """One seed a rollout, of (run, stream, step, prompt, sample).

    Args:
        prompts: what identifies each rollout's prompt; the n-th rollout of one prompt is its sample n, wherever it is.
        samples: how often each prompt was asked before; goes on counting.
    """
    samples = Counter() if samples is None else samples
    seeds = []
    for prompt in prompts:
        seeds.append(derived_seed(run_seed, stream, step, prompt, samples[prompt]))
        samples[prompt] += 1
    return seeds
