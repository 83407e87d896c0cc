"""How the lines of a refusal read: the first line of an error, paths of one or many, sizes of files."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import ListConfig


def first_line(error: BaseException) -> str:
    """An error's first line; "no message" where it has none."""
    return next(iter(str(error).splitlines()), "") or "no message"


def paths(files: str | ListConfig | Sequence[str]) -> list[str]:
    """A key's paths, given as one or as a list."""
    return [files] if isinstance(files, str) else list(files)


def gigabytes(size: float) -> str:
    """Bytes as a reader takes them in: "3.2 GB"."""
    return f"{size / 1e9:,.1f} GB"
