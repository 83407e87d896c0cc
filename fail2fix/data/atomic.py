"""Write files and folders that a reader sees complete or not at all, even if the writer is killed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory


def write_whole(path: Path, text: str) -> None:
    """Write a text file, and its folder if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def write_json(path: Path, fields: object) -> None:
    """Write a JSON file; dataclasses become objects."""
    write_whole(path, json.dumps(fields, indent=1, default=asdict) + "\n")


def is_free(folder: Path) -> bool:
    """Whether a new folder can take this place: nothing is there, or an empty folder."""
    return not folder.is_symlink() and (not folder.exists() or (folder.is_dir() and not any(folder.iterdir())))


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that becomes `out` when the block ends, and is removed if it raises.

    Its parent is removed in any case, and can hold temporary files.

    Raises:
        OSError: a file could not be written, or `out` is not free (`is_free`).
    """
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside `out`: a rename is atomic only within one file system.
    with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
        folder = Path(temporary) / "new"
        folder.mkdir()
        yield folder
        sync(folder)
        folder.rename(out)  # replaces an empty folder


def sync(folder: Path) -> None:
    """Flush all files below a folder to the disk, so that a power failure does not lose them.

    Raises:
        OSError: one could not be written.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
