"""Which packages of the GPU lock travel, which the GPU machine has, and which nothing of the check imports.

Every pin of the lock is in exactly one of the three lists: a new pin needs a decision.
"""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path

LISTS = Path(__file__).with_name("lists")


def listed(name: str) -> list[str]:
    """The words of a list, without its comments."""
    lines = (LISTS / f"{name}.txt").read_text().splitlines()
    return [word for line in lines if not line.startswith("#") for word in line.split()]


PACKED, ON_MACHINE, NOT_NEEDED = (frozenset(listed(name)) for name in ("packed", "on_machine", "not_needed"))

# Published as source only; pure Python, so any pip can build it.
SOURCES = frozenset({"antlr4-python3-runtime"})


def normal(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: Path) -> dict[str, str]:
    """The lock's lines by package: version and hashes."""
    lines = (line for line in lock.read_text().splitlines() if line and not line.startswith("#"))
    return {normal(line.split("==")[0]): line for line in lines}


def write_pins(lock: Path, names: Container[str], out: Path) -> Path:
    """Write the lock's lines of some packages as a requirements file and return its path."""
    out.write_text("".join(f"{pin}\n" for name, pin in pins(lock).items() if name in names))
    return out
