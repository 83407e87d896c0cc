"""The request that ends a training after its current step."""

from __future__ import annotations

from pathlib import Path


def ask_to_stop(folder: Path) -> None:
    """Write the run folder's ``stop`` file once the folder exists."""
    if folder.exists() and not (folder / "stop").exists():
        (folder / "stop").write_text("the GPU check's time limit\n")
