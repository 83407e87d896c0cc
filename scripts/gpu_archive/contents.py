"""Which files of the packed packages travel: those that a dense bf16 model of Llama's or Qwen's kind runs.

Paths are relative to the site folder, patterns are fnmatch's (``*`` crosses folders); kept.txt wins over dropped.txt.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path

from gpu_archive.packages import listed


def _any(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, patterns)))


KEPT, DROPPED = _any(listed("kept")), _any(listed("dropped"))


def travels(path: str) -> bool:
    """Whether the file at this path of the site folder is packed."""
    return bool(KEPT.match(path)) or not DROPPED.match(path)


def files(site: Path) -> list[Path]:
    """The folder's files that travel, alike ones beside each other, in an order that depends on their paths only."""
    found = (path for path in site.rglob("*") if path.is_file() and travels(path.relative_to(site).as_posix()))
    return sorted(found, key=lambda path: (path.suffix, path.name, path))
