"""Source text of the program in a sandbox, and the job for it. Files of `inside/` are read here, never run."""

from functools import cache
from importlib.resources import files
from typing import Any

from fail2fix.verify.code.ground_truth import CallTests, Limits, StdioTests, Tests
from fail2fix.verify.code.inside.pipes import framed
from fail2fix.verify.code.inside.values import encode

Message = dict[str, Any]


MODULES = ("values", "pipes", "limits", "program", "scripts", "supervisor")
"""Of `inside/`, each after its imports."""

PRELOADED = "bisect collections copy datetime functools heapq itertools math operator random re string typing"
"""Modules of most preludes, imported before the job's time starts. Others would cost every sandbox more processor time
than they save a few (dataclasses: 17 ms).
"""

_START = """
import sys, types
sys.path[:] = [folder for folder in sys.path if folder]
for name in {preloaded!r}.split():
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
    return _START.format(preloaded=PRELOADED, sources=texts)


def job_text(program: str, tests: Tests, limits: Limits, processes: int) -> bytes:
    """Two ASCII messages: the part that the program's process may know, and the tests.

    Neither has expected values of calls and stdin/stdout. `processes`: 0 if something else limits them.
    """
    first: Message = {
        "prelude": tests.prelude,
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
