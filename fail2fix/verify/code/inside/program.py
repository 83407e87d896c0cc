"""The process that runs the program, after the fork: how it is set up and answers calls.

Knows: the program and its prelude. Must not know: tests, expected values, the sandbox's way out; its forks hold none of
them. Its answers are untrusted data (`values.py`).
"""

import atexit
import builtins
import contextlib
import gc
import os
import resource
import signal
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

from fail2fix.verify.code.inside.limits import let_others_look, set_limit
from fail2fix.verify.code.inside.pipes import read_message, write_message
from fail2fix.verify.code.inside.values import decode, encode

Job = dict[str, Any]
ERROR_CHARS = 1000
CPUS = 2
"""Processors that a program is told of."""
Answer = Callable[[dict[str, Any], dict[str, Any], int], dict[str, Any]]


def run_script(job: Job, stdin: int, stdout: int, forbidden: tuple[int, ...]) -> None:
    """In a child: run the program as `python program.py` would, with exit handlers. Never returns."""
    code, space = 1, new_module("__main__", "program.py")
    try:
        _become_program(job, forbidden, stdin, stdout)
        execute(job, space)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except MemoryError:
        # Ended as the kernel ends those at a limit of its own. One that does this by itself is wrong all the same.
        os.kill(os.getpid(), signal.SIGKILL)
    except BaseException:
        pass
    with contextlib.suppress(BaseException):
        _end_interpreter(space)
        os._exit(code & 0xFF)
    os._exit(1)


def _end_interpreter(space: dict[str, Any]) -> None:
    """Steps of the interpreter's end that os._exit leaves out."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    _flush()
    sys.stdout = sys.__stdout__
    # Files the program left open are written out as their names are taken, one by one: in a ring with functions the
    # collector may close a file before what it buffers.
    for name in [name for name in space if name != "__builtins__"]:
        space[name] = None
    gc.collect()
    _flush()


def _flush() -> None:
    for stream in (sys.stdout, sys.__stdout__):
        if stream is not None and not getattr(stream, "closed", False):
            stream.flush()


def serve(job: Job, requests: int, answers: int, forbidden: tuple[int, ...], answer_tests: Answer) -> None:
    """In a child: load the program, then answer requests until their pipe closes. Never returns."""
    with contextlib.suppress(BaseException):
        null = os.open(os.devnull, os.O_RDWR)
        _become_program(job, forbidden, null, null)
        space = new_module("program", "program.py")
        try:
            execute(job, space)
        except BaseException as error:
            write_message(answers, {"loaded": 0} | _told(error))
            os._exit(1)
        write_message(answers, {"loaded": 1})
        found: dict[str, Any] = {}
        while True:
            request = read_message(requests)
            if "tests" in request:
                answer = answer_tests(request, space, answers)
            else:
                answer = _answer(request, job, space, found)
            write_message(answers, answer)
    os._exit(1)


def _answer(request: dict[str, Any], job: Job, space: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    try:
        path = request["call"]
        if path not in found:
            found[path] = find(path, space)
        records = record_classes(job["records"], space)
        args, kwargs = decode(request["args"], records), decode(request["kwargs"], records)
        return {"value": encode(found[path](*args, **kwargs), tuple(records.values()))}
    except BaseException as error:
        return _told(error)


def _told(error: BaseException) -> dict[str, str]:
    """An error as data: its built-in class, or the one it extends, and its text."""
    classes: tuple[type, ...] = type.__getattribute__(type(error), "__mro__")
    name = next(kind.__name__ for kind in classes if vars(builtins).get(kind.__name__) is kind)
    with contextlib.suppress(BaseException):
        return {"error": name, "text": str(error)[:ERROR_CHARS]}
    return {"error": name, "text": ""}


def find(path: str, space: dict[str, Any]) -> Any:
    """The function at a path like `Solution().twoSum`; the form of paths is checked outside."""
    value: Any = None
    for number, step in enumerate(path.split(".")):
        name = step.removesuffix("()")
        value = getattr(value, name) if number else space[name]
        value = value() if step.endswith("()") else value
    return value


def record_classes(names: list[str], space: dict[str, Any]) -> dict[str, type]:
    return {name: space[name] for name in names if isinstance(space.get(name), type)}


def new_module(name: str, file: str) -> dict[str, Any]:
    """Name space of a new module, since dataclasses and pickle look their module up by name."""
    module = types.ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module
    return module.__dict__


def execute(job: Job, space: dict[str, Any]) -> None:
    for source, where in ((job["prelude"], "prelude.py"), (job["program"], "program.py")):
        if source:
            exec(compile(source, where, "exec", dont_inherit=True), space)


def _become_program(job: Job, forbidden: tuple[int, ...], stdin: int, stdout: int) -> None:
    """Close the supervisor's descriptors, open ordinary standard streams, limit the size of every file."""
    for descriptor in forbidden:
        os.close(descriptor)
    let_others_look(True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    set_limit(resource.RLIMIT_FSIZE, job["limits"]["output_bytes"])
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)
    for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = open(descriptor, mode, encoding="utf-8", errors="replace")  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = ["program.py"]
    # A pool has as many processes on every machine, and not more than the limit.
    os.cpu_count = lambda: CPUS
    # What `site` would have added; this interpreter runs without it.
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]
