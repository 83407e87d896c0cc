"""Record a run's shared memory segments, and remove them once its processes have ended.

vLLM, verl and multiprocessing remove their files in /dev/shm themselves, unless they are killed. `SegmentRecord` keeps
inode numbers and names in a locked file in the same folder. A run's end removes the segments of its own processes. A
run's start removes the segments of dead runs: only recorded names, with the recorded inode number, of the same user,
and mapped by no visible process. Linux only.
"""

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Set
from pathlib import Path

import psutil

FOLDER = Path("/dev/shm")
# Ring buffers of vLLM, weights on their way to an engine (verl), NCCL's buffers, semaphores of multiprocessing.
NAME = r"(?:psm_[0-9a-f]+|verl_weights_[0-9a-f]+|nccl-\w+|sem\.mp-\w+)"
# By inode: a semaphore is mapped under a temporary name.
HELD = re.compile(r"^\S+ \S+ \S+ (\S+) ([0-9]+) +/dev/shm/", re.M)
LINE = re.compile(rf"([0-9]+) ({NAME})")
RECORD = "fail2fix-{uid}-"
LOOKS = 5  # after this many looks, a segment that no process of the run maps belongs to another program


class SegmentRecord:
    """The segments created by processes below this one, in a file that is locked while this process lives.

    Args:
        folder: /dev/shm, or a folder of a test.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._recorded: dict[int, str] = {}
        self._looks: dict[int, int] = {inode: LOOKS for inode, _ in _present(folder)}
        self._path: Path | None = None
        with contextlib.suppress(OSError):  # without the file, segments are still removed at the run's end
            self._path = self._create()

    def _create(self) -> Path:
        name = RECORD.format(uid=os.getuid()) + secrets.token_hex(4)
        unlocked = self._folder / f".{name}"
        self._file = unlocked.open("x")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return unlocked.rename(self._folder / name)

    def look(self) -> None:
        """Record the segments that are new since the last look."""
        new = {inode: name for inode, name in _present(self._folder) if self._looks.get(inode, 0) < LOOKS}
        if not new:
            return
        held = held_by(psutil.Process().children(recursive=True))
        for inode in new:
            self._looks[inode] = LOOKS if inode in held else self._looks.get(inode, 0) + 1
        self._write({inode: name for inode, name in new.items() if inode in held})

    def remove(self, keep: Set[int] = frozenset()) -> None:
        """Remove the recorded segments, except those with inode numbers in ``keep``."""
        remove_segments(self._recorded.keys() - keep, self._folder)
        self._recorded = {inode: name for inode, name in self._recorded.items() if inode in keep}

    def close(self) -> None:
        """Remove the segments and their record, at the end of the run."""
        self.remove()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._path = None

    def _write(self, found: dict[int, str]) -> None:
        self._recorded |= found
        if found and self._path is not None:
            with contextlib.suppress(OSError):  # /dev/shm is full
                self._file.writelines(f"{inode} {name}\n" for inode, name in found.items())
                self._file.flush()


def remove_abandoned(folder: Path = FOLDER) -> int:
    """Remove the segments in records of dead processes, unless a process maps them; return how many."""
    removed = 0
    for path in folder.glob(RECORD.format(uid=os.getuid()) + "*"):
        with contextlib.suppress(OSError), open(os.open(path, os.O_RDWR | os.O_NOFOLLOW)) as file:
            if os.fstat(file.fileno()).st_uid != os.getuid():
                continue
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its owner lives
            listed = {(int(inode), name) for inode, name in LINE.findall(file.read())}
            left = {inode for inode, _ in listed & set(_present(folder))}
            held = held_by(psutil.process_iter()) if left else set()
            removed += remove_segments(left - held, folder)
            if held.isdisjoint(left):
                path.unlink()
    return removed


def held_by(processes: Iterable[psutil.Process]) -> set[int]:
    """The inode numbers of /dev/shm that these processes map; a container may have its own /dev/shm."""
    held: set[int] = set()
    device = FOLDER.stat().st_dev if FOLDER.exists() else 0
    mounted = f"{os.major(device):02x}:{os.minor(device):02x}"
    for process in processes:
        with contextlib.suppress(OSError):  # ended meanwhile, or another user's
            maps = Path(f"/proc/{process.pid}/maps").read_text(errors="replace")
            held |= {int(inode) for device_of, inode in HELD.findall(maps) if device_of == mounted}
    return held


def remove_segments(inodes: Set[int], folder: Path = FOLDER) -> int:
    """Remove the segments with these inode numbers; return how many."""
    gone = [name for inode, name in _present(folder) if inode in inodes]
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    return len(gone)


def _present(folder: Path) -> Iterator[tuple[int, str]]:
    """Inode number and name of every segment of this user."""
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            if re.fullmatch(NAME, path.name):
                with contextlib.suppress(OSError):
                    status = path.lstat()
                    if status.st_uid == os.getuid():
                        yield status.st_ino, path.name
