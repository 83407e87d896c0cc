"""Console tables of runs, comparisons and evaluations: one look, one spelling of numbers. Computes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fail2fix.console.printable import one_line
from fail2fix.report.transitions import CONSOLE_COLORS

NOTHING = "-"


def shown(words: object) -> Text:
    """`words` in one line, unchanged except for escaped control characters: rich reads `[red]` in a plain string."""
    return Text(one_line(str(words)))


@dataclass(frozen=True)
class Section:
    """Part of a table: a title, lines of a label and the texts of the columns, and its own column captions."""

    title: str
    lines: Sequence[tuple[str, ...]]
    captions: tuple[str, ...] = ()


def make_table(captions: Sequence[str], labels: int = 1, wrap_labels: bool = False) -> Table:
    """An empty table; its first ``labels`` columns are left-aligned. Without captions no header.

    ``wrap_labels``: long labels wrap in a narrow terminal, where numbers would vanish; short ones should stay whole.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_header=any(captions))
    for place, caption in enumerate(captions):
        label = place < labels
        whole = label and not wrap_labels
        table.add_column(shown(caption), justify="left" if label else "right", no_wrap=whole, overflow="fold")
    return table


def section_table(captions: Sequence[str], sections: Iterable[Section]) -> Table:
    """A table of titled sections. A line labeled with a transition has its color."""
    table = make_table(captions, wrap_labels=True)
    for section in sections:
        table.add_row(shown(section.title), *section.captions, style="bold")
        for label, *texts in section.lines:
            table.add_row(Text("  ") + shown(label), *map(shown, texts), style=CONSOLE_COLORS.get(label))
        table.add_section()
    return table


def print_warnings(warnings: Iterable[str], console: Console) -> None:
    """Print each warning on its own line."""
    for warning in warnings:
        console.print(shown(f"warning: {warning}"), style="yellow", soft_wrap=True)


def percent(share: float) -> str:
    """0.612 as ``61.2 %``."""
    return f"{100 * share:.1f} %"


def share_of(part: float, whole: float) -> str:
    """A count with its share of another, ``6 (25.0 %)``; ``-`` without any."""
    return f"{part:,} ({percent(part / whole)})" if whole else NOTHING


def bounds(low: float | None, high: float | None, form: str = ".1f") -> str:
    """An interval's bounds times 100, each in ``form``: ``[48.0, 56.3]``; ``-`` where it has none."""
    return NOTHING if low is None or high is None else f"[{100 * low:{form}}, {100 * high:{form}}]"


def clock(seconds: float, hours: bool = False) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``; ``hours``: always the latter."""
    minutes, rest = divmod(round(seconds), 60)
    whole, minutes = divmod(minutes, 60)
    return f"{whole:,}:{minutes:02}:{rest:02}" if whole or hours else f"{minutes}:{rest:02}"
