"""Which updates the gradient tests run, and with which numbers. Plain values, shared by tests, worker, reference.

A case is one call of the trainer's update (or of verl's own) on one set of rows; its result is one gradient for
each of the M mini-batches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

MODES = ("token-mean", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm")
RANKS = MINI_BATCHES = (1, 2)
WEIGHT = 0.5  # lambda
TEMPERATURE = 0.9
CLIP, DUAL_CLIP = 0.2, 3.0
KL_COEF, ENTROPY_COEF = 0.05, 0.01
PROBLEMS, ROLLOUTS = 4, 4  # B, G
ATTEMPTS, CORRECTIONS = 4, 2  # K, G'
PROMPT_WIDTH, RESPONSE_WIDTH = 12, 20
DYNAMIC_TOKENS = 48  # a dynamic micro-batch; the longest row has 32
SCALES = ("raw_std", "shaped_std")
BASELINES = ("group", "with_attempt")


@dataclass(frozen=True)
class Case:
    """One update.

    Attributes:
        ranks: FSDP2 ranks.
        rows: name of the rows (``gradient_reference.all_rows``).
        mode: loss_agg_mode.
        mini_batches: M.
        micro: rows of a fixed micro-batch; None for dynamic micro-batches.
        weight: lambda.
        corrections: False leaves the correction rows out.
        stock: verl's own trainer and loss.
        remove_padding: verl's packed rows.
        regularized: KL loss and entropy on.
        skip: rows without a gradient are left out of the passes.
        own: the update gives log pi_old.
        only: the place of the one stream that is updated; None: both.
    """

    ranks: int = 1
    rows: str = "plain"
    mode: str = "seq-mean-token-mean"
    mini_batches: int = 1
    micro: int | None = 3
    weight: float = WEIGHT
    corrections: bool = True
    stock: bool = False
    remove_padding: bool = True
    regularized: bool = True
    skip: bool = True
    own: bool = False
    only: int | None = None

    def __str__(self) -> str:
        micro = "dynamic" if self.micro is None else f"micro{self.micro}"
        words = [f"{self.ranks}rank", self.rows, self.mode, f"M{self.mini_batches}", micro]
        return "-".join(words + ([] if self.remove_padding else ["padded"]))


def stock(ranks: int, mode: str, mini_batches: int) -> Case:
    """verl's GRPO on the base rows."""
    return Case(ranks, mode=mode, mini_batches=mini_batches, micro=4, corrections=False, stock=True)


# Fixed micro-batches of 3 rows: of base rows, of correction rows, and of both.
JOINT = [Case(*axes) for axes in product(RANKS, ["plain"], MODES, MINI_BATCHES, [3, None])]
PADDED = [Case(mode=mode, mini_batches=2, micro=micro, remove_padding=False) for mode in MODES for micro in (3, None)]
STOCK = [stock(*axes) for axes in product(RANKS, MODES, MINI_BATCHES)]
WITHOUT_WEIGHT = [Case(*axes, weight=0.0) for axes in product(RANKS, ["plain"], MODES, MINI_BATCHES, [3])]
WITHOUT_CORRECTIONS = [
    Case(*axes, corrections=False) for axes in product(RANKS, ["plain"], MODES, MINI_BATCHES, [None])
]
DUPLICATED = [Case(*axes) for axes in product(RANKS, ["duplicated"], MODES, MINI_BATCHES, [4])]
EXCLUDED = [
    Case(ranks, rows, mode, mini_batches=2, micro=micro)
    for ranks, (rows, micro), mode in product(RANKS, [("excluded", 3), ("stream_excluded", None)], MODES)
]
RISK = [Case(rows=f"{scale}:{risk:g}") for scale in SCALES for risk in (0.0, 1.0)]
BROKEN = [Case(rows=f"all_broken:{baseline}", regularized=False) for baseline in BASELINES]
# Groups without advantage in both streams.
IDLE = [
    Case(ranks, "idle", mode, mini_batches, micro, regularized=False, skip=skip)
    for ranks, mode, mini_batches, micro, skip in product(RANKS, MODES, MINI_BATCHES, [None, 1], [True, False])
]
# An update on the corrections alone, of whose groups two teach nothing; every base row has an advantage. With fixed
# micro-batches, as many rows fill up as teach.
ALONE = [
    Case(ranks, "idle_corrections", mode, steps, micro, regularized=False, only=1)
    for ranks, mode, steps in product(RANKS, MODES, MINI_BATCHES)
    for micro in (None, ATTEMPTS * CORRECTIONS // (ranks * steps))
]
TOGETHER = [replace(case, only=None, micro=None, skip=False) for case in ALONE if case.micro]
# The update gives log pi_old: every row, and with idle rows left out.
OWN = [
    Case(ranks, rows, mode, micro=micro, regularized=regularized, own=True)
    for (rows, regularized), ranks, mode, micro in product(
        [("on_policy", True), ("on_policy_idle", False)], RANKS, MODES, [3, None]
    )
]
GIVEN = [replace(case, own=False) for case in OWN]
ALL = JOINT + PADDED + STOCK + WITHOUT_WEIGHT + WITHOUT_CORRECTIONS + DUPLICATED + EXCLUDED + RISK + BROKEN + IDLE
ALL += OWN + GIVEN + ALONE + TOGETHER + [replace(case, weight=0.0) for case in TOGETHER]
