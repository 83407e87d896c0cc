"""The units of GPU code in a library that nvcc built, one for each source file and architecture.

A library holds fat binaries: a header (magic number, version 1, 16 bytes long, size of what follows) and units, each
with a header of its own. NVIDIA does not document the format; cuobjdump reads it, but no tool prunes linked libraries.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = struct.pack("<I", 0xBA55ED50)
HEADER = struct.Struct("<4sHHQ")  # magic, version, bytes of this header, bytes after it
UNIT_HEADER = struct.Struct("<HHIQ12xI8xQ16x")  # kind, version, bytes of this header, bytes of code; capability; flags
PTX, MACHINE_CODE = 1, 2
COMPRESSED = 0x8000


@dataclass(frozen=True)
class Unit:
    """``size`` bytes of code at offset ``start`` of the library, for a compute capability (90: Hopper)."""

    start: int
    size: int
    kind: int
    capability: int
    compressed: bool


def units(library: bytes | bytearray) -> Iterator[Unit]:
    """Every unit of every fat binary in a library's bytes."""
    place = 0
    while (place := library.find(MAGIC, place)) >= 0:
        end = _end(library, place)
        if end:
            yield from _units_between(library, place + HEADER.size, end)
        place = end or place + len(MAGIC)


def _end(library: bytes | bytearray, place: int) -> int:
    """Where the fat binary at this place ends; 0 if the magic number stands there by chance."""
    if place % 8 or place + HEADER.size > len(library):
        return 0
    _, version, header, size = HEADER.unpack_from(library, place)
    end = place + header + size
    return end if (version, header) == (1, HEADER.size) and end <= len(library) else 0


def _units_between(library: bytes | bytearray, at: int, end: int) -> Iterator[Unit]:
    while at + UNIT_HEADER.size <= end:
        kind, _, header, size, capability, flags = UNIT_HEADER.unpack_from(library, at)
        if kind == 0:  # padding
            return
        yield Unit(at + header, size, kind, capability, bool(flags & COMPRESSED))
        at += header + size
