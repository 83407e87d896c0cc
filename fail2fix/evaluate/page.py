"""The page of two evaluations: one self-contained HTML file, with answers that only one of the two got right.

Knows a comparison. Texts that a model wrote are escaped by the template engine, and the page allows no script and no
request whatever they say.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from fail2fix.evaluate.compare import Round, Side, table_rows

TEMPLATE = "page.html.jinja"
CASES = 3
"""Problems shown of each benchmark and side."""


@dataclass(frozen=True)
class Case:
    """A problem that one side got right in its first sample, and the other not."""

    benchmark: str
    id: str
    right: str
    prompt: str
    a: str
    b: str


def write_page(a: Side, b: Side, rounds: Sequence[Round], warnings: Sequence[str], out: Path) -> None:
    """Write OUT/comparison.html round OUT/comparison.png."""
    environment = Environment(
        loader=PackageLoader("fail2fix.evaluate", "."),
        autoescape=select_autoescape(enabled_extensions=("jinja",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template(TEMPLATE).render(
        a=a.folder.name,
        b=b.folder.name,
        sides=[{"name": name, "settings": _settings(side)} for name, side in (("A", a), ("B", b))],
        rows=[row for each in rounds for row in table_rows(each)],
        warnings=warnings,
        picture=base64.b64encode((out / "comparison.png").read_bytes()).decode(),
        cases=list(_cases(a, b, rounds)),
    )
    (out / "comparison.html").write_text(html, encoding="utf-8")


def _settings(side: Side) -> list[tuple[str, str]]:
    shown = dict(side.result["settings"]) | {
        "model_digest": side.result["model_digest"],
        "packages": side.result["versions"]["packages"],
    }
    return [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in shown.items()]


def _cases(a: Side, b: Side, rounds: Sequence[Round]) -> Iterator[Case]:
    for each in rounds:
        theirs = {record["id"]: record for record in _firsts(b, each)}
        found = {"A": 0, "B": 0}
        for record in _firsts(a, each):
            other = theirs.get(record["id"])
            if other is None or record["correct"] == other["correct"]:
                continue
            right = "A" if record["correct"] else "B"
            found[right] += 1
            if found[right] <= CASES:
                name = each.benchmark if each.number == 0 else f"{each.benchmark}, correction {each.number}"
                yield Case(name, record["id"], right, record["prompt"], record["response"], other["response"])


def _firsts(side: Side, each: Round) -> Iterator[Mapping[str, Any]]:
    for record in side.records[each.benchmark]:
        if record["round"] == each.number and record["sample"] == 0:
            yield record
