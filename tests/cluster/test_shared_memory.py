"""Shared memory of a run is gone when the run has ended, at the latest at the next start; nothing else is touched."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fail2fix.cluster.shared_memory import FOLDER, NAME, SegmentRecord, remove_abandoned
from tests.run.test_driver import drive

HOLD = """
import time
from multiprocessing import resource_tracker, shared_memory
resource_tracker.register = lambda *_: None
segment = shared_memory.SharedMemory(create=True, size=4096)
print(segment.name, flush=True)
time.sleep(60)
"""
OWN = f"""
import os, subprocess, sys
from fail2fix.cluster.shared_memory import SegmentRecord
record = SegmentRecord()
children = [subprocess.Popen([sys.executable, "-c", {HOLD!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(2)]
names = [child.stdout.readline().strip() for child in children]
record.look()
children[0].kill()
children[0].wait()
print(*names, children[1].pid, flush=True)
sys.stdin.readline()
"""
Hold = Callable[[], tuple[subprocess.Popen[str], Path]]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Start a process that holds a new segment and never removes it."""
    started: list[tuple[subprocess.Popen[str], Path]] = []

    def start() -> tuple[subprocess.Popen[str], Path]:
        process, (name,) = launch(HOLD)
        started.append((process, FOLDER / name))
        return started[-1]

    yield start
    for process, path in started:
        process.kill()
        process.wait()
        path.unlink(missing_ok=True)


def launch(code: str) -> tuple[subprocess.Popen[str], list[str]]:
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().split()


def records() -> set[Path]:
    return set(FOLDER.glob("fail2fix-*"))


def test_a_segment_whose_process_died_before_the_end_is_removed_at_the_end(hold: Hold) -> None:
    before = records()
    record = SegmentRecord()
    process, path = hold()
    record.look()
    process.kill()
    process.wait()
    assert path.exists()
    assert len(records() - before) == 1
    record.close()
    assert not path.exists()
    assert records() == before


def test_segments_of_others_stay(hold: Hold) -> None:
    """Those that were there before; those that no process of the run holds; those of another kind."""
    _, earlier = hold()
    record = SegmentRecord()
    foreign = FOLDER / f"psm_{os.urandom(4).hex()}"
    users = FOLDER / f"dataset-{os.urandom(4).hex()}.parquet"
    for path in (foreign, users):
        path.write_bytes(b"data")
    try:
        for _ in range(10):
            record.look()
        record.close()
        assert earlier.exists()
        assert foreign.exists()
        assert users.exists()
    finally:
        foreign.unlink()
        users.unlink()


def test_the_next_start_removes_what_a_killed_run_left_once_nobody_holds_it() -> None:
    owner, (gone, held, holder) = launch(OWN)
    assert remove_abandoned() == 0  # the owner lives
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    remove_abandoned()
    assert not (FOLDER / gone).exists()
    assert (FOLDER / held).exists()
    os.kill(int(holder), signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (FOLDER / held).exists() and time.monotonic() < deadline:
        remove_abandoned()
    assert not (FOLDER / held).exists()
    assert not [path for path in records() if held in path.read_text()]


def test_a_record_removes_nothing_but_the_very_segments_it_names(tmp_path: Path) -> None:
    folder = tmp_path / "shm"
    folder.mkdir()
    outside = tmp_path / "psm_00000000"
    same, other = folder / "psm_11111111", folder / "psm_22222222"
    for path in (outside, same, other):
        path.touch()
    lines = [
        f"{outside.stat().st_ino} ../psm_00000000",
        f"{same.stat().st_ino} psm_11111111",
        f"{other.stat().st_ino + 10**6} psm_22222222",  # the name was given anew
        "x", "",
    ]  # fmt: skip
    (folder / f"fail2fix-{os.getuid()}-aa").write_text("\n".join(lines))
    (folder / f"fail2fix-{os.getuid() + 1}-bb").write_text(f"{other.stat().st_ino} psm_22222222\n")
    (folder / f"fail2fix-{os.getuid()}-cc").symlink_to(outside)
    assert remove_abandoned(folder) == 1
    assert not same.exists()
    assert other.exists()
    assert outside.exists()


def test_a_folder_that_is_not_there_costs_nothing(tmp_path: Path) -> None:
    record = SegmentRecord(tmp_path / "none")
    record.look()
    record.close()
    assert remove_abandoned(tmp_path / "none") == 0


def test_kept_segments_stay_recorded(hold: Hold) -> None:
    record = SegmentRecord()
    (ended, first), (_, second) = hold(), hold()
    record.look()
    ended.kill()
    ended.wait()
    record.remove(keep={second.stat().st_ino})
    assert (first.exists(), second.exists()) == (False, True)
    record.close()
    assert not second.exists()


def test_ending_descendants_removes_what_they_hold() -> None:
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {HOLD!r}])"
    end = f"""
import subprocess, sys
from fail2fix.cluster.processes import become_subreaper, end_descendants
become_subreaper()
child = subprocess.Popen([sys.executable, "-c", {code!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
name = child.stdout.readline().strip()
print(name, end_descendants())
"""
    process, (name, killed) = launch(end)
    process.wait()
    assert int(killed) == 2
    assert not (FOLDER / name).exists()


NODE = f"""
import subprocess, sys
from fail2fix.cluster import node

START = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True)"
node.LOOK_S, node.SWEEP_S = 0.05, 0.1
node.Node.command = [sys.executable, "-c", START, {HOLD!r}]
print(node.Node("", []).run(), flush=True)
"""


def adopted(node: psutil.Process) -> psutil.Process:
    """The holder, once the process that started it has ended."""
    while True:
        children = node.children()
        if len(children) == 1 and children[0].cmdline()[2:] == [HOLD]:
            return children[0]
        time.sleep(0.02)


def test_a_node_removes_the_segments_of_runs_that_have_ended() -> None:
    node, (first,) = launch(NODE)
    try:
        holder = adopted(psutil.Process(node.pid))
        time.sleep(0.5)  # some looks of the node
        assert (FOLDER / first).exists()
        holder.kill()
        deadline = time.monotonic() + 30
        while (FOLDER / first).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not (FOLDER / first).exists()
        assert node.poll() is None
    finally:
        node.terminate()
        node.wait()
        (FOLDER / first).unlink(missing_ok=True)


def test_a_training_leaves_no_segment_of_a_process_that_ended_before_it(tmp_path: Path) -> None:
    training = f"""
holder = subprocess.Popen([sys.executable, "-c", {HOLD!r}], stdout=subprocess.PIPE, text=True)
name = holder.stdout.readline().strip()
Path({str(tmp_path / "name")!r}).write_text(name)
while not any(name in record.read_text() for record in Path({str(FOLDER)!r}).glob("fail2fix-*")):
    time.sleep(0.01)
holder.kill()
"""
    assert drive(tmp_path, training).returncode == 0
    name = (tmp_path / "name").read_text()
    assert name
    assert not (FOLDER / name).exists()


def test_semaphores_which_are_mapped_under_another_name_are_recorded() -> None:
    code = """
import multiprocessing, time
from multiprocessing import resource_tracker
resource_tracker.register = lambda *_: None
semaphore = multiprocessing.get_context("spawn").Semaphore()
print(semaphore._semlock.name, flush=True)
time.sleep(60)
"""
    record = SegmentRecord()
    holder, (name,) = launch(code)
    path = FOLDER / f"sem.{name.removeprefix('/')}"
    assert path.exists()
    record.look()
    holder.kill()
    holder.wait()
    record.close()
    assert not path.exists()


@pytest.mark.parametrize("name", ["psm_a0dab334", "verl_weights_" + 32 * "a", "sem.mp-62rqotcl", "nccl-Ab12xy"])
def test_names_of_the_libraries_are_known(name: str) -> None:
    assert re.fullmatch(NAME, name)
