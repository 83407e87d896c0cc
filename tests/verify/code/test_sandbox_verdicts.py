"""The three kinds of tests, right and wrong programs, limits, and what the back-end does when it cannot work."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from fail2fix.verify.code.backend import Outcome, SandboxUnavailableError
from fail2fix.verify.code.ground_truth import Limits, parse_ground_truth
from fail2fix.verify.code.local import LocalBackend
from fail2fix.verify.code.sandbox import Sandbox
from fail2fix.verify.code.verifier import CodeVerifier
from fail2fix.verify.errors import GroundTruthError
from fail2fix.verify.verifier import Verdict
from tests.tiers import heavy_where

TEST_S = 4.0
ADD = {"kind": "calls", "entry_point": "add", "calls": [{"args": [1, 2], "expected": 3}]}
TWO_CALLS = ADD | {"calls": [{"args": [1, 2], "expected": 3}, {"args": [2, 2], "expected": 4}]}
SUM = {"kind": "stdio", "tests": [{"stdin": "1 2\n", "stdout": "3\n"}, {"stdin": "5 5\n", "stdout": "10"}]}
CHECK = {
    "kind": "assertions",
    "entry_point": "add",
    "tests": ["def check(c):\n assert c(1, 2) == 3\n assert c(b=2, a=2) == 4"],
}
LIST = {"kind": "assertions", "functions": ["add"], "tests": ["assert add(1, 2) == 3", "assert add(2, 2) == 4"]}
TOGETHER = LIST | {"isolation": "together"}
NODES = {
    "kind": "assertions",
    "prelude": "class Node:\n    def __init__(self, val, next=None):\n        self.val, self.next = val, next\n",
    "records": ["Node"],
    "entry_point": "Solution().last",
    "tests": ["def check(candidate):\n    assert candidate(head=Node(1, Node(2))).val == 2"],
}
RIGHT = "def add(a, b):\n    return a + b\n"
INDENTED = " a, b = map(int, input().split())\n print(a + b)\n"
FAST_IO = """
import os, sys
from io import BytesIO, IOBase

class FastIO(IOBase):
    newlines = 0

    def __init__(self, file):
        self._fd = file.fileno()
        self.buffer = BytesIO()
        self.writable = "x" in file.mode or "r" not in file.mode
        self.write = self.buffer.write if self.writable else None

    def readline(self):
        while self.newlines == 0:
            b = os.read(self._fd, max(os.fstat(self._fd).st_size, 8192))
            self.newlines = b.count(b"\\n") + (not b)
            ptr = self.buffer.tell()
            self.buffer.seek(0, 2), self.buffer.write(b), self.buffer.seek(ptr)
        self.newlines -= 1
        return self.buffer.readline()

    def flush(self):
        if self.writable:
            os.write(self._fd, self.buffer.getvalue())
            self.buffer.truncate(0), self.buffer.seek(0)

class IOWrapper(IOBase):
    def __init__(self, file):
        self.buffer = FastIO(file)
        self.flush = self.buffer.flush
        self.writable = self.buffer.writable
        self.write = lambda s: self.buffer.write(s.encode("ascii"))
        self.readline = lambda: self.buffer.readline().decode("ascii")

sys.stdin, sys.stdout = IOWrapper(sys.stdin), IOWrapper(sys.stdout)
"""
"""PyRival's, without the methods these tests do not need."""
SIGNALS = "import os\nfor s in range(1, 65):\n try: os.kill(1, s)\n except OSError: pass\n"
INTERRUPTED = "import os, signal\ntry: os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt: n = 1\n"
RAISED = {
    "RecursionError": "f(n)",
    "NotImplementedError": "NotImplementedError",
    "ValueError": "Mine(n)",
    "KeyError": "KeyError('k')",
    "UnicodeDecodeError": "b'\\xff'.decode()",
    "FileNotFoundError": "open('/none')",
    "StopIteration": "next(iter([]))",
    "Exception": "Odd(n)",
}
ERRORS = "class Mine(ValueError): pass\nclass Odd(Exception):\n def __str__(self): raise SystemExit(0)\n" + (
    "def f(n): return f(n)\ndef add(n):\n"
    + "".join(f" if n == {name!r}: raise {what}\n" for name, what in RAISED.items())
)
ERROR_TESTS = {
    "kind": "assertions",
    "functions": ["add"],
    "tests": [f"try:\n add({name!r})\n assert 0\nexcept {name}:\n assert 1" for name in RAISED],
}
TEXT_TEST = "try:\n add(1, 2)\nexcept ValueError as e:\n assert 'neg' in str(e)"
PRINTS = "a, b = map(int, input().split())\nprint(a + b)\n"

NO_INPUT = {"kind": "stdio", "tests": [{"stdin": "", "stdout": "ok\n"}]}
LONG = 3 * 2**20
POOL = "from multiprocessing import Lock, Pool\nLock()\nwith Pool() as p: n = sum(p.map(abs, range(5)))\n"

VERDICTS: dict[str, tuple[str, dict[str, Any], Outcome]] = {
    "calls": (RIGHT, TWO_CALLS, Outcome("ok", 2, 2)),
    "calls, first wrong": ("def add(a, b): return 4", TWO_CALLS, Outcome("ok", 0, 2)),
    "calls, a method": (
        "class S:\n def add(self, a, b): return a + b",
        ADD | {"entry_point": "S().add"},
        Outcome("ok", 1, 1),
    ),
    "calls, no such function": ("def sub(a, b): return a", ADD, Outcome("ok", 0, 1)),
    "calls, a function of that name is imported": ("import math", ADD | {"entry_point": "gcd"}, Outcome("ok", 0, 1)),
    "calls, the imports of contests": (
        "def add(a: List[int], b):\n h = [a, b]\n heapify(h)\n return heappop(h) + reduce(max, h)",
        ADD,
        Outcome("ok", 1, 1),
    ),
    "calls, a long result": (
        f"def add(a, b): return list(range({LONG // 16}))",
        ADD | {"calls": [{"args": [1, 2], "expected": list(range(LONG // 16))}]},
        Outcome("ok", 1, 1),
    ),
    "calls, raises": ("def add(a, b): raise KeyError(a)", ADD, Outcome("ok", 0, 1)),
    "calls, exits": ("def add(a, b): exit(0)", ADD, Outcome("ok", 0, 1)),
    "calls, another type": ("def add(a, b): return float(a + b)", ADD, Outcome("ok", 0, 1)),
    "calls, main is not run": (RIGHT + "if __name__ == '__main__': print(add(*input()))", ADD, Outcome("ok", 1, 1)),
    "calls, state is kept": ("n = [0]\ndef add(a, b):\n n[0] += 1\n return n[0] + 2", TWO_CALLS, Outcome("ok", 2, 2)),
    "calls, prints a lot": ("def add(a, b):\n print('x' * 10**7)\n return a + b", ADD, Outcome("ok", 1, 1)),
    "calls, a data class": (
        "import dataclasses\n@dataclasses.dataclass\nclass P:\n x: int\ndef add(a, b): return P(a + b).x",
        ADD,
        Outcome("ok", 1, 1),
    ),
    "no Python": ("def add(a, b)\n return", ADD, Outcome("ok", 0, 1)),
    "a null byte": ("x = '\0'", ADD, Outcome("ok", 0, 1)),
    "crashes": ("def add(a, b):\n import ctypes\n ctypes.string_at(0)", ADD, Outcome("ok", 0, 1)),
    "stdio": (PRINTS, SUM, Outcome("ok", 2, 2)),
    "stdio, wrong": ("print(3)", SUM, Outcome("ok", 1, 2)),
    "stdio, deep recursion": (
        "def d(n): return n and 1 + d(n - 1)\nd(20_000)\nprint('ok')",
        NO_INPUT,
        Outcome("ok", 1, 1),
    ),
    "stdio, the imports of contests": (
        "assert pow(2, 3, 5) == 3 and Counter('aa') and comb(4, 2) == 6\nstdout.write('ok')",
        NO_INPUT,
        Outcome("ok", 1, 1),
    ),
    "stdio, a byte order mark": (
        PRINTS,
        SUM | {"tests": [{"stdin": "\ufeff1 2\n", "stdout": "\ufeff3"}]},
        Outcome("ok", 1, 1),
    ),
    "stdio, many digits": (
        "print(int(input()) + 1)",
        SUM | {"tests": [{"stdin": "9" * 20_000, "stdout": "1" + "0" * 20_000}]},
        Outcome("ok", 1, 1),
    ),
    "stdio, a pool of processes": (f"{POOL}print('ok' if n == 10 else n)", NO_INPUT, Outcome("ok", 1, 1)),
    "stdio, an executor": (
        "from concurrent.futures import ProcessPoolExecutor as E\nwith E() as e: print(*e.map(str, ['ok']))",
        NO_INPUT,
        Outcome("ok", 1, 1),
    ),
    "stdio, as much as is expected": (
        f"print('x' * {LONG})",
        SUM | {"tests": [{"stdin": "", "stdout": "x" * LONG}]},
        Outcome("ok", 1, 1),
    ),
    "stdio, more than is expected": (
        f"print('x' * {3 * LONG})",
        SUM | {"tests": [{"stdin": "", "stdout": "x" * LONG}]},
        Outcome("timeout", 0, 1),
    ),
    "stdio, right and then an error": (PRINTS + "raise ValueError", SUM, Outcome("ok", 0, 2)),
    "stdio, exit 0": (PRINTS + "exit()", SUM, Outcome("ok", 2, 2)),
    "stdio, exit 1": (PRINTS + "exit(1)", SUM, Outcome("ok", 0, 2)),
    "stdio, main is run": (f"def main():\n{INDENTED}if __name__ == '__main__': main()", SUM, Outcome("ok", 2, 2)),
    "stdio, in a thread": (
        f"import threading\ndef main():\n{INDENTED}threading.Thread(target=main).start()",
        SUM,
        Outcome("ok", 2, 2),
    ),
    "stdio, at exit": (
        "import atexit\n@atexit.register\ndef main(): print(sum(map(int, open(0).read().split())))",
        SUM,
        Outcome("ok", 2, 2),
    ),
    "stdio, bytes": (
        "import sys\nsys.stdout.buffer.write(b'%d' % sum(map(int, sys.stdin.buffer.read().split())))",
        SUM,
        Outcome("ok", 2, 2),
    ),
    "stdio, /dev/stdin": ("print(sum(map(int, open('/dev/stdin').read().split())))", SUM, Outcome("ok", 2, 2)),
    "stdio, a template for fast input and output": (FAST_IO + PRINTS, SUM, Outcome("ok", 2, 2)),
    "stdio, closed at the end": (f"import sys\n{PRINTS}sys.stdout.close()", SUM, Outcome("ok", 2, 2)),
    "stdio, replaced at the end": (f"import io, sys\n{PRINTS}sys.stdout = io.StringIO()", SUM, Outcome("ok", 2, 2)),
    "stdio, a file left open": (
        "o = open(1, 'w')\nprint(sum(map(int, input().split())), file=o)",
        SUM,
        Outcome("ok", 2, 2),
    ),
    "stdio, a file left open in a ring": (
        f"o = open(1, 'w')\ndef print(x): o.write(str(x))\n{PRINTS}",
        SUM,
        Outcome("ok", 2, 2),
    ),
    "stdio, its own file": (
        f"import os\nos.chdir(os.path.dirname(os.path.abspath(__file__)))\n{PRINTS}",
        SUM,
        Outcome("ok", 2, 2),
    ),
    "stdio, signals to process 1": (SIGNALS + PRINTS, SUM, Outcome("ok", 2, 2)),
    "stdio, interrupts itself": (f"{INTERRUPTED}{PRINTS}assert n", SUM, Outcome("ok", 2, 2)),
    "calls, signals to process 1": (SIGNALS + RIGHT, ADD, Outcome("ok", 1, 1)),
    "check": (RIGHT, CHECK, Outcome("ok", 2, 2)),
    "check, wrong": ("def add(a, b): return 4", CHECK, Outcome("ok", 0, 1)),
    "check, renamed parameters": ("def add(x, y): return x + y", CHECK, Outcome("ok", 1, 2)),
    "check, by position": ("def add(x, y): return x + y", CHECK | {"by_position": True}, Outcome("ok", 2, 2)),
    "check, an expected error": (
        "def add(a, b): raise ZeroDivisionError",
        CHECK | {"tests": ["def check(c):\n try:\n  c(1, 0)\n except ZeroDivisionError:\n  return\n assert False"]},
        Outcome("ok", 1, 1),
    ),
    "list, errors of many kinds": (ERRORS, ERROR_TESTS, Outcome("ok", 8, 8)),
    "list, the text of an error": (
        "def add(a, b): raise ValueError('negative')",
        LIST | {"tests": [TEXT_TEST, TEXT_TEST.replace("neg", "pos")]},
        Outcome("ok", 1, 2),
    ),
    "list, a name bound in an assertion": (
        RIGHT,
        LIST | {"tests": ["assert (y := add(1, 1)) == 2, nothing\nassert y == 2", CHECK["tests"][0] + "\ncheck(add)"]},
        Outcome("ok", 4, 4),
    ),
    "list, a name bound in an assertion of a function": (
        RIGHT,
        CHECK | {"tests": ["def check(c):\n assert (y := c(1, 1)) == 2\n assert y == 2"]},
        Outcome("ok", 2, 2),
    ),
    "list, a failed assertion with a message": (
        RIGHT,
        LIST | {"tests": ["assert add(1, 1) == 2, nothing\nassert add(1, 1) == 3, nothing\nassert add(1, 1) == 2"]},
        Outcome("ok", 1, 2),
    ),
    "list, an assertion that raises": (
        RIGHT,
        LIST | {"tests": ["assert add(1, 1) == 2\nassert add(1)"]},
        Outcome("ok", 1, 2),
    ),
    "list, arguments are copies": (
        "def add(a, b):\n a.append(b)\n return a",
        LIST | {"tests": ["x = [1]\nassert add(x, 2) == [1, 2]\nassert x == [1]"]},
        Outcome("ok", 2, 2),
    ),
    "together, arguments are the tests' own": (
        "def add(a, b):\n a.append(b)\n return a",
        TOGETHER | {"tests": ["x = [1]\nassert add(x, 2) == [1, 2]\nassert x == [1, 2]"]},
        Outcome("ok", 2, 2),
    ),
    "list": (RIGHT, LIST, Outcome("ok", 2, 2)),
    "list, ends the process": ("import os\ndef add(a, b): os._exit(0)", LIST, Outcome("ok", 0, 1)),
    "together": (RIGHT, TOGETHER, Outcome("ok", 2, 2)),
    "together, wrong": ("def add(a, b): return 4", TOGETHER, Outcome("ok", 0, 1)),
    "objects of the prelude": (
        "class Solution:\n def last(self, head):\n  while head.next: head = head.next\n  return head",
        NODES,
        Outcome("ok", 1, 1),
    ),
    "objects of the program": (
        "class Mine: val = 2\nclass Solution:\n def last(self, head): return Mine()",
        NODES,
        Outcome("ok", 0, 1),
    ),
    "too slow": ("while True: pass", ADD, Outcome("timeout", 0, 1)),
    "too slow in the second": (
        "def add(a, b):\n while a == b: pass\n return a + b",
        TWO_CALLS,
        Outcome("timeout", 1, 2),
    ),
    "too large": ("def add(a, b): return len('x' * 2**30)", ADD, Outcome("timeout", 0, 1)),
    "too large, stdio": (f"x = [0]\nwhile True: x += x\n{PRINTS}", SUM, Outcome("timeout", 0, 2)),
    "too large, list": ("def add(a, b): return len('x' * 2**30)", LIST, Outcome("timeout", 0, 1)),
    "too large, and caught": (f"try: 'x' * 2**30\nexcept MemoryError: pass\n{PRINTS}", SUM, Outcome("ok", 2, 2)),
    "ends as one too large": (f"{PRINTS}raise MemoryError", SUM, Outcome("timeout", 0, 2)),
    "returns too much": ("def add(a, b): return 'x' * 2**24", ADD, Outcome("timeout", 0, 1)),
    "prints too much": ("print('x' * 2**24)", SUM, Outcome("timeout", 0, 2)),
}


@pytest.mark.parametrize("name", heavy_where(VERDICTS, ["too slow in the second", *list(VERDICTS)[1::3]]))
def test_verdicts(backend: LocalBackend, run: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, ground_truth, outcome = VERDICTS[name]
    if name.startswith("too slow"):
        monkeypatch.setattr(backend, "limits", replace(backend.limits, test_s=1.0))
    assert run(program, ground_truth) == outcome


def test_a_verdict_is_the_same_each_time(run: Any) -> None:
    """Hashes of strings, on which the order of sets rests, are not drawn anew for each run."""
    program = "def add(a, b):\n return int(''.join(str(ord(x)) for x in {'p', 'q', 'r', 's', 't'})) % 3"
    assert len({run(program, ADD | {"calls": [{"args": [1, 2], "expected": 1}]}) for _ in range(4)}) == 1


def test_nothing_survives_from_one_program_to_the_next(run: Any) -> None:
    leave = "import builtins, os\nopen('/tmp/left', 'w').write('x')\nbuiltins.left = 1\ndef add(a, b): return a + b"
    look = (
        "import builtins, os\ndef add(a, b): return a + b - 100 * (hasattr(builtins, 'left') + len(os.listdir('/tmp')))"
    )
    assert run(leave, ADD).correct
    assert run(look, ADD).correct


def test_from_response_to_verdict(backend: LocalBackend) -> None:
    verifier = CodeVerifier(backend)
    right = asyncio.run(verifier.verify(f"So:\n```python\n{RIGHT}```", ADD))
    assert right == Verdict(True, RIGHT, "ok")
    assert asyncio.run(verifier.verify(RIGHT, ADD)) == Verdict(False, "", "no_answer")
    sums = f"```python\n{RIGHT}```\n```text\n3\n```"
    assert asyncio.run(verifier.verify(sums, ADD)).correct
    assert not asyncio.run(verifier.verify(sums, ADD | {"block": "livecodebench"})).correct
    with pytest.raises(GroundTruthError, match="kind is missing"):
        asyncio.run(verifier.verify(f"```\n{RIGHT}```", "{}"))


def test_crowds_threads_and_loops(backend: LocalBackend) -> None:
    """More calls than workers, from several threads with a loop each."""
    tests = parse_ground_truth(ADD)
    outcomes: list[Outcome] = []

    async def crowd() -> None:
        outcomes.extend(await asyncio.gather(*(backend.run(RIGHT, tests) for _ in range(4))))

    threads = [threading.Thread(target=lambda: asyncio.run(crowd())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [Outcome("ok", 1, 1)] * 12


def test_cancelling_a_call_ends_its_sandbox(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program would run for ten minutes, and the next one would wait for its place."""
    monkeypatch.setattr(backend, "limits", Limits(test_s=600.0, total_s=600.0))

    async def impatient() -> None:
        await asyncio.wait_for(backend.run("while True: pass", parse_ground_truth(ADD)), 0.5)

    start = time.monotonic()
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(impatient())
    assert asyncio.run(backend.run(RIGHT, parse_ground_truth(ADD))).correct
    assert time.monotonic() - start < 600


def test_closing_leaves_no_process_and_no_group(backend: LocalBackend) -> None:
    before = _left_once_settled(backend)
    other = LocalBackend(workers=2)
    assert asyncio.run(other.run(RIGHT, parse_ground_truth(ADD))).correct
    other.close()
    other.close()
    assert _left_once_settled(backend) == before
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(other.run(RIGHT, parse_ground_truth(ADD)))


def test_no_dead_process_is_left_to_init(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    first: list[int] = []
    find = Sandbox._find_first_process
    monkeypatch.setattr(Sandbox, "_find_first_process", lambda self: first.append(find(self)) or first[-1])
    other = LocalBackend(workers=1, limits=Limits(test_s=0.5))
    for program in (RIGHT, "import os\nos.fork() or os.setsid()\nwhile True: pass"):
        asyncio.run(other.run(program, parse_ground_truth(ADD)))
    other.close()
    assert len(first) >= 3
    assert not any(psutil.pid_exists(pid) for pid in first)


@pytest.mark.parametrize("killed", [False, True])
def test_sandboxes_ended_while_they_start_leave_nothing(backend: LocalBackend, killed: bool) -> None:
    before = _left_once_settled(backend)
    orphans = _orphans()
    for place in range(20):
        starting = backend._start()
        if killed:
            time.sleep(place / 5000)
            starting.kill()
        starting.close()
    assert _left_once_settled(backend) == before
    # Other tests beside this one kill owners of sandboxes, whose orphans end a moment later.
    deadline = time.monotonic() + 20
    while not _orphans() <= orphans and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _orphans() <= orphans


def _orphans() -> set[int]:
    processes = psutil.process_iter(["pid", "ppid", "name"])
    return {each.info["pid"] for each in processes if each.info["ppid"] == 1 and each.info["name"] == "bwrap"}


def test_closing_answers_those_who_wait(backend: LocalBackend) -> None:
    other = LocalBackend(workers=1, limits=Limits(test_s=1))

    async def crowd() -> list[Any]:
        calls = [asyncio.ensure_future(other.run("while True: pass", parse_ground_truth(ADD))) for _ in range(3)]
        await asyncio.sleep(0.5)
        await asyncio.get_running_loop().run_in_executor(None, other.close)
        return await asyncio.gather(*calls, return_exceptions=True)

    first, *others = asyncio.run(crowd())
    assert first == Outcome("timeout", 0, 1)
    assert [type(other) for other in others] == [RuntimeError, RuntimeError]


def _left_once_settled(backend: LocalBackend) -> tuple[int, int]:
    """How many processes and control groups there are, once that no longer changes: verdicts come before tidying up."""
    parents: Any = backend.isolation["cgroups"]
    seen: list[tuple[int, int]] = []
    while len(seen) < 5 or len(set(seen[-5:])) > 1:
        groups = [folder for parent in parents for folder in Path(parent).glob(f"fail2fix-{os.getpid()}-*")]
        seen.append((len(psutil.Process().children(recursive=True)), len(groups)))
        time.sleep(0.1)
    return seen[-1]


def test_without_bubblewrap_nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailableError, match="bwrap is missing: install bubblewrap"):
        LocalBackend()


def test_where_bubblewrap_makes_no_namespace_the_reason_is_said(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "bubblewrap 0.8.0" && exit 0\n'
        'echo "bwrap: No permissions to create new namespace" >&2; exit 1\n'
    )
    tmp_path.chmod(0o755)
    fake.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.getuid() and folder.is_relative_to("/tmp/pytest-of-root"):
            folder.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(
        SandboxUnavailableError, match="No permissions to create new namespace.*user namespaces"
    ) as refused:
        LocalBackend()
    for remedy in (
        "--security-opt seccomp=unconfined",
        "clone, unshare",
        "--security-opt apparmor=unconfined",
        "--security-opt systempaths=unconfined",
        "kernel.apparmor_restrict_unprivileged_userns=0",
        "user.max_user_namespaces",
    ):
        assert remedy in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("backend")  # skips where sandboxes cannot run
def test_a_python_no_sandbox_may_read_is_refused() -> None:
    with pytest.raises(SandboxUnavailableError, match="no Python that user"):
        LocalBackend(python="/nonexistent/python3")


@pytest.mark.parametrize("settings", [{"workers": 0}, {"processes": 1}, {"tmp_mb": 0}, {"spares": -1}, {"retries": -1}])
def test_settings_are_checked(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="LocalBackend needs workers >= 1"):
        LocalBackend(**settings)  # type: ignore[arg-type]


def test_a_broken_sandbox_is_an_error_and_not_a_wrong_answer(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = LocalBackend(workers=1, spares=0, retries=1, limits=Limits(test_s=1))
    monkeypatch.setattr(broken, "_command", lambda _: ["/usr/bin/false"])
    assert asyncio.run(broken.run(RIGHT, parse_ground_truth(ADD))) == Outcome("error")
    broken.close()


OWNER = """
import asyncio, sys
from fail2fix.verify.code.ground_truth import parse_ground_truth
from fail2fix.verify.code.local import LocalBackend
print("started", flush=True)
backend = LocalBackend(workers=2)
calls = [{"args": [], "expected": 1}]
tests = parse_ground_truth({"kind": "calls", "entry_point": "f", "calls": calls})
print("ready", flush=True)
asyncio.run(backend.run("import time\\ntime.sleep(1000)", tests))
"""


def test_a_killed_owner_leaves_no_process(backend: LocalBackend) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert [owner.stdout.readline().strip() for _ in range(2)] == ["started", "ready"]
    deadline = time.monotonic() + 10.0
    while len(left := psutil.Process(owner.pid).children(recursive=True)) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(left) >= 4
    owner.kill()
    owner.wait()
    owner.stdout.close()
    _, alive = psutil.wait_procs(left, timeout=5)
    assert not alive
