"""Read and write our part of a checkpoint, ``global_step_N/fail2fix_state.json``, beside verl's files.

It is written last: a folder that has it is a complete checkpoint (``checkpoints.py``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fail2fix.data.atomic import write_whole
from fail2fix.method.errors import reading

SCHEMA = 2
FILE = "fail2fix_state.json"


def save_state(checkpoint: str | Path, state: dict[str, Any]) -> None:
    """Write ``state`` atomically: a reader sees the whole file or none."""
    write_whole(Path(checkpoint) / FILE, json.dumps({"schema": SCHEMA} | state, indent=2))


def load_state(checkpoint: str | Path) -> dict[str, Any] | None:
    """The state of a checkpoint; None if it has none (of a stock verl run).

    Raises:
        InputError: the file is damaged.
        ValueError: the file has another schema.
    """
    path = Path(checkpoint) / FILE
    if not path.exists():
        return None
    with reading(f"{path}: not valid JSON", ValueError, hint="resume from another checkpoint or delete the file"):
        state = json.loads(path.read_text())
    if state.pop("schema", None) != SCHEMA:
        raise ValueError(f"{path}: unknown schema; this version reads schema {SCHEMA}")
    return state
