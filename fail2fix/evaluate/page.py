"""The page of two evaluations: one self-contained HTML file, with answers that only one of the two got right.

Texts that a model wrote are escaped by the template engine, and the page allows no script and no request.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fail2fix.evaluate.compare import Round, Side, table_rows
from fail2fix.report.template import render

CASES = 3
"""Problems shown of each benchmark and side."""


def write_page(a: Side, b: Side, rounds: Sequence[Round], warnings: Sequence[str], out: Path) -> None:
    """Write OUT/comparison.html, which embeds OUT/comparison.png."""
    values = {
        "a": a.folder.name,
        "b": b.folder.name,
        "sides": [{"name": name, "settings": _settings(side)} for name, side in (("A", a), ("B", b))],
        "rows": [row for each in rounds for row in table_rows(each)],
        "warnings": warnings,
        "picture": base64.b64encode((out / "comparison.png").read_bytes()).decode(),
        "cases": [case for each in rounds for right in "AB" for case in _cases(a, b, each, right)],
    }
    html = render("fail2fix.evaluate", "page.html.jinja", values, escape=True)
    (out / "comparison.html").write_text(html, encoding="utf-8")


def _settings(side: Side) -> list[tuple[str, str]]:
    packages = side.result["versions"]["packages"]
    shown = {**side.result["settings"], "model_digest": side.result["model_digest"], "packages": packages}
    return [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in shown.items()]


def _cases(a: Side, b: Side, each: Round, right: str) -> list[dict[str, str]]:
    """Problems whose first sample only the side `right` answered correctly."""
    others = {record["id"]: record for record in _first_samples(b, each)}
    pairs = [(one, others[one["id"]]) for one in _first_samples(a, each) if one["id"] in others]
    return [
        {"benchmark": each.name, "id": one["id"], "right": right, "prompt": one["prompt"]}
        | {"a": one["response"], "b": two["response"]}
        for one, two in pairs
        if one["correct"] != two["correct"] and bool(one["correct"]) == (right == "A")
    ][:CASES]


def _first_samples(side: Side, each: Round) -> Iterator[Mapping[str, Any]]:
    for record in side.records[each.benchmark]:
        if record["round"] == each.number and record["sample"] == 0:
            yield record
