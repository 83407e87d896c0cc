"""Data sets and labeled answers of development machines, beside the project; see the marker ``needs_shared``."""

from __future__ import annotations

from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"
DATA = SHARED / "data"
TRUTH = SHARED / "truth"


def is_at_hand() -> bool:
    """Whether that folder is the project's: another folder may have its name."""
    return (SHARED / "METHOD.md").is_file()
