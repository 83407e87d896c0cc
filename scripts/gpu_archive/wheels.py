"""The packed wheels: downloaded by the lock's hashes for the GPU machine's Python, and installed into a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gpu_archive.packages import PACKED, SOURCES, write_pins

LOCKED = ["--quiet", "--no-deps", "--require-hashes"]
GPU_MACHINE = [
    "--only-binary=:all:",
    "--python-version=3.12",
    "--implementation=cp",
    *(f"--abi={abi}" for abi in ("cp312", "abi3", "none")),
    *(f"--platform=manylinux_2_{minor}_x86_64" for minor in range(31, 4, -1)),
    *(f"--platform=manylinux{name}_x86_64" for name in ("2014", "2010", "1")),
]


def download(lock: Path, folder: Path) -> Path:
    """Fill the folder with the wheels of the lock's packed pins and return their requirements file.

    pip checks the hashes, also of existing wheels, and downloads what is missing. Raises SystemExit if it cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = write_pins(lock, PACKED - SOURCES, folder / "packed.txt")
    _pip("download", *LOCKED, *GPU_MACHINE, "--dest", folder, "-r", wanted)
    return wanted


def install(wanted: Path, site: Path) -> None:
    """Install the downloaded wheels below the site folder."""
    options = [*LOCKED, "--no-compile", "--target", site]
    _pip("install", *options, *GPU_MACHINE, "--no-index", "--find-links", wanted.parent, "-r", wanted)


def install_sources(lock: Path, site: Path) -> None:
    """Build and install the pins without a wheel, with this environment's setuptools."""
    wanted = write_pins(lock, SOURCES, site.parent / "sources.txt")
    _pip("install", *LOCKED, "--no-compile", "--target", site, "--no-build-isolation", "-r", wanted)


def _pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        sys.exit(f"gpu_archive: pip {arguments[0]} failed: {errors[-1] if errors else 'no message'}")
