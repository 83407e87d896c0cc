"""Origin of a measurement: software, machine and load."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from fail2fix.run.provenance import versions

LIBRARIES = ("latex2sympy2_extended", "sympy", "pebble")
"""Packages behind the verdicts, beside those of `fail2fix.run.provenance`."""


def origin() -> dict[str, Any]:
    """Versions, commit, command, machine and its load, as JSON values."""
    found = versions()
    found["packages"] |= {name: version(name) for name in LIBRARIES}
    return found | {"made": datetime.now(timezone.utc).isoformat(timespec="seconds"), "load": os.getloadavg()}
