"""Write files that a reader sees complete or not at all, even if the writer is killed."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text file, and its folder if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def sync(folder: Path) -> None:
    """Flush all files below a folder to the disk, so that a power failure does not lose them.

    Raises:
        OSError: one could not be written.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
