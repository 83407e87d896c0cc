"""Workers live as long as their back-end, whatever happens to a sandbox; programs have few rights to this machine."""

import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from fail2fix.verify.code import local
from fail2fix.verify.code.backend import Outcome
from fail2fix.verify.code.fusion import FusionBackend
from fail2fix.verify.code.ground_truth import Limits, parse_ground_truth
from fail2fix.verify.code.inside import limits, pipes
from fail2fix.verify.code.local import LocalBackend
from fail2fix.verify.code.memory import MemoryWatch
from fail2fix.verify.code.sandbox import NICENESS, Sandbox
from tests.tiers import heavy_where

ADD = parse_ground_truth({"kind": "calls", "entry_point": "add", "calls": [{"args": [1, 2], "expected": 3}]})
RIGHT = "def add(a, b): return a + b"
WAIT_S = 60.0
DESCRIPTORS = 1100


def judge(backend: LocalBackend, program: str = RIGHT, tests: Any = ADD) -> Outcome:
    return asyncio.run(asyncio.wait_for(backend.run(program, tests), WAIT_S))


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * DESCRIPTORS:
        pytest.skip("this process may not open so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * DESCRIPTORS), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(DESCRIPTORS)]
    yield
    for descriptor in opened:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def small(backend: LocalBackend) -> Iterator[LocalBackend]:
    """``backend`` only skips where no sandbox can be made."""
    small = LocalBackend(workers=1, limits=Limits(test_s=20.0, total_s=20.0, memory_mb=256), processes=16, tmp_mb=16)
    yield small
    small.close()


def test_programs_are_judged_above_1024_descriptors(many_descriptors: None, small: LocalBackend) -> None:
    assert [judge(small) for _ in range(3)] == [Outcome("ok", 1, 1)] * 3


def test_waiting_takes_any_descriptor_number(many_descriptors: None) -> None:
    reader, writer = os.pipe()
    assert reader > 1024
    assert not pipes.readable(reader, 0.0)
    pipes.write_message(writer, {"a": 1})
    assert pipes.read_message(reader, time.monotonic() + WAIT_S) == {"a": 1}
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    assert limits.wait_until(child.pid, time.monotonic() + WAIT_S) == 3
    child.returncode = 3
    os.close(reader)
    os.close(writer)


OTHERS = (KeyError("x"), OSError(24))


@pytest.mark.parametrize("method", ["__init__", "wait_ready", "run", "kill", "close"])
@pytest.mark.parametrize("error", heavy_where([ValueError("filedescriptor out of range in select()"), *OTHERS], OTHERS))
def test_no_exception_of_a_sandbox_ends_its_worker(
    small: LocalBackend, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception
) -> None:
    """The job gets an outcome, and so does the next, whose sandbox is sound."""
    assert judge(small) == Outcome("ok", 1, 1)
    sound, made = getattr(Sandbox, method), []

    def broken(self: Sandbox, *arguments: Any) -> None:
        made.append(self)
        if method in ("kill", "close"):
            sound(self, *arguments)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Sandbox, method, broken)
        assert judge(small).status in ("ok", "error")
        deadline = time.monotonic() + WAIT_S
        while not made:  # closing comes after the verdict
            assert time.monotonic() < deadline
            time.sleep(0.01)
    while judge(small) != Outcome("ok", 1, 1):  # the spare was started while sandboxes were broken
        assert time.monotonic() < deadline


def test_a_sandbox_that_cannot_start_leaves_no_descriptor(small: LocalBackend) -> None:
    before = psutil.Process().num_fds()
    for _ in range(20):
        with pytest.raises(FileNotFoundError):
            Sandbox(lambda _: ["/nonexistent"], b"", os.getuid(), None)
    assert psutil.Process().num_fds() <= before


def test_programs_are_nicer_than_this_process(small: LocalBackend) -> None:
    program = "import os\nprint(os.getpriority(os.PRIO_PROCESS, 0))"
    nice = min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
    tests = parse_ground_truth({"kind": "stdio", "tests": [{"stdin": "", "stdout": str(nice)}]})
    assert judge(small, program, tests).correct


TAKE = "import mmap\ndef take(n):\n m = mmap.mmap(-1, n, {flags})\n for i in range(0, n, 4096): m[i] = 1\n return m\n"
FORKED = (
    "import os, time\nfor _ in range(6):\n if os.fork() == 0:\n  {each}\n  time.sleep(15)\ntime.sleep({s})\nprint(3)"
)
TOGETHER = {
    "private memory of many processes": (TAKE.format(flags="mmap.MAP_PRIVATE"), "x = take(2**27)", 15, "timeout"),
    "shared memory of many processes": (TAKE.format(flags="mmap.MAP_SHARED"), "x = take(2**27)", 15, "timeout"),
    "memory that processes share": ("x = bytearray(2**27)\nx[::4096] = b'1' * 2**15\n", "pass", 1, "ok"),
}


@pytest.mark.parametrize("name", TOGETHER)
def test_the_memory_of_all_processes_together_is_bounded_without_control_groups(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """6 x 128 MB are too much for 192 + 8 + 256 MB; 128 MB that 7 processes share are not."""
    head, each, seconds, status = TOGETHER[name]
    monkeypatch.setattr(local, "usable_hierarchies", lambda: ())
    bounded = LocalBackend(workers=1, limits=Limits(20.0, 20.0, 192), processes=16, tmp_mb=8)
    tests = parse_ground_truth({"kind": "stdio", "tests": [{"stdin": "", "stdout": "3"}]})
    began = time.monotonic()
    outcome = judge(bounded, head + FORKED.format(each=each, s=seconds), tests)
    bounded.close()
    assert (outcome.status, outcome.correct) == (status, status == "ok")
    assert time.monotonic() - began < 12


def test_the_watch_counts_what_descendants_take() -> None:
    code = (
        "import os\nx = bytearray(2**26)\nif os.fork() == 0: y = bytearray(2**26)\nprint(1, flush=True); os.read(0, 1)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert [child.stdout.readline() for _ in range(2)] == [b"1\n"] * 2
    assert MemoryWatch(100 * 2**20, child.pid).is_exceeded()
    assert not MemoryWatch(2**30, child.pid).is_exceeded()
    assert not MemoryWatch(0, child.pid).is_exceeded()
    child.communicate(b"22")


def test_the_isolation_in_force_is_one_line(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def described() -> str:
        made = LocalBackend(workers=2, limits=Limits(memory_mb=1024), tmp_mb=64)
        made.close()
        return made.describe(8)

    monkeypatch.setattr(local, "usable_hierarchies", lambda: ())
    bare = described()
    for part in ("no network", "no control group", "1344 MB a sandbox", "16 programs at a time", "21.0 GB", "niceness"):
        assert part in bare
    monkeypatch.setattr(local, "filter_program", lambda: b"")
    assert "no seccomp filter" in described()
    assert "no seccomp filter" not in bare
    assert "\n" not in bare
    service = FusionBackend("http://localhost:1")
    assert "SandboxFusion service" in service.describe()
    service.close()
