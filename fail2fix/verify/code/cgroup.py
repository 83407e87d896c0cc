"""A control group for each sandbox, where this process may make one: what bounds all its processes together.

Knows: cgroup v1 and v2 file trees. Must not know: sandboxes. Where none can be made (an ordinary user without
delegation, a container with a read-only /sys/fs/cgroup), the limits of each process stand in: see `local.py`.
"""

import contextlib
import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PREFIX = "fail2fix"
_numbers = itertools.count()


@dataclass(frozen=True)
class Hierarchy:
    """A folder to make groups in, and how a limit is written there: {file: which limit}."""

    parent: Path
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Group:
    """One group, over one or two hierarchies; `remove` once its processes have ended."""

    folders: tuple[Path, ...]

    def add(self, pid: int) -> None:
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def remove(self) -> None:
        """Remove the folders. The kernel refuses for a moment after the last process has ended."""
        for folder in self.folders:
            for _ in range(50):
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.01)


def new_group(hierarchies: tuple[Hierarchy, ...], memory_bytes: int, processes: int) -> Group:
    """A new group with these limits. Raises `OSError` where it cannot be made."""
    limits = {"memory": memory_bytes, "pids": processes}
    name = f"{PREFIX}-{os.getpid()}-{next(_numbers)}"
    group = Group(tuple(hierarchy.parent / name for hierarchy in hierarchies))
    try:
        for hierarchy, folder in zip(hierarchies, group.folders, strict=True):
            folder.mkdir()
            for file, limit in hierarchy.files:
                (folder / file).write_text(str(limits[limit]))
    except OSError:
        group.remove()
        raise
    return group


def usable_hierarchies(own: str = "/proc/self/cgroup", root: Path = ROOT) -> tuple[Hierarchy, ...]:
    """The hierarchies in which groups that bound both memory and processes can be made; () where there are none."""
    with contextlib.suppress(OSError):
        for found in (_version_2(own, root), _version_1(own, root)):
            if found and _can_make(found):
                _remove_abandoned(found)
                return found
    return ()


def _remove_abandoned(hierarchies: tuple[Hierarchy, ...]) -> None:
    """Remove the empty groups of processes that were killed before they could."""
    for folder in (folder for hierarchy in hierarchies for folder in hierarchy.parent.glob(f"{PREFIX}-*-*")):
        if not Path("/proc", folder.name.split("-")[1]).exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


def _version_1(own: str, root: Path) -> tuple[Hierarchy, ...]:
    paths: dict[str, str] = {}
    for line in Path(own).read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        paths |= dict.fromkeys(controllers.split(","), path)
    if not {"memory", "pids"} <= paths.keys():
        return ()
    return (
        Hierarchy(root / "memory" / paths["memory"].lstrip("/"), (("memory.limit_in_bytes", "memory"),)),
        Hierarchy(root / "pids" / paths["pids"].lstrip("/"), (("pids.max", "pids"),)),
    )


def _version_2(own: str, root: Path) -> tuple[Hierarchy, ...]:
    """Version 2 lets a group with processes in it have no limited children, so they are made beside our own."""
    line = next((line for line in Path(own).read_text().splitlines() if line.startswith("0::")), None)
    if line is None or not (root / "cgroup.controllers").exists():
        return ()
    here = root / line.removeprefix("0::").lstrip("/")
    for parent in (here, here.parent):
        switched_on = parent / "cgroup.subtree_control"
        if switched_on.exists() and {"memory", "pids"} <= set(switched_on.read_text().split()):
            return (Hierarchy(parent, (("memory.max", "memory"), ("pids.max", "pids"))),)
    return ()


def _can_make(hierarchies: tuple[Hierarchy, ...]) -> bool:
    try:
        new_group(hierarchies, 2**28, 16).remove()
    except OSError:
        return False
    return True
