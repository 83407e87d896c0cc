"""The card of a prepared set: where it came from, what is in it, what is not and why.

Knows: the card's fields. Must not know: how rows are read or dropped. `card.json` is for programs; README.md says the
same in the Hugging Face hub's form of a data card.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from fail2fix.data.files import sha256
from fail2fix.data.prepare.cleaning import Dropped
from fail2fix.data.prepare.overlap import Near
from fail2fix.data.sets.spec import PublicSet

FORMAT = 1


@dataclass(frozen=True)
class Made:
    """What came of a set. `source`: {file: sha256} of local copies, {} for the hub. `read`, `written`: {split: rows}.
    `exact`: {evaluation set: problems of it found}; `near`: None where the evaluation sets were not at hand."""

    source: Mapping[str, str]
    read: Mapping[str, int]
    written: Mapping[str, int]
    dropped: Dropped
    exact: Mapping[str, int]
    near: Mapping[str, list[Near]] | None


def write_card(out: Path, chosen: PublicSet, made: Made) -> None:
    """Write OUT/card.json and OUT/README.md beside the parquet files."""
    fields = card(out, chosen, made)
    (out / "card.json").write_text(json.dumps(fields, indent=1) + "\n")
    (out / "README.md").write_text(_markdown(fields))


def card(out: Path, chosen: PublicSet, made: Made) -> dict[str, object]:
    """The card's fields; `files` are the checksums of what was written to `out`."""
    near = None if made.near is None else {name: [asdict(pair) for pair in pairs] for name, pairs in made.near.items()}
    return {
        "format": FORMAT,
        "name": chosen.name,
        "hub_id": chosen.hub_id,
        "hub_config": chosen.hub_config,
        "revision": chosen.revision,
        "licence": chosen.licence,
        "use": chosen.use,
        "ability": chosen.ability,
        "instruction": chosen.instruction,
        "source": dict(made.source),
        "rows_read": dict(made.read),
        "rows_expected": dict(chosen.splits),
        "rows_written": dict(made.written),
        "dropped": {
            reason: {"rows": rows, "first": made.dropped.examples[reason]}
            for reason, rows in made.dropped.counts.most_common()
        },
        "overlap": {"exact": dict(made.exact), "near": near},
        "traps": list(chosen.traps),
        "files": {
            f"{split}.parquet": sha256([out / f"{split}.parquet"])
            for split, rows in sorted(made.written.items())
            if rows
        },
    }


def _markdown(fields: dict[str, object]) -> str:
    dropped, overlap = fields["dropped"], fields["overlap"]
    assert isinstance(dropped, dict)
    assert isinstance(overlap, dict)
    lines = [
        "---", f"license: {str(fields['licence']).lower()}", "---", "",
        f"# {fields['name']}", "",
        f"{fields['hub_id']}, {_revision(fields)}, prepared by `python -m fail2fix.prepare {fields['name']}`.", "",
        f"Read: {_counts(fields['rows_read'])}. Written: {_counts(fields['rows_written'])}.", "",
        "| dropped, because | rows |", "|---|---|",
        *(f"| {reason} | {each['rows']} |" for reason, each in dropped.items()), "",
        "| problems of | the same | nearly |", "|---|---|---|",
        *(f"| {name} | {count} | {_near(overlap['near'], name)} |" for name, count in overlap["exact"].items()), "",
        *(f"- {trap}" for trap in fields["traps"]),  # type: ignore[attr-defined]
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _revision(fields: Mapping[str, object]) -> str:
    if fields["source"]:
        return "from local copies"
    return f"revision {fields['revision']}" if fields["revision"] else "no pinned revision: rows may have changed"


def _counts(rows: object) -> str:
    assert isinstance(rows, dict)
    return ", ".join(f"{count:,} in {split}" for split, count in rows.items())


def _near(near: Mapping[str, list[Mapping[str, object]]] | None, name: str) -> str:
    """How many problems of an evaluation set are near, each by however many rows."""
    return (
        "not looked for" if near is None or name not in near else str(len({pair["evaluated"] for pair in near[name]}))
    )
