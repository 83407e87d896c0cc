"""Each layer of the sandbox by itself: the filter, the process limit without control groups, control group files."""

import asyncio
import errno
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fail2fix.verify.code import local
from fail2fix.verify.code.cgroup import new_group, usable_hierarchies
from fail2fix.verify.code.ground_truth import Limits, parse_ground_truth
from fail2fix.verify.code.seccomp import ALLOW, CLONE, CLONE3, KILL, REFUSE, REFUSED, SOCKET, X86_64, filter_program

READ, FORK, VFORK, UNIX, INET, VSOCK = 0, 57, 58, 1, 2, 40
THREAD_FLAGS, SUBPROCESS_FLAGS, NEW_USER, NEW_NET = 0x3D0F00, 0x1200011, 0x10000011, 0x40000011


def answer_of(program: bytes, number: int, argument: int = 0, architecture: int = X86_64) -> int:
    """What the filter says to a call: the four instructions it uses, executed here."""
    data = struct.pack("<IIQQ", number, architecture, 0, argument)
    steps = list(struct.iter_unpack("<HBBI", program))
    place, value = 0, 0
    while True:
        operation, if_true, if_false, constant = steps[place]
        place += 1
        if operation == 0x20:
            (value,) = struct.unpack_from("<I", data, constant)
        elif operation == 0x06:
            return int(constant)
        else:
            met = {0x15: value == constant, 0x35: value >= constant, 0x45: bool(value & constant)}[operation]
            place += if_true if met else if_false


@pytest.fixture(scope="module")
def program() -> bytes:
    program = filter_program()
    if not program:
        pytest.skip("the filter is for x86-64")
    return program


def test_the_filter(program: bytes) -> None:
    assert len(program) // 8 < 4096
    for number in (READ, FORK, VFORK, 1, 9, 231, 434):
        assert answer_of(program, number) == ALLOW
    for number in REFUSED.values():
        assert answer_of(program, number) == REFUSE | errno.EPERM
    assert answer_of(program, CLONE3) == REFUSE | errno.ENOSYS
    assert [answer_of(program, SOCKET, family) for family in (UNIX, INET, VSOCK)] == [ALLOW] + [
        REFUSE | errno.EPERM
    ] * 2
    for flags in (THREAD_FLAGS, SUBPROCESS_FLAGS):
        assert answer_of(program, CLONE, flags) == ALLOW
    for flags in (NEW_USER, NEW_NET):
        assert answer_of(program, CLONE, flags) == REFUSE | errno.EPERM
    assert answer_of(program, READ, architecture=0x40000003) == KILL
    assert answer_of(program, READ | 0x40000000) == KILL


def test_an_unknown_machine_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert filter_program() == b""


@pytest.fixture(scope="module", params=["no control groups", "no filter"])
def thinner(request: Any) -> Iterator[local.LocalBackend]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "no control groups":
            patch.setattr(local, "usable_hierarchies", lambda: ())
        else:
            patch.setattr(local, "filter_program", lambda: b"")
        try:
            backend = local.LocalBackend(workers=1, limits=Limits(1.0, 1.0, 128, 64), processes=16, tmp_mb=8)
        except local.SandboxUnavailableError as error:
            pytest.skip(f"no sandbox here: {error}")
        yield backend
        backend.close()


@pytest.mark.parametrize(
    "count",
    [
        "import os\nwhile True:\n try:\n  if os.fork() == 0: os.read(os.pipe()[0], 1)\n except OSError: break\n n += 1",
        "import threading, time\nwhile True:\n"
        " try: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
        " except RuntimeError: break\n n += 1",
    ],
)
def test_processes_and_threads_are_counted_by_each_layer_alone(thinner: local.LocalBackend, count: str) -> None:
    """The program passes where it could start so many, and reports how many it could."""
    program = f"n = 2\n{count}\nimport os\nos.write(1, b'few' if n <= 16 else str(n).encode())\nos._exit(0)"
    tests = parse_ground_truth({"kind": "stdio", "tests": [{"stdin": "", "stdout": "few"}]})
    assert asyncio.run(thinner.run(program, tests)).correct


@pytest.mark.parametrize("call", ["socket.socket(socket.AF_INET).connect(('1.1.1.1', 53))", "os.listdir('/root')"])
def test_namespaces_hold_alone(thinner: local.LocalBackend, call: str) -> None:
    program = f"import os, socket\ntry: {call}\nexcept OSError: print('no')"
    tests = parse_ground_truth({"kind": "stdio", "tests": [{"stdin": "", "stdout": "no"}]})
    assert asyncio.run(thinner.run(program, tests)).correct


def test_version_2_groups_are_made_beside_our_own(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/slice/ours\n")
    root = tmp_path / "cgroup"
    (root / "slice" / "ours").mkdir(parents=True)
    (root / "cgroup.controllers").write_text("cpu memory pids\n")
    (root / "slice" / "ours" / "cgroup.subtree_control").write_text("\n")
    (root / "slice" / "cgroup.subtree_control").write_text("memory pids\n")
    # A real hierarchy removes a group with its files; in this folder rmdir fails on them, which costs half a second.
    (hierarchy,) = usable_hierarchies(str(own), root)
    assert hierarchy.parent == root / "slice"
    group = new_group((hierarchy,), memory_bytes=1000, processes=10)
    group.add(123)
    files = {file.name: file.read_text() for file in group.folders[0].iterdir()}
    assert files == {"memory.max": "1000", "pids.max": "10", "cgroup.procs": "123"}


def test_groups_that_cannot_be_made_are_not_used(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("4:memory:/a\n8:pids:/b\n0::/\n")
    assert usable_hierarchies(str(own), tmp_path / "cgroup") == ()
    assert usable_hierarchies(str(tmp_path / "missing"), tmp_path) == ()


def test_importing_the_package_loads_neither_the_stack_nor_the_client() -> None:
    modules = "fail2fix.verify.code.verifier, fail2fix.verify.code.local, fail2fix.verify.code.fusion"
    code = f"import sys, {modules}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    heavy = {"verl", "ray", "vllm", "torch", "numpy", "sympy", "math_verify", "sandbox_fusion", "requests"}
    assert heavy.isdisjoint(done.stdout.split())
