"""How far long work is, on stderr: a bar a stage on a terminal, a line a stage elsewhere.

Knows: rich. Must not know: what is done. A bar is drawn between two pieces of work, never by a thread beside them: it
would be part of the times that are measured.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

REDRAW_S = 0.5

Done = Callable[[], None]
"""To be called after each piece of work."""


def unseen() -> None:
    """A piece of work is done, and nobody wants to know."""


@contextmanager
def stage(label: str, pieces: int) -> Iterator[Done]:
    """Shows a stage of so many pieces while it runs; where nothing is called its bar is full at the end only."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"{label}: {pieces:,}", markup=False, highlight=False, soft_wrap=True)
        yield unseen
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    with bars:
        task = bars.add_task(label, total=pieces)
        drawn = time.monotonic()

        def done() -> None:
            nonlocal drawn
            bars.advance(task)
            if time.monotonic() - drawn > REDRAW_S:
                bars.refresh()
                drawn = time.monotonic()

        yield done
        bars.update(task, completed=pieces)
