"""Attack corpus: hand-written and generated attacks, as rows to judge."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from fail2fix.verify.attacks.generated import SEED, generated
from fail2fix.verify.certify.rows import gold_of, read_jsonl, text_of

CANARY = "@CANARY@"
"""Placeholder in a response for a file that exists only if the response was executed."""


@dataclass(frozen=True)
class Attack:
    """`id`: the row in reports; `response` must not be accepted as the answer `gold`."""

    id: str
    category: str
    gold: str
    response: str


def corpus(canary: Path, file: Path | None = None, seed: int = SEED) -> list[Attack]:
    """All attacks, or the attacks of `file`; responses that write a file would write `canary`.

    Raises:
        InputError: a row of `file` cannot be read.
    """
    written = file or Path(str(files("fail2fix.verify.attacks") / "written.jsonl"))
    rows = [
        Attack(
            f"{written.name}:{line}",
            text_of(row, "category", written, line),
            gold_of(row, written, line),
            text_of(row, "response", written, line),
        )
        for line, row in read_jsonl(written)
    ]
    if file is None:
        made = generated(seed)
        rows += [Attack(f"generated:{number}", *row) for number, row in enumerate(made)]
    return [Attack(row.id, row.category, row.gold, row.response.replace(CANARY, str(canary))) for row in rows]


def drawn(attacks: Sequence[Attack], each: int, seed: int = SEED) -> list[Attack]:
    """At most `each` attacks of every category, drawn by `seed`, in their order."""
    draw = random.Random(seed)
    categories = {attack.category for attack in attacks}
    chosen: set[str] = set()
    for category in sorted(categories):
        names = [attack.id for attack in attacks if attack.category == category]
        chosen.update(draw.sample(names, min(each, len(names))))
    return [attack for attack in attacks if attack.id in chosen]
