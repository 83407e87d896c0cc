"""Pack verl, vLLM, Ray and what they import into one file, cut to what a dense bf16 model runs on Hopper.

    PYTHONPATH=scripts python -m gpu_archive.pack OUT --lock scripts/locks/gpu-py312.txt --build FOLDER [--fast]

Writes OUT/site.tar.xz. FOLDER keeps the wheels. The same lock gives the same file. Needs pip, strip (binutils), 3 GB of
disk and 3 GB of memory.
"""

from __future__ import annotations

import argparse
import lzma
import shutil
import tarfile
from pathlib import Path

from gpu_archive.contents import files
from gpu_archive.slim import slim
from gpu_archive.wheels import download, install, install_sources

WINDOW = 192 << 20  # bytes; larger than everything that looks alike


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--lock", type=Path, required=True)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--fast", action="store_true", help="compress less, to try it out")
    given = parser.parse_args()
    site = make_site(given.lock, given.build)
    given.out.mkdir(parents=True, exist_ok=True)
    compress(site, given.out / "site.tar.xz", 1 if given.fast else 9 | lzma.PRESET_EXTREME)
    print(f"site.tar.xz: {(given.out / 'site.tar.xz').stat().st_size / 2**20:.1f} MiB")


def make_site(lock: Path, build: Path) -> Path:
    """Install the packed packages into BUILD/site and slim the libraries that travel."""
    site = build / "site"
    wanted = download(lock, build / "wheels")
    shutil.rmtree(site, ignore_errors=True)
    install(wanted, site)
    install_sources(lock, site)
    for path in files(site):
        if is_library(path, site):
            slim(path)
    return site


def is_library(path: Path, site: Path) -> bool:
    """Whether this may be an ELF file: a shared library, or one of Ray's programs."""
    return ".so" in path.suffixes or path.is_relative_to(site / "ray/core/src/ray")


def compress(site: Path, out: Path, preset: int) -> None:
    """Write the files that travel as a compressed tar; it appears in one step."""
    partial = out.with_suffix(".partial")
    filters = [{"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": WINDOW}]
    with lzma.open(partial, "wb", filters=filters) as plain, tarfile.open(fileobj=plain, mode="w|") as archive:
        for path in files(site):
            archive.add(path, path.relative_to(site), filter=_without_owner)
    partial.replace(out)


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry


if __name__ == "__main__":
    main()
