"""The package as others get it: a wheel, in an environment that has the rest from this one and not the clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"VERL_PLATFORM": "cpu"}
"""An environment that does not lead to the clone."""


def pip(*arguments: str | Path) -> None:
    """Run this environment's pip quietly."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, env=OUTSIDE, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def build(folder: Path) -> Path:
    """Build the wheel of a copy: the clone stays as it is."""
    source = folder / "source"
    source.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("fail2fix", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(folder: Path, wheel: Path, first: Sequence[Path] = ()) -> Path:
    """Python of a new environment with the wheel, then ``first``, then this environment's packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=120)
    python = folder / "bin" / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    (site,) = folder.glob("lib/python*/site-packages")
    paths = [*first, sysconfig.get_path("purelib")]  # its own .pth files, the clone's among them, are not read
    (site / "others.pth").write_text("".join(f"{path}\n" for path in paths))
    return python


def released_verl(version: str, folder: Path) -> Path:
    """A folder with a published verl, without what it requires."""
    pip("download", "--no-deps", "--dest", folder, f"verl=={version}")
    (wheel,) = folder.glob("verl-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("verl")]  # it also ships its tests
        archive.extractall(folder / "verl", names)
    return folder / "verl"
