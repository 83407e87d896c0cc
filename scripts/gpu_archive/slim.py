"""Make a library smaller to compress: zeros for GPU code that is never run, no symbols.

Every offset stays as it is, so the library loads as before. A kernel that was overwritten fails when it is launched.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from gpu_archive.fat_binary import MACHINE_CODE, Unit, units

CAPABILITY = 90

# FlashAttention 3: of its kernels, named in each unit, those for bf16 and heads of 64 and 128 without soft caps.
FLASH_UNIT = re.compile(rb"\d\d_(flash[a-z0-9_]*?_cu)_[0-9a-f]{8}")
FLASH_NEEDED = re.compile(rb"flash_fwd_combine_cu|flash_prepare_scheduler_cu|flash_fwd_hdim(64|128)_bf16_(?!.*softcap)")

# vLLM's own library: larger compressed units are paged attention 1 and 2, Marlin, Mamba and quantized products.
LARGEST_UNIT = 128 << 10


def slim(library: Path) -> None:
    """Slim an ELF file in place; others are left alone."""
    data = bytearray(library.read_bytes())
    if not data.startswith(b"\x7fELF"):
        return
    if blank(data, library.name):
        library.write_bytes(data)
    # What strip refuses travels with its symbols.
    subprocess.run(["strip", "--strip-unneeded", library], check=False, stderr=subprocess.DEVNULL)


def blank(data: bytearray, name: str) -> int:
    """Overwrite the GPU code that is not needed with zeros; the number of bytes overwritten."""
    dropped = [unit for unit in units(data) if not needed(unit, data, name)]
    for unit in dropped:
        data[unit.start : unit.start + unit.size] = bytes(unit.size)
    return sum(unit.size for unit in dropped)


def needed(unit: Unit, data: bytearray, name: str) -> bool:
    """Whether a dense bf16 model on this compute capability runs the unit's kernels."""
    if unit.kind != MACHINE_CODE or unit.capability != CAPABILITY:
        return False
    if "fa3" in name:
        found = FLASH_UNIT.search(data, unit.start, unit.start + unit.size)
        return found is None or FLASH_NEEDED.search(found[1]) is not None
    return not unit.compressed or unit.size <= LARGEST_UNIT
