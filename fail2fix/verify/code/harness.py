"""Source text of the program in a sandbox, and the job for it. Files of `inside/` are read here, never run."""

import re
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from fail2fix.verify.code.ground_truth import AssertionTests, CallTests, Limits, StdioTests, Tests
from fail2fix.verify.code.inside.pipes import framed
from fail2fix.verify.code.inside.values import encode

Message = dict[str, Any]


MODULES = ("values", "pipes", "limits", "program", "scripts", "supervisor")
"""Of `inside/`, each after its imports."""

CONTEST_MODULES = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics", "itertools",
    "functools", "operator", "io", "sys", "json", "builtins", "typing",
)  # fmt: skip
"""Modules that LiveCodeBench's runner imports, in its order. They are imported before the job's time starts. Others
would cost every sandbox more processor time than they save a few (dataclasses: 17 ms)."""

CONTEST_PRELUDE = (
    "".join(f"from {name} import *\n" for name in CONTEST_MODULES)
    + f"import {', '.join(CONTEST_MODULES)}\n"
    + "sys.setrecursionlimit(50_000)\n"
)
"""What programs of contests may rely on, since the sets' own runners provide it: each module's contents, the modules,
deep recursion."""

MAX_DIGITS = 50_000
"""Digits of an integer that may be read or printed, as in LiveCodeBench's runner; Python's own limit is 4,300."""

_START = """
import sys, types
getattr(sys, "set_int_max_str_digits", abs)({digits})
sys.path[:] = [folder for folder in sys.path if folder]
for name in {preloaded!r}:
    __import__(name)
for name, source in {sources!r}.items():
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
module.main()
"""


@cache
def harness_source() -> str:
    """The modules of `inside/` as one program: the only part of Fail2Fix in a sandbox."""
    package = "fail2fix.verify.code.inside"
    texts = {f"{package}.{name}": (files(package) / f"{name}.py").read_text(encoding="utf-8") for name in MODULES}
    return _START.format(digits=MAX_DIGITS, preloaded=CONTEST_MODULES, sources=texts)


def with_room(limits: Limits, tests: Tests) -> Limits:
    """`limits`, with room for twice the longest output that `tests` expect."""
    expected = [0]
    if isinstance(tests, StdioTests):
        expected += [len(test.stdout.encode("utf-8", "replace")) for test in tests.tests]
    elif isinstance(tests, CallTests):
        expected += [len(framed(encode(call.expected))) for call in tests.calls]
    return replace(limits, output_kb=max(limits.output_kb, max(expected) // 2**9 + 1))


def _prelude(tests: Tests) -> str:
    if isinstance(tests, AssertionTests):
        return tests.prelude
    # What an import happens to call like the function is no answer.
    taken = re.split(r"\W", tests.entry_point)[0] if isinstance(tests, CallTests) else ""
    return f"{CONTEST_PRELUDE}globals().pop({taken!r}, None)\n{tests.prelude}"


def job_text(program: str, tests: Tests, limits: Limits, processes: int) -> bytes:
    """Two ASCII messages: the part that the program's process may know, and the tests.

    Neither has expected values of calls and stdin/stdout. `processes`: 0 if something else limits them.
    """
    first: Message = {
        "prelude": _prelude(tests),
        "program": program,
        "records": (),
        "limits": {
            "test_s": limits.test_s,
            "cpu_s": int(limits.total_s) + 1,
            "memory_bytes": limits.memory_mb * 2**20,
            "output_bytes": limits.output_kb * 2**10,
            "processes": processes,
        },
    }
    if isinstance(tests, CallTests):
        kind = "calls"
        entry, none = tests.entry_point, encode({})
        second: Message = {
            "calls": [{"call": entry, "args": encode(each.args), "kwargs": none} for each in tests.calls]
        }
    elif isinstance(tests, StdioTests):
        kind = "stdio"
        second = {"stdins": [test.stdin for test in tests.tests]}
    else:
        kind = "assertions"
        first["records"] = tests.records
        second = vars(tests)
    return framed(first | {"kind": kind}) + framed(second)
