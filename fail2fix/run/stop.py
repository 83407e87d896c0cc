"""Ask a run to stop after its step, and to save.

The request is a file in the run's folder, because the process that receives a signal is not the one that trains, and
may be on another machine. Users may write it too: ``touch <run folder>/stop``.
"""

from __future__ import annotations

from pathlib import Path

STOP = "stop"


class StopRequest:
    """Reads and writes the request of one run."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / STOP

    def make(self, reason: str) -> None:
        """Request the stop; the first reason is kept."""
        if not self._path.exists():
            self._path.write_text(reason + "\n")

    def clear(self) -> None:
        """Delete the request of an earlier start."""
        self._path.unlink(missing_ok=True)

    @property
    def reason(self) -> str:
        """Why the run should stop; empty without a request."""
        return (self._path.read_text().strip() or f"{self._path} exists") if self._path.exists() else ""
