"""Whether the repository and the carried folder together are small enough to travel.

PYTHONPATH=scripts python -m gpu_archive.size REPOSITORY CARRIED     exit status 1 if they are not
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LIMIT = 60 << 20  # bytes of both together


def main() -> int:
    root, carried = map(Path, sys.argv[1:])
    sizes = {path: path.stat().st_size for path in [*tracked(root), *carried.rglob("*")] if path.is_file()}
    total = sum(sizes.values())
    print(f"gpu_archive: {total / 2**20:.1f} of {LIMIT >> 20} MiB")
    if total <= LIMIT:
        return 0
    largest = sorted(sizes, key=lambda path: -sizes[path])[:3]
    named = ", ".join(f"{path} {sizes[path] / 2**20:.1f}" for path in largest)
    print(f"gpu_archive: too large to travel: ignore or remove files (largest, MiB: {named})", file=sys.stderr)
    return 1


def tracked(root: Path) -> list[Path]:
    """The repository's files that git does not ignore, committed or not."""
    listed = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0")
    return [root / name for name in names if name]


if __name__ == "__main__":
    sys.exit(main())
