"""Interface of the back-ends that run programs, and the judging of a sandbox's reports.

Knows: tests and reports. Must not know: how a sandbox is made. Reports are JSON from an untrusted source
(`inside/supervisor.py` documents them). For calls and stdin/stdout, results are compared with expected values here.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fail2fix.verify.code.comparison import same_output, same_value
from fail2fix.verify.code.ground_truth import AssertionTests, CallTests, StdioTests, Tests

Report = dict[str, Any]


class SandboxUnavailableError(RuntimeError):
    """Programs cannot be run here; the message says what to install or switch on."""


class InfrastructureError(RuntimeError):
    """A run that says nothing about its program: the sandbox broke before it started the program."""


@dataclass(frozen=True)
class Outcome:
    """Result of running a program against its tests: `passed` of `total`.

    `status`: "ok": judged; a program that does not compile, raises, exits or crashes is wrong and "ok".
    "timeout": over a limit of time, memory or output, so wrong, and not repeated.
    "error": no result, since no sandbox could be started or the service did not answer.

    The first failure ends the run. `total` still counts all tests of known number (calls, stdin/stdout); for assertion
    scripts it counts the assertions reached.
    """

    status: Literal["ok", "timeout", "error"]
    passed: int = 0
    total: int = 0

    @property
    def correct(self) -> bool:
        return self.status == "ok" and self.passed == self.total > 0


class CodeBackend(Protocol):
    async def run(self, program: str, tests: Tests) -> Outcome:
        """Run `program` against its tests. Never raises for anything the program does."""

    def describe(self, verifiers: int = 1) -> str:
        """The isolation in one line. `verifiers`: number of processes that open such a back-end."""

    def close(self) -> None:
        """End all sandboxes. May be called twice; `run` raises `RuntimeError` after it."""


def read_report(line: str | bytes) -> Report:
    """Parse one line of a sandbox's output; any other line ends the run, since nothing after it can be trusted."""
    with suppress(ValueError, RecursionError):
        report = json.loads(line)
        if isinstance(report, dict):
            return report
    return {"end": "lost"}


def judge(reports: Iterable[Report], tests: Tests) -> Outcome:
    """The outcome of a sandbox's reports. Stops reading at the first failure.

    Raises:
        InfrastructureError: the reports end before the job was started.
    """
    known = (
        0 if isinstance(tests, AssertionTests) else len(tests.calls if isinstance(tests, CallTests) else tests.tests)
    )
    started, passed, end = False, 0, "lost"
    for report in reports:
        if "end" in report:
            end = report["end"]
            break
        if "ready" in report or "started" in report or "loaded" in report:
            started = started or "started" in report
        elif (known and passed == known) or not _passed(report, tests, passed):
            end = "stopped"
            break
        else:
            passed += 1
    if not started:
        raise InfrastructureError(f"the sandbox ended before it took the job ({end})")
    if end == "done" and not passed and not known:
        # A script that expects an error and gets it may reach no assertion: the test is that it ends.
        return Outcome("ok", 1, 1)
    # Of assertions, the one that failed or ended the program was reached too.
    total = known or passed + (end != "done")
    return Outcome("ok" if end in ("done", "stopped", "died") else "timeout", passed, total)


def _passed(report: Report, tests: Tests, index: int) -> bool:
    if isinstance(tests, CallTests):
        return "value" in report and same_value(tests.calls[index].expected, report["value"], tests.compare)
    if isinstance(tests, StdioTests):
        stdout = report.get("stdout")
        expected = tests.tests[index].stdout
        return report.get("code") == 0 and isinstance(stdout, str) and same_output(expected, stdout, tests.tolerance)
    return report.get("passed") is True
