"""Back-end for one machine: bubblewrap sandboxes, each started before its job and used for one job only.

Knows: threads, queues, when to start and end sandboxes. Must not know: how results are judged.

Each worker thread owns its sandboxes: the kernel ties a sandbox's life to the thread that started it
(--die-with-parent), and worker threads live as long as the back-end. The next sandbox starts after a verdict, or during
the job if more work waits.

Limits of a program:
- time: seconds of a test and of a run (`Limits`), enforced inside and again here. At the end the kernel kills all its
  processes, since they share a process namespace whose first process is the supervisor.
- memory: `memory_mb` of address space per process, and `memory_mb` + `tmp_mb` + 256 MB for all its processes together,
  by a control group if one can be made, else by a look at the sum every 50 ms (`memory.py`).
- processor time: niceness, so that training has priority.
- processes and threads: `processes`, by RLIMIT_NPROC, which the kernel (5.14 or newer) counts per user namespace, and
  every sandbox has its own; root is exempt, so as root sandboxes run as nobody. Also by the control group's `pids.max`.
  One of the two is required: on an older kernel without control groups this back-end refuses to start.
- disk: /tmp of `tmp_mb`, in memory; nothing else is writable. Descriptors: 64 per process.

    backend = LocalBackend(workers=2)
    outcome = await backend.run("def add(a, b): return a + b", parse_ground_truth({...}))
    backend.close()
"""

import asyncio
import contextlib
import logging
import os
import platform
import queue
import re
import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from fail2fix.verify.code.backend import InfrastructureError, Outcome, SandboxUnavailableError, judge
from fail2fix.verify.code.bubblewrap import REMEDY, bwrap_command, find_bwrap, sandbox_uid
from fail2fix.verify.code.cgroup import new_group, usable_hierarchies
from fail2fix.verify.code.ground_truth import Limits, Tests
from fail2fix.verify.code.harness import harness_source, job_text, with_room
from fail2fix.verify.code.interpreter import find_interpreter
from fail2fix.verify.code.memory import LOOK_S
from fail2fix.verify.code.sandbox import NICENESS, Sandbox
from fail2fix.verify.code.seccomp import filter_program

logger = logging.getLogger(__name__)

CLOSED = "this LocalBackend is closed: make a new one"

SUPERVISOR_PROCESSES = 4
"""Added to the control group's limit: the supervisor, and processes that are not reaped yet."""


@dataclass
class _Job:
    program: str
    tests: Tests
    result: "Future[Outcome]" = field(default_factory=Future)
    sandbox: Sandbox | None = None
    cancelled: bool = False

    def cancel(self) -> None:
        """End the job's sandbox if it runs: its caller no longer waits."""
        self.cancelled = True
        if not self.result.cancel() and self.sandbox is not None:
            self.sandbox.kill()


class LocalBackend:
    """Runs programs in `workers` sandboxes at a time; each worker keeps `spares` more started ahead.

    `processes`: processes and threads of a program. `tmp_mb`: size of its /tmp. `python`: the interpreter inside ("":
    found, see `interpreter.py`). `retries`: further attempts if a sandbox breaks before its program was started.

    Raises:
        SandboxUnavailableError: no sandbox can be made here; one line says what to install or switch on.
    """

    def __init__(
        self,
        workers: int = 2,
        limits: Limits | None = None,
        processes: int = 32,
        tmp_mb: int = 64,
        python: str = "",
        spares: int = 1,
        retries: int = 2,
    ) -> None:
        if workers < 1 or processes < 4 or tmp_mb < 1 or spares < 0 or retries < 0:
            raise ValueError(
                "LocalBackend needs workers >= 1, processes >= 4, tmp_mb >= 1, spares >= 0, retries >= 0;"
                f" got {workers}, {processes}, {tmp_mb}, {spares}, {retries}"
            )
        self.limits = limits or Limits()
        self._workers, self._spares, self._retries, self._tmp_mb = workers, spares, retries, tmp_mb
        self._processes = processes
        self._memory_bytes = (self.limits.memory_mb + tmp_mb + 256) * 2**20  # of a sandbox
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False
        self._prepare(python)

    def _prepare(self, python: str) -> None:
        """Find the tools, and test them with one sandbox."""
        self._uid = sandbox_uid()
        bwrap = find_bwrap()
        interpreter = find_interpreter(python, self._uid)
        self._command = partial(bwrap_command, bwrap, interpreter, harness_source(), self._tmp_mb * 2**20)
        self._seccomp = filter_program()
        self._hierarchies = usable_hierarchies()
        counts_per_namespace = _kernel() >= (5, 14)
        if not counts_per_namespace and not self._hierarchies:
            raise SandboxUnavailableError(
                f"Linux {platform.release()} cannot bound a sandbox's processes: use 5.14 or newer, or give this"
                " process a writable control group (memory and pids)"
            )
        self._process_limit = self._processes if counts_per_namespace else 0
        try:
            with contextlib.closing(self._start()) as sandbox:
                sandbox.wait_ready()
        except OSError as error:
            raise SandboxUnavailableError(f"bubblewrap cannot be started: {error}") from None
        except InfrastructureError as error:
            reason = f"bubblewrap cannot make a sandbox for user {self._uid} ({error}): {REMEDY}"
            raise SandboxUnavailableError(reason) from None

    @property
    def isolation(self) -> dict[str, object]:
        """Isolation for logs: user, system call filter, control groups, process limit."""
        return {
            "uid": self._uid,
            "seccomp": bool(self._seccomp),
            "cgroups": [str(hierarchy.parent) for hierarchy in self._hierarchies],
            "rlimit_nproc": self._process_limit,
        }

    def describe(self, verifiers: int = 1) -> str:
        """The isolation for people, in one line. `verifiers`: number of processes that open such a back-end."""
        together = verifiers * self._workers
        megabytes = self._memory_bytes >> 20
        means = "control group" if self._hierarchies else f"sum read every {1000 * LOOK_S:.0f} ms, no control group"
        parts = [
            f"bubblewrap as user {self._uid}: namespaces of users, processes, mounts and network (no network)",
            "seccomp filter" if self._seccomp else "no seccomp filter (not x86-64)",
            f"memory {self.limits.memory_mb} MB a process (rlimit), {megabytes} MB a sandbox ({means})",
            f"at most {together} programs at a time on all nodes: {together * megabytes / 1024:.1f} GB",
            f"{self._processes} processes and threads ({'rlimit' if self._process_limit else 'control group'})",
            f"niceness {NICENESS} above the reward worker's",
        ]
        return "; ".join(parts)

    async def run(self, program: str, tests: Tests) -> Outcome:
        """Judge `program`; canceling the call ends its sandbox. Raises `RuntimeError` once closed."""
        job = _Job(program, tests)
        with self._lock:
            if self._closed:
                raise RuntimeError(CLOSED)
            if not self._threads:
                self._start_threads()
            self._jobs.put(job)
        with contextlib.ExitStack() as given_up:
            given_up.callback(job.cancel)
            outcome = await asyncio.wrap_future(job.result)
            given_up.pop_all()
        return outcome

    def close(self) -> None:
        """Wait for running jobs, end every sandbox; waiting calls raise `RuntimeError`. May be called twice."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
        with contextlib.suppress(queue.Empty):
            while job := self._jobs.get_nowait():
                if job.result.set_running_or_notify_cancel():
                    job.result.set_exception(RuntimeError(CLOSED))
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()

    def _start_threads(self) -> None:
        for number in range(self._workers):
            thread = threading.Thread(target=self._work, name=f"sandbox-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _work(self) -> None:
        """Worker thread: keeps its spare sandboxes started, and runs one job after the other. No exception ends it."""
        spares: deque[Sandbox] = deque()
        self._refill(spares)
        while job := self._jobs.get():
            if not job.result.set_running_or_notify_cancel():
                continue
            if self._spares and not self._jobs.empty():
                # More work waits: the next sandbox starts while this job runs. Otherwise it would only slow it.
                self._refill(spares, more=1)
            used: list[Sandbox] = []
            job.result.set_result(self._settle(job, spares, used))
            _close(used)
            self._refill(spares)
        _close(spares)

    def _settle(self, job: _Job, spares: deque[Sandbox], used: list[Sandbox]) -> Outcome:
        for attempt in range(self._retries + 1):
            if job.cancelled:
                break
            try:
                return self._attempt(job, spares, used)
            except Exception as error:  # whatever it is, the caller waits for an outcome
                expected = isinstance(error, InfrastructureError | OSError)
                told = (attempt + 1, self._retries + 1, type(error).__name__, error)
                logger.warning("sandbox failure %d of %d: %s: %s", *told, exc_info=not expected)
        return Outcome("error")

    def _attempt(self, job: _Job, spares: deque[Sandbox], used: list[Sandbox]) -> Outcome:
        """One run in one sandbox, which is killed at its end; the caller closes it after the verdict."""
        sandbox = spares.popleft() if spares else self._start()
        used.append(sandbox)
        with contextlib.ExitStack() as end:
            end.callback(sandbox.kill)
            sandbox.wait_ready()
            job.sandbox = sandbox
            end.callback(setattr, job, "sandbox", None)
            limits = with_room(self.limits, job.tests)
            text = job_text(job.program, job.tests, limits, self._process_limit)
            return judge(sandbox.run(text, limits), job.tests)

    def _refill(self, spares: deque[Sandbox], more: int = 0) -> None:
        """Start sandboxes ahead. A failure here does not concern the current job; the next job meets it."""
        with contextlib.suppress(Exception):
            while len(spares) < self._spares + more and not self._closed:
                spares.append(self._start())

    def _start(self) -> Sandbox:
        group = None
        if self._hierarchies:
            group = new_group(self._hierarchies, self._memory_bytes, self._processes + SUPERVISOR_PROCESSES)
        with contextlib.ExitStack() as undo:
            if group is not None:
                undo.callback(group.remove)
            sandbox = Sandbox(self._command, self._seccomp, self._uid, group, 0 if group else self._memory_bytes)
            undo.pop_all()
        return sandbox


def _close(sandboxes: Iterable[Sandbox]) -> None:
    for sandbox in sandboxes:
        try:
            sandbox.close()
        except Exception:  # the worker has other jobs to run
            logger.warning("a sandbox could not be closed", exc_info=True)


def _kernel() -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(found[1]), int(found[2])) if found else (0, 0)
