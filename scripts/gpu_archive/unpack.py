"""Lay the packed packages over this machine's own: an environment of its own, without pip and without a network.

    python3 unpack.py CARRIED WORK     prints WORK/env/bin/python

CARRIED is the folder that build.sh makes. Its packages are imported first, all others from the packages of the Python
that runs this. The rest of CARRIED is copied to WORK/carried. An existing environment is left alone: a later call on
the same machine needs no CARRIED.
"""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

PACKED_FOR = (3, 12)


def main() -> None:
    carried, work = Path(sys.argv[1]), Path(sys.argv[2]).absolute()
    env, packed = work / "env", carried / "site.tar.xz"
    if not (env / "done").exists():
        if sys.version_info[:2] != PACKED_FOR:
            sys.exit(f"gpu_archive: {sys.executable} is Python {sys.version.split()[0]}: the archive needs Python 3.12")
        if not packed.is_file():
            sys.exit(f"gpu_archive: {packed} is missing: run scripts/gpu_archive/build.sh and carry its folder")
        make_environment(packed, env, own_packages())
    if carried.is_dir():
        shutil.copytree(carried, work / "carried", ignore=shutil.ignore_patterns("*.xz"), dirs_exist_ok=True)
    print(env / "bin" / "python")


def make_environment(packed: Path, env: Path, below: list[str]) -> None:
    """A virtual environment with the packed packages, and other folders of packages below them."""
    site = env / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    site.mkdir(parents=True, exist_ok=True)
    with lzma.open(packed) as plain, tarfile.open(fileobj=plain, mode="r|") as archive:
        # Python before 3.11.4 knows no filters.
        archive.extractall(site, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (site / "machine.pth").write_text("".join(f"{path}\n" for path in below))
    base = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    (env / "bin").mkdir(exist_ok=True)
    for name in ("python", "python3"):
        link = env / "bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(base)
    (env / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    # Otherwise every process of a training compiles the same files at the same time.
    compileall = [env / "bin" / "python", "-m", "compileall", "-q", "-j", "0", site]
    subprocess.run(compileall, check=False, stdout=subprocess.DEVNULL)
    (env / "done").touch()


def own_packages() -> list[str]:
    """The folders where this Python finds packages."""
    return [path for path in sys.path if path.endswith(("site-packages", "dist-packages")) and Path(path).is_dir()]


if __name__ == "__main__":
    main()
