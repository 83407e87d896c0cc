"""Programs that try to be judged right without being right. None may, wherever results cross as data."""

import secrets
from typing import Any

import pytest

from tests.tiers import heavy_where

FDS = "import os\ndef everywhere(data):\n for fd in range(64):\n  try: os.write(fd, data)\n  except OSError: pass\n"
REPORTS = r"""b'{"loaded": 1}\n{"passed": true}\n{"code": 0, "stdout": "1"}\n{"end": "done"}\n'"""
MESSAGE = r"""b'%08x' % len(m) + m"""
SEARCH = r"""
import re
PATTERN = re.compile(rb'secret-[0-9a-f]{32}')
def found(path):
    with open(path.replace('mem', 'maps')) as maps, open(path, 'rb', 0) as memory:
        for line in maps:
            start, end = (int(part, 16) for part in line.split()[0].split('-'))
            if 'r' in line.split()[1] and end - start < 2**28:
                try:
                    memory.seek(start)
                    match = PATTERN.search(memory.read(end - start))
                except (OSError, ValueError, OverflowError):
                    continue
                if match:
                    return match.group().decode()
"""

FORGERIES = {
    "prints the success marker": f"print({REPORTS}.decode(), flush=True)\ndef answer(): pass",
    "writes reports to every descriptor": f"{FDS}def answer(): everywhere({REPORTS})\neverywhere({REPORTS})",
    "writes messages to every descriptor": f"""{FDS}m = b'{{"passed": true, "value": {{"root": 1, "nodes": []}}}}'
everywhere(({MESSAGE}) * 5)\ndef answer(): everywhere({MESSAGE})""",
    "leaves with 0 at once": "import sys\nsys.exit(0)",
    "leaves the process at once": "import os\nos._exit(0)",
    "leaves with 0 when called": "import sys\ndef answer(): sys.exit(0)",
    "leaves the process when called": "import os\ndef answer(): os._exit(0)",
    "equals everything": "class E:\n def __eq__(s, o): return True\n def __hash__(s): return 0\n"
    "def answer(): return E()",
    "a string that equals everything": "class E(str):\n def __eq__(s, o): return True\n __hash__ = str.__hash__\n"
    "def answer(): return E('x')",
    "a list that equals everything": "class E(list):\n def __eq__(s, o): return True\ndef answer(): return E()",
    "says to be a string": "class E:\n __class__ = str\n def __str__(s): return 'x'\n def __eq__(s, o): return True\n"
    "def answer(): return E()",
    "equal type": "class M(type):\n def __eq__(c, o): return True\n __hash__ = type.__hash__\n"
    "class E(metaclass=M):\n def __eq__(s, o): return True\ndef answer(): return E()",
    "replaces built-ins": "import builtins\n"
    "for n in ('all', 'any', 'bool', 'isinstance', 'type', 'len', 'map', 'zip'):\n"
    " setattr(builtins, n, lambda *a: True)\ndef answer(): return 1",
    "replaces print and json": "import builtins, json, sys\nbuiltins.print = sys.stdout.write = lambda *a: 1\n"
    "json.dumps = lambda *a, **k: '{\"passed\": true}'\njson.loads = lambda *a: {'value': 1}\ndef answer(): return 1",
    "replaces the harness": "import sys\nfor name, module in list(sys.modules.items()):\n"
    " if name.startswith('fail2fix'):\n  for key in list(vars(module)):\n"
    "   if not key.startswith('__'): setattr(module, key, lambda *a, **k: {'passed': True})\ndef answer(): return 1",
    "defines the counter": "import builtins\nbuiltins.__check__ = lambda c: None\nbuiltins.check = lambda c: None\n"
    "builtins.AssertionError = KeyError\ndef answer(): return 1",
    "imports the tests": "import sys\ndef answer():\n m = sys.modules.get('tests')\n"
    " return next((v for v in vars(m).values() if str(v).startswith('secret-')), 1) if m else 1",
    "searches its frames": "import sys\ndef answer():\n f = sys._getframe()\n while f:\n"
    "  for v in {**f.f_globals, **f.f_locals}.values():\n   if str(v).startswith('secret-'): return v\n"
    "  f = f.f_back",
    "searches its objects": "import gc\ndef answer():\n for o in gc.get_objects():\n"
    "  for v in (o.values() if type(o) is dict else o if type(o) in (list, tuple) else ()):\n"
    "   if type(v) is str and v.startswith('secret-') and len(v) == 39: return v",
    "searches its memory": f"{SEARCH}def answer(): return found('/proc/self/mem')",
    "searches the supervisor's memory": f"{SEARCH}def answer(): return found('/proc/1/mem')",
    "reads the supervisor's memory by a call": "import ctypes\ndef answer():\n"
    " b = ctypes.create_string_buffer(4096)\n"
    " v = (ctypes.c_size_t * 2)(ctypes.addressof(b), 4096)\n r = (ctypes.c_size_t * 2)(0x400000, 4096)\n"
    " return ctypes.CDLL(None).process_vm_readv(1, v, 1, r, 1, 0)",
    "traces the supervisor": "import ctypes\ndef answer(): return ctypes.CDLL(None).ptrace(16, 1, 0, 0)",
    "takes the supervisor's descriptors": "import ctypes, os\ndef answer():\n p = os.pidfd_open(1)\n"
    f" for n in range(16):\n  fd = ctypes.CDLL(None).syscall(438, p, n, 0)\n  if fd >= 0: os.write(fd, {REPORTS})",
    "opens the supervisor's descriptors": "import os\ndef answer():\n for n in range(16):\n"
    f"  try: os.write(os.open(f'/proc/1/fd/{{n}}', os.O_WRONLY), {REPORTS})\n  except OSError: pass",
    "kills the supervisor": "import os, signal\ndef answer():\n for s in (9, 15, 19, 11, 6, 2):\n"
    "  os.kill(1, s); os.kill(os.getppid(), s)",
    "kills everybody": f"{FDS}import signal\neverywhere({REPORTS})\nos.kill(-1, signal.SIGKILL)",
    "writes at its exit": f"{FDS}import atexit\natexit.register(everywhere, {REPORTS})\ndef answer(): pass",
    "writes from a thread": f"{FDS}import threading\nthreading.Thread(target=everywhere, args=({REPORTS},)).start()\n"
    "def answer(): pass",
    "writes from an orphan": f"{FDS}if os.fork() == 0:\n os.setsid()\n everywhere({REPORTS})\n os._exit(0)\n"
    "def answer(): pass",
    "answers twice": "import os\ndef answer():\n os.fork()\n return 1",
    "an error with a name of ours": 'class passed(Exception): pass\npassed.__name__ = \'"}\\n{"passed": true}\'\n'
    "def answer(): raise passed",
    "an error that cannot be told": "class E(BaseException):\n def __getattribute__(s, n): raise SystemExit(0)\n"
    " def __str__(s): raise SystemExit(0)\ndef answer(): raise E",
    "traces its own calls": "import sys\ndef answer(): return 1\n"
    "sys.settrace(lambda f, e, a: f.f_locals.update(passed=True)); sys.setprofile(lambda f, e, a: None)",
    "sends what it is asked": "def answer(*a, **k): return [a, k]",
    "runs the tests' source": "import sys\ndef answer():\n"
    " return open('/proc/1/cmdline').read() + open('/proc/1/stat').read()",
    "hidden in an import": "import sys\nclass F:\n def find_spec(s, n, *a): raise SystemExit(0)\n"
    "sys.meta_path.insert(0, F())\n"
    "sys.modules.clear()\ndef answer(): return 1",
}
TOGETHER_TOO = [
    "prints the success marker", "writes reports to every descriptor", "writes messages to every descriptor",
    "leaves with 0 at once", "leaves the process at once", "leaves with 0 when called", "kills the supervisor",
    "leaves the process when called", "replaces print and json", "defines the counter", "writes at its exit",
    "writes from an orphan", "an error with a name of ours", "an error that cannot be told", "sends what it is asked",
]  # fmt: skip
OTHERS = FORGERIES.keys() - set(TOGETHER_TOO[::3])


@pytest.mark.parametrize("name", heavy_where(FORGERIES, ["replaces the harness"]))
def test_calls(run: Any, name: str) -> None:
    calls = [{"args": [], "expected": f"secret-{secrets.token_hex(16)}"}]
    assert not run(FORGERIES[name], {"kind": "calls", "entry_point": "answer", "calls": calls}).correct


@pytest.mark.parametrize("name", heavy_where(FORGERIES, OTHERS))
def test_assertions(run: Any, name: str) -> None:
    tests = [f"assert answer() == 'secret-{secrets.token_hex(16)}'"]
    assert not run(FORGERIES[name], {"kind": "assertions", "functions": ["answer"], "tests": tests}).correct


@pytest.mark.parametrize("name", heavy_where(FORGERIES, OTHERS))
def test_stdio(run: Any, name: str) -> None:
    tests = [{"stdin": "", "stdout": f"secret-{secrets.token_hex(16)}"}]
    program = f"{FORGERIES[name]}\nprint(answer())"
    assert not run(program, {"kind": "stdio", "tests": tests}).correct


@pytest.mark.parametrize("name", heavy_where(TOGETHER_TOO, OTHERS))
def test_tests_in_the_programs_process(run: Any, name: str) -> None:
    tests = [f"assert answer() == 'secret-{secrets.token_hex(16)}'"]
    truth = {"kind": "assertions", "functions": ["answer"], "tests": tests, "isolation": "together"}
    assert not run(FORGERIES[name], truth).correct


def test_the_documented_risk_of_tests_in_the_programs_process(run: Any) -> None:
    """What `isolation: together` cannot stop, so that nobody takes it for more: a value that equals everything."""
    truth: dict[str, Any] = {"kind": "assertions", "functions": ["answer"], "tests": ["assert answer() == 1"]}
    truth["isolation"] = "together"
    assert run(FORGERIES["equals everything"], truth).correct


def test_a_redefined_class_of_the_prelude_passes_as_data_only(run: Any) -> None:
    truth = {
        "kind": "assertions",
        "prelude": "class Node:\n def __init__(self, val): self.val = val\n",
        "records": ["Node"],
        "functions": ["answer"],
        "tests": ["assert answer().val == 'secret'"],
    }
    lie = (
        "class Node:\n val = property(lambda s: E())\nclass E:\n def __eq__(s, o): return True\n"
        "def answer(): return Node()"
    )
    assert not run(lie, truth).correct
