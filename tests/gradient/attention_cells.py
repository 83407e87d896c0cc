"""The cells of ``preflight/attention.py``'s tables that a CPU can run. Shared by test and worker."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

FAMILIES = ("llama", "qwen2")


@dataclass(frozen=True)
class Cell:
    """One FSDP2 actor of a model whose embeddings are ``tied`` or not."""

    family: str
    tied: bool
    fused: bool
    attention: str
    packed: bool

    def __str__(self) -> str:
        words = [self.family, "tied" if self.tied else "untied", self.attention, "packed" if self.packed else "padded"]
        return "-".join(words + ["fused"] * self.fused)

    @property
    def model(self) -> str:
        return f"{self.family}-{'tied' if self.tied else 'untied'}"


CELLS = [Cell(*axes) for axes in product(FAMILIES, (True, False), (False, True), ("sdpa", "eager"), (True, False))]
DIES = [cell for cell in CELLS if cell.fused and not cell.tied]
RUNS = [cell for cell in CELLS if cell not in DIES]
