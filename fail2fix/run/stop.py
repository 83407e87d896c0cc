"""Asking a run to stop: it finishes its step, saves, and ends.

The request is a file in the run's folder, because the process that gets a signal is not the one that trains, and may
not be on its machine. Anybody may write it: ``touch <run folder>/stop``.
"""

from __future__ import annotations

from pathlib import Path

STOP = "stop"


class StopRequest:
    """Reads and writes the request of one run."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / STOP

    def make(self, reason: str) -> None:
        """Ask; the first reason is kept."""
        if not self._path.exists():
            self._path.write_text(reason + "\n")

    def clear(self) -> None:
        """Forget the request of an earlier start."""
        self._path.unlink(missing_ok=True)

    @property
    def reason(self) -> str:
        """Why the run shall stop; empty if nobody asked."""
        try:
            return self._path.read_text().strip() or f"{self._path} is there"
        except FileNotFoundError:
            return ""
