"""An evaluation's numbers as one table for the terminal. Knows `evaluation.json`; computes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from fail2fix.console.markup import shown
from fail2fix.report.figures import COLOURS, TRANSITIONS

HEADINGS = ("benchmark", "answers", "accuracy", "pass@k", "fixed", "broken", "tokens", "cut off", "lost")
NOTHING = "-"
WIDE = 200


def print_table(result: dict[str, Any], console: Console) -> None:
    """The columns that have anything to say, in full width where no terminal binds it."""
    columns = [column for column in zip(HEADINGS, *_rows(result), strict=True) if set(column[1:]) != {NOTHING}]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading, *_ in columns:
        first = heading == HEADINGS[0]
        table.add_column(heading, justify="left" if first else "right", no_wrap=first, overflow="fold")
    for row in zip(*(cells for _, *cells in columns), strict=True):
        table.add_row(*map(shown, row))
    if not console.is_terminal:
        console.width = WIDE
    console.print(table)
    for name, found in result["benchmarks"].items():
        for number, score in enumerate(found["rounds"]):
            if line := " ".join(_matrix(score)):
                console.print(shown(f"{name}, {number}:"), line)


def _rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, found in result["benchmarks"].items():
        for number, score in enumerate(found["rounds"]):
            yield (name if number == 0 else f"  correction {number}", *_cells(score))


def _cells(score: dict[str, Any]) -> Iterator[str]:
    most = str(score["samples"])
    yield f"{score['questions']:,} x {most}"
    yield with_interval(score["accuracy"])
    yield f"{percent(score['pass_at_k'][most]['value'])} ({most})" if most != "1" else NOTHING
    for rate in ("fix_rate", "break_rate"):
        yield with_interval(score.get(rate))
    lengths = score["response_tokens"]
    yield f"{lengths['mean']:,.0f}" if lengths else NOTHING
    yield percent(lengths["cut_off"]) if lengths else NOTHING
    yield f"{score['statuses'].get('error', 0) + score['not_asked'] + score['refused']:,}"


def _matrix(score: dict[str, Any]) -> Iterator[str]:
    for name in TRANSITIONS if "transition" in score else ():
        yield f"[{COLOURS[name]}]{name} {score['transition'][name]:,}[/]"


def with_interval(interval: dict[str, Any] | None) -> str:
    """ "61.2 % [55.0, 67.1]"; "-" where there is nothing."""
    if interval is None:
        return NOTHING
    bounds = "" if interval["low"] is None else f" [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"
    return percent(interval["value"]) + bounds


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"
