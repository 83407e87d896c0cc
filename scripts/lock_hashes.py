"""Give every pin of a lock the hash of its package, as the package index of this machine's pip has it.

    python scripts/lock_hashes.py scripts/locks/cpu-py311.txt
    PIP_EXTRA_INDEX_URL=URL python scripts/lock_hashes.py ...     where torch's CPU build is on an index of its own

Rewrites the file: comments and versions stay, hashes are new. For x86-64 Linux with a C library of 2.31 or later and
the Python in the lock's name; nothing is installed and hardly anything downloaded (pip reads the index's metadata).
One hash a package, of the file that the oldest of those systems would take, since all later ones can take it too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# llguidance, which vLLM needs, has no wheel for an older one.
OLDEST_GLIBC = 31
PLATFORMS = [*(f"manylinux_2_{minor}_x86_64" for minor in range(OLDEST_GLIBC, 4, -1)), "manylinux2014_x86_64",
             "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]  # fmt: skip


def main() -> None:
    (lock,) = map(Path, sys.argv[1:])
    lines = [line.split(" --hash=")[0] for line in lock.read_text().splitlines()]
    hashes = resolved([line for line in lines if is_pin(line)], python_of(lock))
    lock.write_text("".join(f"{with_hash(line, hashes) if is_pin(line) else line}\n" for line in lines))


def is_pin(line: str) -> bool:
    return not line.startswith("#")


def python_of(lock: Path) -> str:
    """The Python version in a lock's name: 3.11 for cpu-py311.txt."""
    major, minor = re.fullmatch(r".*-py(\d)(\d+)", lock.stem).groups()
    return f"{major}.{minor}"


def resolved(pins: list[str], python: str) -> dict[str, str]:
    """The SHA-256 of each pin's file, by the package's normal name."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, report = Path(folder) / "pins.txt", Path(folder) / "report.json"
        wanted.write_text("\n".join(pins))
        command = [sys.executable, "-m", "pip", "--quiet", "install", "--dry-run", "--ignore-installed", "--no-deps"]
        target = ["--target", folder, "--python-version", python, "--implementation", "cp"]
        target += [part for platform in PLATFORMS for part in ("--platform", platform)]
        subprocess.run([*command, *target, "--report", report, "-r", wanted], check=True)
        packages = json.loads(report.read_text())["install"]
    return {normal(p["metadata"]["name"]): p["download_info"]["archive_info"]["hashes"]["sha256"] for p in packages}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.lower())


def with_hash(pin: str, hashes: dict[str, str]) -> str:
    return f"{pin} --hash=sha256:{hashes[normal(pin.split('==')[0])]}"


if __name__ == "__main__":
    main()
