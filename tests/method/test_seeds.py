"""Seeds depend on what they are for, and on nothing else."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

from fail2fix.method.seeds import SEED_BITS, derived_seed, rollout_seeds


def test_a_seed_is_a_function_of_its_purpose() -> None:
    assert derived_seed(0, "base", 3) == derived_seed(0, "base", 3)
    purposes = [(run, stream, step) for run in range(5) for stream in ("base", "correction") for step in range(50)]
    seeds = {derived_seed(*purpose) for purpose in purposes}
    assert len(seeds) == len(purposes)
    assert all(0 <= seed < 2**SEED_BITS for seed in seeds)


def test_a_groups_samples_have_seeds_of_their_own_wherever_they_stand() -> None:
    prompts = ["a", "a", "b", "b"]
    seeds = rollout_seeds(0, "base", 1, prompts)
    assert len(set(seeds)) == 4
    wanted = Counter(zip(prompts, seeds, strict=True))
    for order in permutations(prompts):
        assert Counter(zip(order, rollout_seeds(0, "base", 1, order), strict=True)) == wanted


def test_streams_steps_and_runs_share_no_seed() -> None:
    drawn = [rollout_seeds(run, stream, step, ["a"]) for run in (0, 1) for stream in ("x", "y") for step in (1, 2)]
    assert len({seed for seeds in drawn for seed in seeds}) == len(drawn)


def test_batches_of_one_validation_count_on() -> None:
    samples: Counter[str] = Counter()
    parts = [rollout_seeds(0, "validation", 1, batch, samples) for batch in (["a", "b"], ["a", "a"])]
    assert [*parts[0], *parts[1]] == rollout_seeds(0, "validation", 1, ["a", "b", "a", "a"])
