"""Data card of a prepared set: its origin, its contents, and what was dropped and why.

Knows: the card's fields. Must not know: how rows are read or dropped. `card.json` is for programs; README.md holds the
same in the Hugging Face hub's form of a data card.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fail2fix.data.atomic import write_json
from fail2fix.data.echoes import echo_counts
from fail2fix.data.files import sha256
from fail2fix.data.prepare.cleaning import Dropped
from fail2fix.data.prepare.overlap import Near
from fail2fix.data.rows import STATED
from fail2fix.data.sets.spec import INSTRUCTIONS, PublicSet

FORMAT = 1
EXAMPLES = 20
"""Dropped rows that a card names for each reason."""


@dataclass(frozen=True)
class Made:
    """Result of preparing one data set.

    `source`: {file: sha256} of local copies, {} for the hub. `read`, `written`: {split: rows}.
    `with_echoes`, `stated`: numbers of problems (`fail2fix.data.echoes`).
    `exact`: {evaluation set: number of its problems found}. `near`: None if the evaluation sets were not available.
    """

    source: Mapping[str, str]
    read: Mapping[str, int]
    written: Mapping[str, int]
    dropped: Dropped
    exact: Mapping[str, int]
    near: Mapping[str, list[Near]] | None
    with_echoes: int = 0
    stated: int = 0


def write_card(out: Path, chosen: PublicSet, made: Made) -> None:
    """Write OUT/card.json and OUT/README.md beside the parquet files, whose checksums are the card's `files`."""
    files = [f"{split}.parquet" for split, rows in sorted(made.written.items()) if rows]
    fields = {
        "format": FORMAT,
        "name": chosen.name,
        "hub_id": chosen.hub_id,
        "hub_config": chosen.hub_config,
        "revision": chosen.revision,
        "licence": chosen.license,
        "use": chosen.use,
        "ability": chosen.ability,
        "instruction": INSTRUCTIONS[chosen.ability],
        "source": dict(made.source),
        "rows_read": dict(made.read),
        "rows_expected": dict(chosen.splits),
        "rows_written": dict(made.written),
        "dropped": {
            reason: {"rows": rows, "first": made.dropped.places[reason][:EXAMPLES]}
            for reason, rows in made.dropped.counts.most_common()
        },
        "echoes": {"problems": made.with_echoes, "answer_in_problem": made.stated},
        "overlap": {"exact": dict(made.exact), "near": made.near},
        "traps": list(chosen.traps),
        "files": {name: sha256([out / name]) for name in files},
    }
    write_json(out / "card.json", fields)
    (out / "README.md").write_text(_markdown(fields))


def _markdown(fields: Mapping[str, Any]) -> str:
    overlap, pinned = fields["overlap"], fields["revision"]
    origin = f"revision {pinned}" if pinned else "no pinned revision: rows may have changed"
    origin = "from local copies" if fields["source"] else origin
    lines = [
        "---", f"license: {fields['licence'].lower()}", "---", "",
        f"# {fields['name']}", "",
        f"{fields['hub_id']}, {origin}, prepared by `python -m fail2fix.prepare {fields['name']}`.", "",
        f"Read: {_counts(fields['rows_read'])}. Written: {_counts(fields['rows_written'])}.", "",
        f"{echo_counts(*fields['echoes'].values())} (`extra_info.{STATED}`).", "",
        "| dropped, because | rows |", "|---|---|",
        *(f"| {reason} | {each['rows']} |" for reason, each in fields["dropped"].items()), "",
        "| problems of | the same | nearly |", "|---|---|---|",
        *(f"| {name} | {count} | {_near(overlap['near'], name)} |" for name, count in overlap["exact"].items()), "",
        *(f"- {trap}" for trap in fields["traps"]),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _counts(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} in {split}" for split, count in rows.items())


def _near(near: Mapping[str, list[Near]] | None, name: str) -> str:
    """Number of an evaluation set's problems that have a near overlap, each counted once."""
    if near is None or name not in near:
        return "not looked for"
    return str(len({pair.evaluated for pair in near[name]}))
