"""Python code run in a process of its own that begins with heavy modules imported.

A server, one for each process of pytest, imports modules once and forks for each call: no call pays for imports again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

SERVER = """
import importlib, json, os, signal, sys
answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    call = json.loads(line)
    for module in call["preload"]:
        importlib.import_module(module)
    child = os.fork()
    if child == 0:
        for number, path in enumerate((os.devnull, call["stdout"], call["stderr"])):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
        os.chdir(call["folder"])
        os.environ.clear()
        os.environ.update(call["environment"])
        signal.alarm(call["limit_s"])
        sys.argv = call["argv"]
        exec(compile(call["code"], "<string>", "exec"), {"__name__": "__main__"})
        sys.exit()
    answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\\n")
    answers.flush()
"""
SCRIPT = "import runpy, sys; sys.path.insert(0, {folder!r}); runpy.run_path({path!r}, run_name='__main__')"


def run_code(
    code: str, *arguments: str, preload: Sequence[str] = (), folder: Path | None = None, limit_s: int = 120
) -> subprocess.CompletedProcess[str]:
    """``python -c CODE ARGUMENTS...``; ``preload`` names the modules whose import the calls share.

    A call over its limit ends by SIGALRM: its status is -14.
    """
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with TemporaryDirectory() as scratch:
        out, err = Path(scratch, "stdout"), Path(scratch, "stderr")
        call = {
            "code": code, "argv": ["-c", *arguments], "preload": list(preload), "limit_s": limit_s, "stdout": str(out),
            "stderr": str(err), "environment": dict(os.environ), "folder": str(folder or Path.cwd()),
        }  # fmt: skip
        server.stdin.write(json.dumps(call) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(["-c", *arguments], status, out.read_text(), err.read_text())


def run_script(path: Path, *arguments: str, preload: Sequence[str] = (), limit_s: int = 300) -> str:
    """What ``python PATH ARGUMENTS...`` prints; it must end well."""
    code = SCRIPT.format(folder=str(path.parent), path=str(path))
    done = run_code(code, *arguments, preload=preload, limit_s=limit_s)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@cache
def _server() -> subprocess.Popen[str]:
    """It ends with the process that asked for it, whose end closes its input."""
    return subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
