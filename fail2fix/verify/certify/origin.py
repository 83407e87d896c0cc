"""Origin of a certificate: software and machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import suppress
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("fail2fix", "math-verify", "latex2sympy2_extended", "sympy", "pebble", "verl")


def origin() -> dict[str, Any]:
    """Versions, machine, commit and the machine's load, as JSON."""
    return {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "commit": _commit(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "machine": {"system": platform.platform(), "cpus": os.cpu_count(), "load": os.getloadavg()},
    }


def _version(package: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def _commit() -> str | None:
    """The commit of the checkout, marked if files differ from it; None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.strip() or None
    return None
