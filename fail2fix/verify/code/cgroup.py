"""Control group of each sandbox, if this process may make one: a limit for all its processes together.

Knows: cgroup v1 and v2 file trees. Must not know: sandboxes. Without permission (an ordinary user, a container with a
read-only /sys/fs/cgroup), limits of each process replace it: see `local.py`.
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
    """A folder to make groups in, and its limit files: (file, limit)."""

    parent: Path
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Group:
    """A group in one or two hierarchies; call `remove` after its processes have ended."""

    folders: tuple[Path, ...]

    def add(self, pid: int) -> None:
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def remove(self) -> None:
        """Remove the folders. The kernel refuses for a moment after the last process has ended."""
        for folder in self.folders:
            for _ in range(50):
                with contextlib.suppress(OSError):
                    folder.rmdir()
                if not folder.exists():
                    break
                time.sleep(0.01)


def new_group(hierarchies: tuple[Hierarchy, ...], memory_bytes: int, processes: int) -> Group:
    """A new group with these limits. Raises `OSError` if it cannot be made."""
    limits = {"memory": memory_bytes, "pids": processes}
    name = f"{PREFIX}-{os.getpid()}-{next(_numbers)}"
    group = Group(tuple(hierarchy.parent / name for hierarchy in hierarchies))
    with contextlib.ExitStack() as undo:
        undo.callback(group.remove)
        for hierarchy, folder in zip(hierarchies, group.folders, strict=True):
            folder.mkdir()
            for file, limit in hierarchy.files:
                (folder / file).write_text(str(limits[limit]))
        undo.pop_all()
    return group


def usable_hierarchies(own: str = "/proc/self/cgroup", root: Path = ROOT) -> tuple[Hierarchy, ...]:
    """Hierarchies in which groups can limit memory and processes; () if there are none."""
    for version in (_version_2, _version_1):
        with contextlib.suppress(OSError):
            if found := version(own, root):
                new_group(found, 2**28, 16).remove()
                _remove_abandoned(found)
                return found
    return ()


def _remove_abandoned(hierarchies: tuple[Hierarchy, ...]) -> None:
    """Remove empty groups of processes that were killed before they could do so."""
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
    """In version 2 a group with processes has no limited children, so groups are made beside ours."""
    line = next((line for line in Path(own).read_text().splitlines() if line.startswith("0::")), None)
    if line is None or not (root / "cgroup.controllers").exists():
        return ()
    here = root / line.removeprefix("0::").lstrip("/")
    for parent in (here, here.parent):
        switched_on = parent / "cgroup.subtree_control"
        if switched_on.exists() and {"memory", "pids"} <= set(switched_on.read_text().split()):
            return (Hierarchy(parent, (("memory.max", "memory"), ("pids.max", "pids"))),)
    return ()
