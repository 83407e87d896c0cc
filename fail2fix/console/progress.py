"""Show the progress of long work on stderr: one bar per stage on a terminal, one line per stage elsewhere.

A bar is drawn between two pieces of work, not by a thread, which would be part of measured times.
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
    """No-op progress callback."""


@contextmanager
def stage(label: str, pieces: int) -> Iterator[Done]:
    """Show a stage of ``pieces`` pieces of work while it runs; the bar is full at the end in any case."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"{label}: {pieces:,}", markup=False, highlight=False, soft_wrap=True)
        yield unseen
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as bars:
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
