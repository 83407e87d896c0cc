"""Attack corpus: hand-written and generated attacks, as rows to judge."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from fail2fix.verify.attacks.generated import SEED, generated

CANARY = "@CANARY@"
"""Placeholder in a response for a file that exists only if the response was executed."""


@dataclass(frozen=True)
class Attack:
    """`id`: the row in reports; `response` must not be accepted as the answer `gold`."""

    id: str
    category: str
    gold: str
    response: str


def corpus(canary: Path, seed: int = SEED) -> list[Attack]:
    """All attacks; responses that write a file would write `canary`."""
    lines = (files("fail2fix.verify.attacks") / "written.jsonl").read_text("utf-8").splitlines()
    rows = [Attack(f"written.jsonl:{number}", **json.loads(line)) for number, line in enumerate(lines, 1)]
    rows += [Attack(f"generated:{number}", *row) for number, row in enumerate(generated(seed))]
    return [replace(row, response=row.response.replace(CANARY, str(canary))) for row in rows]


def drawn(attacks: Sequence[Attack], each: int, seed: int = SEED) -> list[Attack]:
    """At most `each` attacks of every category, drawn by `seed`, in their order."""
    draw = random.Random(seed)
    categories = {attack.category for attack in attacks}
    chosen: set[str] = set()
    for category in sorted(categories):
        names = [attack.id for attack in attacks if attack.category == category]
        chosen.update(draw.sample(names, min(each, len(names))))
    return [attack for attack in attacks if attack.id in chosen]
