"""Process 1 of a sandbox: runs one job and reports its results.

A program can neither outlive nor signal it: the kernel keeps from process 1 every signal without a handler, and
Python's own handler, of SIGINT, is removed. Knows: how to run a program and exchange data with it. Must not know:
whether a result is right; calls and stdin/stdout are compared outside. Assertion scripts run here and are hidden from
the program: they are read from the pipe after the program's process was forked, and that process never holds the pipe.

A job is two messages: the part that the program's process may know, then the tests. The reports are `{"ready": 1}`
before the job, `{"started": 1}` after its first half, `{"loaded": 1}`, one line per test, and `{"end": reason}`
(`pipes.End`, or "done").
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from fail2fix.verify.code.inside.limits import DEATHS_BY_LIMIT, kill_rest, let_others_look, set_limits, wait_until
from fail2fix.verify.code.inside.pipes import End, read_message, send_report, write_all, write_message
from fail2fix.verify.code.inside.program import Job, execute, find, new_module, record_classes, run_script, serve
from fail2fix.verify.code.inside.scripts import Space, run_scripts, same_error
from fail2fix.verify.code.inside.values import decode, encode

Message = dict[str, Any]


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    jobs, reports = _own_channels()
    let_others_look(False)
    send_report(reports, ready=1)
    job = read_message(jobs)
    set_limits(job["limits"])
    send_report(reports, started=1)
    run = {"stdio": _run_stdio, "calls": _run_calls, "assertions": _run_assertions}[job["kind"]]
    reason = "done"
    try:
        run(job, jobs, reports)
    except End as end:
        reason = str(end)
    except (MemoryError, OSError):
        # What this process needs and cannot have (room in /tmp, a process), the program has used up.
        reason = "limit"
    send_report(reports, end=reason)
    os._exit(0)


def _own_channels() -> tuple[int, int]:
    """Move the pipes of jobs and reports away from descriptors 0 and 1, which programs use, and close those."""
    jobs, reports = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    return jobs, reports


def _run_stdio(job: Job, jobs: int, reports: int) -> None:
    """Run each test in a new process; its output is read from a file after all its processes have ended."""
    tests = read_message(jobs)
    send_report(reports, loaded=1)
    for stdin in tests["stdins"]:
        given, printed = _scratch_file(stdin.encode()), _scratch_file(b"")
        child = os.fork()
        if child == 0:
            run_script(job, given, printed, (jobs, reports))
        code = wait_until(child, time.monotonic() + job["limits"]["test_s"])
        kill_rest(child)
        if code is None:
            raise End("timeout")
        size = os.fstat(printed).st_size
        if size >= job["limits"]["output_bytes"] or -code in DEATHS_BY_LIMIT:
            raise End("limit")
        send_report(reports, code=code, stdout=os.pread(printed, size, 0).decode("utf-8", "replace"))
        os.close(given)
        os.close(printed)


def _scratch_file(content: bytes) -> int:
    """An open file without a name that holds `content`, positioned at its start."""
    name = f"/tmp/.{os.urandom(8).hex()}"
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(name)
    write_all(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _run_calls(job: Job, jobs: int, reports: int) -> None:
    with _Program(job, jobs, reports) as program:
        program.wait_loaded()
        for request in read_message(jobs)["calls"]:
            answer = program.ask(request)
            send_report(reports, **{key: answer[key] for key in ("value", "error") if key in answer})


def _run_assertions(job: Job, jobs: int, reports: int) -> None:
    with _Program(job, jobs, reports) as program:
        program.wait_loaded()
        tests = read_message(jobs)
        if tests["together"]:
            _run_together(program, tests, reports)
        else:
            _run_split(program, job, tests, reports)


class _Program(contextlib.AbstractContextManager[Any]):
    """The program's process: loaded once, then asked to call its functions, in order, keeping its state."""

    def __init__(self, job: Job, jobs: int, reports: int) -> None:
        self._limits, self._reports = job["limits"], reports
        self._over = ""
        requests, self._write_end = os.pipe()
        self._read_end, answers = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            forbidden = (jobs, reports, self._write_end, self._read_end)
            serve(job, requests, answers, forbidden, _answer_tests)
        os.close(requests)
        os.close(answers)

    def __exit__(self, *_: object) -> None:
        kill_rest(self.child)

    def wait_loaded(self) -> None:
        self.expect_answer()
        send_report(self._reports, loaded=1)

    def ask(self, request: Message) -> Message:
        """The answer to one request. Raises `End` if it exceeds the limits, and for every later request."""
        if self._over:
            raise End(self._over)
        with contextlib.suppress(BrokenPipeError):
            write_message(self._write_end, request)
        return self.expect_answer()

    def expect_answer(self) -> Message:
        try:
            return self._answer()
        except End as end:
            self._over = self._cause_of_death() if str(end) == "died" else str(end)
        except (ValueError, RecursionError):
            self._over = "died"
        raise End(self._over)

    def _answer(self) -> Message:
        deadline = time.monotonic() + self._limits["test_s"]
        answer = read_message(self._read_end, deadline, self._limits["output_bytes"])
        if not isinstance(answer, dict):
            raise End("died")
        if answer.get("error") == "MemoryError":
            raise End("limit")
        if answer.get("loaded") == 0:
            raise End("died")
        return answer

    def _cause_of_death(self) -> str:
        code = wait_until(self.child, time.monotonic() + 0.2)
        return "limit" if code is not None and -code in DEATHS_BY_LIMIT else "died"


def _run_split(program: _Program, job: Job, tests: Message, reports: int) -> None:
    """Run tests in this process, with a stand-in for each function of the program that exchanges data with it."""
    space = new_module("tests", "tests.py")
    execute({"prelude": job["prelude"], "program": ""}, space)
    records = record_classes(job["records"], space)
    for name in tests["functions"]:
        space[name] = _stand_in(program, name, tests["by_position"], records)
    space["candidate"] = _stand_in(program, tests["entry_point"], tests["by_position"], records)
    run_scripts(tests, space, lambda passed: send_report(reports, passed=passed))


def _stand_in(program: _Program, path: str, by_position: bool, records: dict[str, type]) -> Callable[..., Any]:
    shapes = tuple(records.values())

    def call(*args: Any, **kwargs: Any) -> Any:
        if by_position:
            args, kwargs = (*args, *kwargs.values()), {}
        answer = program.ask({"call": path, "args": encode(args, shapes), "kwargs": encode(kwargs, shapes)})
        if "value" not in answer:
            raise same_error(answer.get("error"), answer.get("text"))
        return decode(answer["value"], records)

    return call


def _run_together(program: _Program, tests: Message, reports: int) -> None:
    """Run tests in the program's process. Only reports with this run's nonce, unknown before the tests, count."""
    nonce = os.urandom(16).hex()
    answer = program.ask({"tests": tests, "nonce": nonce})
    while answer.get("nonce") == nonce and "passed" in answer:
        send_report(reports, passed=answer["passed"] is True)
        answer = program.expect_answer()
    if answer.get("nonce") != nonce:
        raise End("died")


def _answer_tests(request: Message, space: Space, answers: int) -> Message:
    """In the program's process: run the tests there, and report each with the nonce."""
    tests, nonce = request["tests"], request["nonce"]
    if tests["entry_point"]:
        space["candidate"] = find(tests["entry_point"], space)
    with contextlib.suppress(End):
        run_scripts(tests, space, lambda passed: write_message(answers, {"passed": passed, "nonce": nonce}))
    return {"nonce": nonce}
