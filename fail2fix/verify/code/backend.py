"""Where programs run: the interface both back-ends keep, and the reading of a sandbox's reports.

Knows: tests and reports. Must not know: how a sandbox is made. Reports are JSON of an untrusted origin
(`inside/supervisor.py` says what they hold); for calls and stdin/stdout this is where results meet what is expected.
"""

import json
from collections.abc import Iterable
from typing import Any, Protocol

from fail2fix.verify.code.comparison import same_output, same_value
from fail2fix.verify.code.ground_truth import CallTests, StdioTests, Tests
from fail2fix.verify.code.verdict import Outcome

Report = dict[str, Any]


class SandboxUnavailableError(RuntimeError):
    """Programs cannot be run here; the message says what to install or switch on."""


class InfrastructureError(RuntimeError):
    """A run that says nothing about its program: the sandbox broke before the program was started in it."""


class CodeBackend(Protocol):
    async def run(self, program: str, tests: Tests) -> Outcome:
        """Judge `program`. Never raises for anything it does; infrastructure failures are the status "error"."""

    def describe(self, verifiers: int = 1) -> str:
        """The isolation in force, in one line. `verifiers`: how many processes open such a back-end."""

    def close(self) -> None:
        """End all sandboxes. May be called twice; `run` raises `RuntimeError` afterwards."""


def read_report(line: str | bytes) -> Report:
    """One line of a sandbox's output. A line that is no report ends the run: nothing after it can be trusted."""
    try:
        report = json.loads(line)
    except (ValueError, RecursionError):
        return {"end": "lost"}
    return report if isinstance(report, dict) else {"end": "lost"}


def judge(reports: Iterable[Report], tests: Tests) -> Outcome:
    """The outcome that a sandbox's reports amount to. Stops reading at a first failure where the tests say so.

    Raises:
        InfrastructureError: the reports end before the job was started.
    """
    known = len(tests.calls) if isinstance(tests, CallTests) else 0
    known = len(tests.tests) if isinstance(tests, StdioTests) else known
    started, passed, seen, end = False, 0, 0, "lost"
    for report in reports:
        if "end" in report:
            end = report["end"]
            break
        if "ready" in report or "started" in report or "loaded" in report:
            started = started or "started" in report
            continue
        right = seen < (known or seen + 1) and _passed(report, tests, seen)
        seen, passed = seen + 1, passed + right
        if not right and tests.stop_first:
            end = "stopped"
            break
    if not started:
        raise InfrastructureError(f"the sandbox ended before it took the job ({end})")
    if end == "done" and not seen and not known:
        # A script that expects an error, and got it, need reach no assertion: having come to its end is the test.
        return Outcome("ok", 1, 1)
    # An assertion that ended the program reported nothing; it was reached all the same.
    total = known or seen + (end not in ("done", "stopped"))
    return Outcome("ok" if end in ("done", "stopped", "died") else "timeout", passed, total)


def _passed(report: Report, tests: Tests, index: int) -> bool:
    if isinstance(tests, CallTests):
        return "value" in report and same_value(tests.calls[index].expected, report["value"], tests.compare)
    if isinstance(tests, StdioTests):
        stdout = report.get("stdout")
        return report.get("code") == 0 and isinstance(stdout, str) and same_output(tests.tests[index].stdout, stdout)
    return report.get("passed") is True
