"""Our part of a checkpoint: ``global_step_N/fail2fix_state.json`` beside verl's files.

It is written before verl writes its tracker file, which names a checkpoint as complete.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

SCHEMA = 1
FILE = "fail2fix_state.json"


def save_state(checkpoint: str | Path, state: dict[str, Any]) -> None:
    """Write ``state`` atomically: a reader sees the whole file or none."""
    folder = Path(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{FILE}.partial"
    with partial.open("w") as file:
        json.dump({"schema": SCHEMA} | state, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / FILE)


def load_state(checkpoint: str | Path) -> dict[str, Any] | None:
    """The state of a checkpoint; None if it has none (one of a stock verl run).

    Raises:
        ValueError: the file is damaged or of another schema.
    """
    path = Path(checkpoint) / FILE
    if not path.exists():
        return None
    try:
        state = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON; resume from another checkpoint or delete the file") from error
    if state.pop("schema", None) != SCHEMA:
        raise ValueError(f"{path}: unknown schema; this version reads schema {SCHEMA}")
    return state
