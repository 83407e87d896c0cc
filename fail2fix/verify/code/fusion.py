"""Back-end for clusters: SandboxFusion's HTTP service, through its own client.

The service runs the same supervisor as the local back-end, with the job on its stdin and the reports on its stdout. So
both give the same verdicts, and for calls and stdin/stdout expected values never leave this process.

Differences: the service isolates programs (set its `isolation`, "none" by default, to "lite"; it is invisible here),
and its supervisor is not process 1. A program of the same user, or of root, can end it (a wrong answer), and as root
could read the tests of an assertion script; prefer calls and stdin/stdout where that matters. Needs
`pip install sandbox-fusion==0.3.7`, imported with the first run.
"""

import asyncio
import importlib
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tenacity import AsyncRetrying

from fail2fix.console.printable import one_line
from fail2fix.verify.backoff import LIMIT_S, retry_policy
from fail2fix.verify.code.backend import Outcome, judge, read_report
from fail2fix.verify.code.ground_truth import Limits, Tests
from fail2fix.verify.code.harness import harness_source, job_text, with_room

logger = logging.getLogger(__name__)

QUEUE_S = 60.0
"""Seconds that a request may wait at the service beyond its own run."""


class ServiceFailure(ConnectionError):
    """The service did not run a program. `status_code`: of its answer, None if that was 200."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        found = re.search(r"responded with code (\d{3})\b", message)  # the client has it in its text only
        self.status_code = int(found[1]) if found else None


class FusionBackend:
    """Runs programs at `endpoint` ("http://host:8080"), `concurrency` requests at a time.

    `retry_s`: seconds for which a service that fails or does not answer is asked again.
    """

    def __init__(
        self, endpoint: str, concurrency: int = 16, limits: Limits | None = None, retry_s: float = LIMIT_S
    ) -> None:
        self.limits = limits or Limits()
        self._endpoint = endpoint
        self._retry_s = retry_s
        # The client blocks: a thread a request, and no event loop of ours is tied to it.
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="fusion")
        self._logged: set[tuple[type, int | None]] = set()
        self._closed = False

    async def run(self, program: str, tests: Tests) -> Outcome:
        """Judge `program`. Raises `RuntimeError` once closed, `ImportError` without the client."""
        self._require_open()
        client = importlib.import_module("sandbox_fusion")

        async def judged() -> Outcome:
            """One request. Its thread is free again during the pauses between requests."""
            self._require_open()
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._judge, client, program, tests)

        try:
            outcome: Outcome = await AsyncRetrying(**retry_policy(self._retry_s, on_failure=self._log))(judged)
        except Exception as error:  # requests raises its own, pydantic another
            self._require_open()
            self._log(error)
            return Outcome("error")
        return outcome

    def _log(self, error: BaseException) -> None:
        """Warn once per kind of failure, since every running program meets it."""
        kind = (type(error), getattr(error, "status_code", None))
        if kind not in self._logged:
            self._logged.add(kind)
            logger.warning("SandboxFusion failure: %s: %s", type(error).__name__, one_line(str(error)))

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("this FusionBackend is closed: make a new one")

    def _judge(self, client: Any, program: str, tests: Tests) -> Outcome:
        job = job_text(program, tests, with_room(self.limits, tests), processes=0).decode("ascii")
        return judge(map(read_report, self._lines(client, job)), tests)

    def _lines(self, client: Any, job: str) -> list[str]:
        """Reports of one request; a run that the service ended at its time limit ends with a report of that."""
        total_s = self.limits.total_s
        request = client.RunCodeRequest(code=harness_source(), stdin=job, language="python", run_timeout=total_s)
        try:
            response = client.run_code(
                request, endpoint=self._endpoint, max_attempts=1, client_timeout=total_s + QUEUE_S
            )
        except OSError:  # requests'
            raise
        except Exception as error:  # the client's bare ones
            raise ServiceFailure(str(error)[:300]) from error
        result = response.run_result
        if result is None:
            raise ServiceFailure(f"no run_result: {response.message}")
        lines = (result.stdout or "").splitlines()
        if result.status == client.CommandRunStatus.TimeLimitExceeded:
            return [*lines, '{"end": "timeout"}']
        if result.status == client.CommandRunStatus.Error:
            raise ServiceFailure(f"run_result.status is Error: {(result.stderr or '')[-200:]}")
        return lines

    def describe(self, verifiers: int = 1) -> str:
        return "a SandboxFusion service, which isolates them as it is set (`isolation: lite`), invisible from here"

    def close(self) -> None:
        """Wait for running requests. May be called twice."""
        self._closed = True
        self._threads.shutdown(cancel_futures=True)
