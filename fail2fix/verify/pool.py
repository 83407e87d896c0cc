r"""Pool of worker processes that judge math answers under an enforced deadline of CPU seconds.

Knows: how to run the symbolic rung of `fail2fix.verify.math_answer` in another process, how to kill it, and how to tell
a bad answer from a broken machine. Must not know: verl, ray, rewards, training. Text, numbers and forms are compared
here; model text is parsed in the workers only, so this module never imports math-verify.

Statuses of a verdict:
- "ok": judged. Text that cannot be parsed, or makes sympy raise, is a wrong answer and "ok".
- "no_answer": the declared channel holds none. Wrong.
- "timeout": the answer exceeded a limit of time (the worker is killed), memory or size (`cost`: no worker sees it).
  Wrong, and not repeated, since the text causes it. Such a rollout is never replayed (METHOD.md, "Verdict"). Time is
  CPU time of the worker, so that a busy machine changes no verdict; the limit of wall-clock time is much longer.
- "error": no verdict, because workers died or could not be started `retries` + 1 times in a row.

Workers come from a fork server that has imported math-verify once, so a killed one is replaced quickly. As always with
multiprocessing, each imports the main script: guard that with `if __name__ == "__main__"`.

    pool = VerifierPool(max_workers=2, deadline_s=3.0)
    verdict = await pool.verify(r"... so it is \boxed{12}.", "12")     # Verdict(True, "12", "ok")
    pool.close()
"""

import asyncio
import concurrent.futures
import contextlib
import fcntl
import logging
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TypeAlias

import psutil
from pebble import ProcessExpired, ProcessPool

from fail2fix.verify.answer_text import AnswerText, ChannelName, find_answer
from fail2fix.verify.cost import is_oversized
from fail2fix.verify.latex_text import clean
from fail2fix.verify.math_answer import judge, verdict
from fail2fix.verify.verifier import Verdict

logger = logging.getLogger(__name__)

CheckFuture: TypeAlias = "concurrent.futures.Future[bool]"
Check: TypeAlias = Callable[[AnswerText, str], bool]

QUEUED_PER_WORKER = 64
"""Checks queued in the pool for each worker; further ones wait in their callers."""

WAIT_S = 0.002
"""Seconds between two looks at a full queue."""

MEMO_ENTRIES = 65_536
"""Remembered verdicts of the symbolic rung, all dropped when so many are held: rollouts of a group often agree."""

WALL_PER_CPU = 20
"""Wall-clock seconds that a check may take for each CPU second of its deadline: for workers that get no CPU time."""

START_ALLOWANCE_S = 60.0
"""Seconds that starting workers may take before a pool without progress counts as stuck."""


@dataclass
class _Workers:
    """A running process pool, its unfinished checks, and the number of finished ones."""

    pool: ProcessPool
    owed: set[CheckFuture] = field(default_factory=set)
    settled: int = 0

    def take(self, future: CheckFuture) -> None:
        self.owed.add(future)
        future.add_done_callback(self._settle)

    def _settle(self, future: CheckFuture) -> None:
        self.owed.discard(future)
        self.settled += 1

    def stop(self) -> None:
        """Kill the processes, wait for them, and fail the unfinished checks, which pebble leaves open."""
        self.pool.stop()
        self.pool.join()
        for future in tuple(self.owed):
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                future.set_exception(BrokenProcessPool("the verifier's workers were stopped"))


class VerifierPool:
    """Judges answers in `max_workers` processes; usable from several threads and event loops.

    `deadline_s`: CPU seconds of one check.
    `max_tasks`: checks after which a worker is replaced (0: never), which bounds sympy's caches.
    `memory_bytes`: address space a worker may add after its imports.
    `retries`: further attempts after an infrastructure failure. Processes start with the first check that needs one.
    `check`: function of a module that workers run; ours by default.
    """

    def __init__(
        self,
        max_workers: int = 2,
        deadline_s: float = 3.0,
        max_tasks: int = 1000,
        memory_bytes: int = 4 * 2**30,
        retries: int = 2,
        check: Check | None = None,
    ) -> None:
        if max_workers < 1 or deadline_s <= 0 or max_tasks < 0 or memory_bytes < 1 or retries < 0:
            raise ValueError(
                "VerifierPool needs max_workers >= 1, deadline_s > 0, max_tasks >= 0, memory_bytes >= 1,"
                f" retries >= 0; got {max_workers}, {deadline_s}, {max_tasks}, {memory_bytes}, {retries}"
            )
        if find_spec("math_verify") is None:
            raise ImportError("math-verify is not installed: pip install 'math-verify[antlr4_9_3]>=0.9,<0.10'")
        self._max_workers = max_workers
        self._deadline_s, self._wall_s = deadline_s, WALL_PER_CPU * deadline_s
        self._max_tasks = max_tasks
        self._memory_bytes = memory_bytes
        self._retries = retries
        self._check = check or check_symbolically
        self._memo: dict[tuple[AnswerText, str], Verdict] = {}
        self._lock = threading.RLock()
        self._workers: _Workers | None = None
        self._closed = False

    async def verify(self, response: str, gold: str, channel: ChannelName = "auto") -> Verdict:
        """Judge the answer in the declared channel of `response` against the bare answer `gold`.

        Never raises for anything in `response`. Raises `RuntimeError` once the pool is closed. Canceling the call stops
        the check.
        """
        self._refuse_if_closed()
        answer = find_answer(response, channel)
        if not answer.text:
            return Verdict(False, "", "no_answer")
        decided = judge(answer, gold)
        if decided is not None:
            refused = not decided and is_oversized(clean(answer.text))
            return Verdict(decided, answer.text, "timeout" if refused else "ok")
        return self._memo.get((answer, gold)) or await self._symbolically(answer, gold)

    async def _symbolically(self, answer: AnswerText, gold: str) -> Verdict:
        for attempt in range(self._retries + 1):
            while self._queue_is_full():
                await asyncio.sleep(WAIT_S)
            try:
                found = Verdict(await self._settled(*self._schedule(answer, gold)), answer.text, "ok")
            except (concurrent.futures.TimeoutError, MemoryError, ProcessExpired, BrokenProcessPool) as failure:
                if not _is_over_limit(failure):
                    logger.warning("verifier failure %d of %d: %s", attempt + 1, self._retries + 1, failure)
                    continue
                found = Verdict(False, answer.text, "timeout")
            if len(self._memo) >= MEMO_ENTRIES:
                self._memo.clear()
            self._memo[answer, gold] = found
            return found
        return Verdict(False, answer.text, "error")

    def _queue_is_full(self) -> bool:
        workers = self._workers
        return workers is not None and len(workers.owed) >= QUEUED_PER_WORKER * self._max_workers

    async def _settled(self, workers: _Workers, future: CheckFuture) -> bool:
        """The result of `future`, or `BrokenProcessPool` if its pool no longer finishes checks.

        A busy pool finishes or kills a check at least once per limit of wall-clock time. Silence means that it is
        stuck: a worker was killed from outside while it held pebble's channel, or the pool broke as the check was
        queued.
        """
        waiting = asyncio.wrap_future(future)
        with contextlib.ExitStack() as stack:
            stack.callback(waiting.cancel)
            while True:
                before = workers.settled
                done, _ = await asyncio.wait({waiting}, timeout=self._wall_s + START_ALLOWANCE_S)
                if done:
                    return waiting.result()
                if workers.settled == before:
                    self._discard(workers)
                    raise BrokenProcessPool("the verifier's workers have stopped answering")

    def _schedule(self, answer: AnswerText, gold: str) -> tuple[_Workers, CheckFuture]:
        """Queue a check in the running workers, which are started or replaced if necessary."""
        with self._lock:
            self._refuse_if_closed()
            if self._workers is not None and not self._workers.pool.active:
                self._discard(self._workers)
            if self._workers is None:
                self._workers = _Workers(self._new_pool())
            workers = self._workers
            try:
                arguments = (self._check, self._deadline_s, answer, gold)
                future = workers.pool.schedule(_check_within, args=arguments, timeout=self._wall_s)
            except (RuntimeError, OSError) as error:
                self._discard(workers)
                raise BrokenProcessPool(f"cannot start verifier workers: {error}") from error
            workers.take(future)
        return workers, future

    def _new_pool(self) -> ProcessPool:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["fail2fix.verify.warm"])
        return ProcessPool(
            max_workers=self._max_workers,
            max_tasks=self._max_tasks,
            initializer=_prepare_worker,
            initargs=(self._memory_bytes,),
            context=context,
        )

    def _discard(self, workers: _Workers) -> None:
        """Forget `workers`, once, and stop them in the background: stopping blocks, and callers are event loops."""
        with self._lock:
            if workers is self._workers:
                self._workers = None
                threading.Thread(target=workers.stop, daemon=True).start()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise RuntimeError("this VerifierPool is closed: make a new one")

    def close(self) -> None:
        """Stop the workers and wait for that; running checks raise `RuntimeError`. May be called twice."""
        with self._lock:
            self._closed = True
            workers, self._workers = self._workers, None
        if workers is not None:
            workers.stop()


def _is_over_limit(failure: BaseException) -> bool:
    """Whether a check failed by its own cost, not by a broken machine."""
    if isinstance(failure, ProcessExpired):
        return bool(failure.exitcode == -signal.SIGPROF)
    return isinstance(failure, concurrent.futures.TimeoutError | MemoryError)


def _check_within(check: Check, cpu_s: float, answer: AnswerText, gold: str) -> bool:
    """Runs in a worker. The kernel ends it after `cpu_s` CPU seconds, by a signal that needs no Python code."""
    with contextlib.ExitStack() as stack:
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        stack.callback(signal.setitimer, signal.ITIMER_PROF, 0)
        return check(answer, gold)


def check_symbolically(answer: AnswerText, gold: str) -> bool:
    """Runs in a worker. Imports here, so that the caller's process never loads sympy.

    Raises:
        MemoryError: the memory limit was hit and the libraries did not swallow the error.
    """
    from fail2fix.verify.symbolic import equal

    return verdict(answer, gold, equal)


def _prepare_worker(memory_bytes: int) -> None:
    """Runs in each new worker before its first check, without a deadline."""
    # pebble's own handler for SIGTERM is Python code, which a worker stuck in C (a power tower) never runs.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    check_symbolically(AnswerText("2x+2"), "2(x+1)")
    limit_memory(memory_bytes)


def _die_with_parent() -> None:
    """Have the kernel end this worker when the process that owns the pool has ended.

    Otherwise a worker in a long computation would outlive a killed trainer. The owner's end closes a pipe of
    `multiprocessing`; that raises SIGIO, whose default action needs no Python code.
    """
    owner = multiprocessing.parent_process()
    if owner is None:
        return
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(owner.sentinel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(owner.sentinel, fcntl.F_SETFL, fcntl.fcntl(owner.sentinel, fcntl.F_GETFL) | os.O_ASYNC)
    if not owner.is_alive():
        os._exit(1)


def limit_memory(memory_bytes: int) -> None:
    """Limit this process's address space to its current size plus `memory_bytes`."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = psutil.Process().memory_info().vms + memory_bytes
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
