"""Abusive programs: each is ended within its limit + 1 s, right for nobody, and the machine is as it was before."""

import asyncio
import contextlib
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from fail2fix.verify.code import local
from fail2fix.verify.code.ground_truth import Limits, parse_ground_truth
from fail2fix.verify.code.local import LocalBackend
from tests.tiers import heavy_where

LIMIT_S = 1.5
SHORT_S = 0.8
"""Limit of programs that do not end by themselves, and ask for nothing."""

SLACK_S = 1.0
TELL = "import os\ndef tell(f):\n try: print('GOT', f())\n except BaseException as e: print(repr(e))\n"
SYSCALL = f"{TELL}import ctypes\ncall = ctypes.CDLL(None, use_errno=True).syscall\n" + (
    "def must_fail(*a):\n r = call(*a)\n print('GOT' if r >= 0 else ctypes.get_errno())\n"
)

ABUSES = {
    "fork bomb": "import os\nwhile True: os.fork()",
    "fork bomb that shrugs": "import os\nwhile True:\n try: os.fork()\n except OSError: pass",
    "fork bomb of sessions": "import os\nwhile True:\n try:\n  if os.fork() == 0: os.setsid()\n except OSError: pass",
    "100 GB at once": "x = bytearray(100 << 30)\nprint(len(x))",
    "100 GB bit by bit": "x = []\nwhile True: x.append(bytearray(1 << 24))",
    "100 GB against MemoryError": "x = []\nwhile True:\n try: x.append(b'x' * (1 << 20))\n except MemoryError: pass",
    "100 GB in many processes": "import os\nfor _ in range(6):\n try: os.fork()\n except OSError: pass\nx = []\n"
    "while True:\n try: x.append(bytearray(1 << 24))\n except MemoryError: pass",
    "100 GB mapped": "import mmap\nx = [mmap.mmap(-1, 1 << 30) for _ in range(100)]",
    "100 GB shared": "import mmap, os\nos.fork()\nx = []\nwhile True:\n m = mmap.mmap(-1, 1 << 26)\n"
    " m.write(b'x' * (1 << 26)); x.append(m)",
    "a huge number": "print(10 ** 10 ** 10)",
    "a huge string": "print('x' * 10 ** 11)",
    "memory files": f"{TELL}\nwhile True:\n fd = os.memfd_create('x'); os.write(fd, b'x' * 2**20)",
    "SysV shared memory": f"{SYSCALL}must_fail(29, 0, 1 << 30, 0o1600)",
    "the internet": f"{TELL}import socket\ntell(lambda: socket.create_connection(('1.1.1.1', 53), 1))",
    "a server of this machine": f"{TELL}import socket\ntell(lambda: socket.create_connection(('127.0.0.1', PORT), 1))",
    "a name server": f"{TELL}import socket\ntell(lambda: socket.getaddrinfo('example.org', 80))",
    "a raw socket": f"{TELL}import socket\ntell(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))",
    "the virtual machine's host": f"{TELL}import socket\n"
    "tell(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))",
    "netlink": f"{TELL}import socket\ntell(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))",
    "an abstract UNIX socket": f"{TELL}import socket\ns = socket.socket(socket.AF_UNIX)\n"
    "tell(lambda: s.connect('\\0CANARY') or 'connected')",
    "writing outside": f"{TELL}for p in ('CANARY', '/canary', '/usr/lib/canary', '/etc/canary', '/home/c', "
    "'/root/c', "
    "'/dev/canary', '/var/tmp/c'):\n tell(lambda: open(p, 'w').write('x'))",
    "deleting outside": f"{TELL}import shutil\nshutil.rmtree('/', ignore_errors=True)\n"
    "tell(lambda: os.remove('CANARY'))",
    "reading the canary": f"{TELL}tell(lambda: open('CANARY').read())",
    "reading the environment": f"{TELL}tell(lambda: os.environ['F2F_CANARY'])\n"
    "print('GOT' if 'canary-value' in open('/proc/self/environ').read() else 'no')",
    "reading other environments": "import glob\nfor p in glob.glob('/proc/[0-9]*/environ'):\n"
    " try: d = open(p).read()\n"
    " except OSError: continue\n print('GOT' if 'canary-value' in d else 'no')",
    "reading homes": f"{TELL}import os\n"
    "for p in ('/root', '/home', '/work', '/etc/passwd', '/etc/shadow', '/var', '/run', "
    "'/mnt', '/sys', '/srv'):\n tell(lambda: os.listdir(p) if os.path.isdir(p) else open(p).read())",
    "reading the kernel": f"{TELL}for p in ('/proc/kcore', '/dev/mem', '/dev/kmsg', '/proc/kmsg', '/dev/vda', "
    "'/dev/sda', "
    "'/proc/1/root', '/proc/1/cwd/x', '/proc/1/mem'):\n tell(lambda: open(p, 'rb').read(1))",
    "endless output": "while True: print('x' * 100)",
    "endless output to stderr": "import sys\nwhile True: sys.stderr.write('x' * 10000)",
    "endless output against errors": "import os\nwhile True:\n try: os.write(1, b'x' * 65536)\n except OSError: pass",
    "endless output from children": "import os\nwhile True:\n try:\n  if os.fork() == 0:\n"
    "   while True: os.write(1, b'x' * 4096)\n"
    " except OSError: pass",
    "ignoring signals": "import signal\nfor s in range(1, 65):\n try: signal.signal(s, signal.SIG_IGN)\n"
    " except (OSError, ValueError): pass\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
    "sleeping": "import time\ntime.sleep(1000)",
    "waiting for input": "import sys\nwhile True: sys.stdin.read()",
    "a C loop that holds the interpreter": "sum(range(10 ** 12))",
    "a regular expression": "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",
    "a daemon": "import os, time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n"
    "  while True: time.sleep(1)\n os._exit(0)\n"
    "os.wait(); print('done')",
    "a busy orphan": "import os\nif os.fork() == 0:\n os.setsid()\n while True: pass\nprint('done')",
    "stopping itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "killing everybody": "import os, signal\nos.kill(-1, signal.SIGKILL)\nwhile True: pass",
    "killing process 1": "import os\nfor s in range(1, 32): os.kill(1, s)\nwhile True: pass",
    "threads": "import threading, time\nwhile True:\n"
    " try: threading.Thread(target=time.sleep, args=(1000,)).start()\n"
    " except RuntimeError: pass",
    "descriptors": "import os\nwhile True:\n try: os.dup(1)\n except OSError: pass",
    "pipes full of data": "import os\nx = []\nwhile True:\n try:\n  r, w = os.pipe(); os.set_blocking(w, False)\n"
    "  os.write(w, b'x' * 65536)\n except OSError: pass",
    "filling /tmp": "import os\nn = 0\nwhile True:\n n += 1\n try: open(f'/tmp/{n}', 'wb').write(b'x' * 10**6)\n"
    " except OSError: pass",
    "many small files": "n = 0\nwhile True:\n n += 1\n try: open(f'/tmp/{n}', 'w').close()\n except OSError: pass",
    "a deep folder": "import os\nwhile True:\n os.mkdir('d'); os.chdir('d')",
    "a symbolic link out": f"{TELL}os.symlink('CANARY', '/tmp/l')\ntell(lambda: open('/tmp/l').read())\n"
    "tell(lambda: open('/tmp/l', 'w').write('x'))",
    "a link through /proc": f"{TELL}for p in ('/proc/1/root', '/proc/self/root', '/proc/1/cwd'):\n"
    " tell(lambda: open(p + 'CANARY').read())",
    "climbing up": f"{TELL}tell(lambda: open('/tmp/' + '../' * 50 + 'CANARY').read())",
    "chroot": f"{TELL}tell(lambda: os.chroot('/tmp'))\ntell(lambda: os.mkfifo('/p'))",
    "mounting": f"{SYSCALL}must_fail(165, b'none', b'/tmp', b'tmpfs', 0, None)\nmust_fail(428, -100, b'/', 1)",
    "new namespaces": f"{SYSCALL}must_fail(272, 0x10000000)\nmust_fail(56, 0x10000000 | 17, 0, 0, 0, 0)\n"
    "must_fail(435, b'', 0)",
    "tracing": f"{SYSCALL}must_fail(101, 16, 1, 0, 0)\nmust_fail(101, 0, 0, 0, 0)",
    "kernel interfaces": f"{SYSCALL}for n in (321, 298, 323, 425, 246, 248, 250, 304, 175, 169):\n"
    " must_fail(n, 0, 0, 0, 0, 0)",
    "another architecture": f"{SYSCALL}call(0x40000000 | 39)\nprint('GOT')",
    "becoming root": f"{TELL}tell(lambda: os.setuid(0))\ntell(lambda: os.setgroups([0]))",
    "writing /proc": f"{TELL}for p in ('/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', "
    "'/proc/1/oom_score_adj', "
    "'/proc/sys/kernel/hostname', '/proc/self/uid_map'):\n tell(lambda: os.write(os.open(p, os.O_WRONLY), b'1'))",
    "raising its limits": f"{TELL}import resource as r\n"
    "for k in (r.RLIMIT_AS, r.RLIMIT_NPROC, r.RLIMIT_FSIZE, r.RLIMIT_CPU):\n"
    " tell(lambda: r.setrlimit(k, (-1, -1)))",
    "a shell": f"{TELL}import subprocess\ntell(lambda: subprocess.run('id', shell=True, check=True))\n"
    "tell(lambda: subprocess.run(['/usr/bin/id'], check=True))",
    "endless recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    "recursion in C": "import sys\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\nrepr(x)",
    "a bomb for the compiler": "eval('(' * 10**5 + ')' * 10**5)",
    "a program that is a bomb": "x = " + "-" * 60_000 + "1",
    "crashing": "import ctypes\nctypes.string_at(1)",
}


@pytest.fixture(scope="module")
def others() -> int:
    """Processes of other back-ends that live on beside this module's: their spares, once those are started."""
    count = -1
    while count != (now := len(psutil.Process().children(recursive=True))):
        count = now
        time.sleep(1.0)
    return count


@pytest.fixture(scope="module")
def small(others: int) -> Iterator[LocalBackend]:
    limits = Limits(test_s=LIMIT_S, total_s=LIMIT_S, memory_mb=256, output_kb=256)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("F2F_CANARY", "canary-value")
        try:
            backend = LocalBackend(workers=1, limits=limits, tmp_mb=16, processes=24)
        except RuntimeError as error:
            pytest.skip(f"no sandbox here: {error}")
        yield backend
        backend.close()


@pytest.fixture(scope="module")
def canary() -> Iterator[Path]:
    """A file anyone on this machine may read and write."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = Path(folder) / "canary"
        path.write_text("canary-value")
        path.chmod(0o666)
        yield path


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A TCP server and an abstract UNIX socket, both of which a program in our network namespace could reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: _accept(server), daemon=True).start()
        yield server.getsockname()[1]


def _accept(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            server.accept()[0].close()


def test_there_are_enough() -> None:
    assert len(ABUSES) >= 40


@pytest.mark.parametrize("name", heavy_where(ABUSES, set(ABUSES) - set(list(ABUSES)[1::3])))
def test_abuse(
    small: LocalBackend, others: int, canary: Path, port: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_s = LIMIT_S if "GOT" in ABUSES[name] else SHORT_S
    monkeypatch.setattr(small, "limits", replace(small.limits, test_s=limit_s, total_s=limit_s))
    program = ABUSES[name].replace("CANARY'", f"{canary}'").replace("PORT", str(port))
    if name == "an abstract UNIX socket":
        program = ABUSES[name].replace("CANARY", f"f2f-{os.getpid()}")
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0f2f-{os.getpid()}")
        abstract.listen()
        correct, printed, took = asyncio.run(_judged(small, program))
    assert not correct
    # What a program got hold of it prints after this word.
    assert "GOT" not in printed, printed
    assert took < limit_s + SLACK_S
    assert canary.read_text() == "canary-value"
    assert _settled(others), [process.cmdline()[:1] for process in psutil.Process().children(recursive=True)]


async def _judged(backend: LocalBackend, program: str) -> tuple[bool, str, float]:
    """Whether the program passes, what it printed, and the seconds from the job to the verdict.

    Seconds before the job are not the program's: on a busy machine a sandbox may take some to start.
    """
    printed: list[str] = []
    start = 0.0

    def overhear(reports, tests):  # type: ignore[no-untyped-def]
        nonlocal start
        start = time.monotonic()

        def each():  # type: ignore[no-untyped-def]
            for report in reports:
                printed.append(str(report.get("stdout", "")))
                yield report

        return judge(each(), tests)

    judge, local.judge = local.judge, overhear  # type: ignore[assignment]
    tests = parse_ground_truth({"kind": "stdio", "tests": [{"stdin": "", "stdout": "unreachable"}]})
    try:
        outcome = await backend.run(program, tests)
    finally:
        local.judge = judge
    assert outcome.status in ("ok", "timeout")
    return outcome.correct, "".join(printed), time.monotonic() - start


def _settled(others: int) -> bool:
    """Whether, within a second, nothing is left but one spare sandbox: bwrap and its supervisor."""
    for _ in range(20):
        if len(psutil.Process().children(recursive=True)) <= others + 2:
            return True
        time.sleep(0.05)
    return False


def test_the_machine_still_works(small: LocalBackend) -> None:
    tests = parse_ground_truth({"kind": "stdio", "tests": [{"stdin": "", "stdout": "1"}]})
    assert asyncio.run(small.run("print(1)", tests)).correct
