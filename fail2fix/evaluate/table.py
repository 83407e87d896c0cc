"""The figures of an evaluation as one console table. Computes nothing."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console

from fail2fix.report.console_table import NOTHING, bounds, make_table, percent, shown
from fail2fix.report.transitions import CONSOLE_COLORS, TRANSITIONS

HEADINGS = ("benchmark", "answers", "accuracy", "pass@k", "fixed", "broken", "tokens", "cut off", "lost")
WIDE = 200


def print_table(result: dict[str, Any], console: Console) -> None:
    """Print the columns that have a value, in full width where the output is no terminal."""
    rounds = [
        (name, number, score)
        for name, found in result["benchmarks"].items()
        for number, score in enumerate(found["rounds"])
    ]
    rows = [(f"  correction {number}" if number else name, *_cells(score)) for name, number, score in rounds]
    columns = [column for column in zip(HEADINGS, *rows, strict=True) if set(column[1:]) != {NOTHING}]
    table = make_table([heading for heading, *_ in columns])
    for row in zip(*(cells for _, *cells in columns), strict=True):
        table.add_row(*map(shown, row))
    if not console.is_terminal:
        console.width = WIDE
    console.print(table)
    for name, number, score in rounds:
        if "transition" in score:
            counts = (f"[{CONSOLE_COLORS[t]}]{t} {score['transition'][t]:,}[/]" for t in TRANSITIONS)
            console.print(shown(f"{name}, {number}:"), " ".join(counts))


def _cells(score: dict[str, Any]) -> Iterator[str]:
    most, lengths = str(score["samples"]), score["response_tokens"]
    yield f"{score['questions']:,} x {most}"
    yield with_interval(score["accuracy"])
    yield f"{percent(score['pass_at_k'][most]['value'])} ({most})" if most != "1" else NOTHING
    yield with_interval(score.get("fix_rate"))
    yield with_interval(score.get("break_rate"))
    yield f"{lengths['mean']:,.0f}" if lengths else NOTHING
    yield percent(lengths["cut_off"]) if lengths else NOTHING
    yield f"{score['statuses'].get('error', 0) + score['not_asked'] + score['refused']:,}"


def with_interval(interval: dict[str, Any] | None) -> str:
    """ "61.2 % [55.0, 67.1]"; "-" where there is nothing."""
    if interval is None:
        return NOTHING
    found = bounds(interval["low"], interval["high"]).removeprefix(NOTHING)
    return f"{percent(interval['value'])} {found}".rstrip()
