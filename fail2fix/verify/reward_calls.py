"""Calls of the two kinds of reward function: the run's own, within a time limit, and our verifiers.

A call takes verl's keyword arguments (``data_source``, ``solution_str``, ``ground_truth``, ``extra_info``) and returns
a number or a dict, which `fail2fix.verify.reward_result` reads.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from fail2fix.verify.config import VerifierConfig
from fail2fix.verify.registry import PROGRAMS, ground_truth_text, open_verifier, verifier_of
from fail2fix.verify.verifier import Verifier

Score = Callable[..., Any]
THREADS = 32  # calls of a synchronous reward function at a time, in each reward worker


class CallLimitError(RuntimeError):
    """A call of the reward function took too long. It counts against ``retries``, since each call may cost a thread."""

    def __init__(self, call_s: float) -> None:
        super().__init__(f"no answer after {call_s:g} s (fail2fix.verifier.call_s)")


MACHINE_ERRORS = (CallLimitError, MemoryError, BrokenExecutor)  # not the function's own, and a restart may help


class ThreadedScore:
    """A run's own synchronous reward function in threads, none of them longer than ``call_s`` seconds.

    A thread cannot be killed: one that hangs is abandoned and replaced. The limit counts from the start of a call, not
    from the time it was queued.
    """

    def __init__(self, score: Score, call_s: float) -> None:
        self._score, self._call_s = score, call_s
        self._places = asyncio.Semaphore(THREADS)
        self._idle: list[ThreadPoolExecutor] = []  # of one thread each

    async def __call__(self, **row: Any) -> Any:
        """Raises `CallLimitError` if the function does not return in time."""
        async with self._places:
            thread = self._idle.pop() if self._idle else ThreadPoolExecutor(max_workers=1)
            call = asyncio.get_running_loop().run_in_executor(thread, lambda: _called(self._score, row))
            done, _ = await asyncio.wait({call}, timeout=self._call_s)
            if not done:
                thread.shutdown(wait=False)
                raise CallLimitError(self._call_s)
            self._idle.append(thread)
            return call.result()


class VerifierScore:
    """Our verifiers as a reward function, by data source: 1 for a right answer, 0 otherwise."""

    def __init__(self, settings: VerifierConfig) -> None:
        self._settings = settings
        self._open: dict[str, Verifier] = {}

    async def __call__(self, data_source: str, solution_str: str, ground_truth: Any, **_: Any) -> dict[str, Any]:
        """Raises `InputError` where a verifier cannot run here."""
        name = verifier_of(data_source, self._settings)
        if name not in self._open:
            self._open[name] = open_verifier(name, self._settings)
        verdict = await self._open[name].verify(solution_str, ground_truth_text(ground_truth))
        reward = float(verdict.correct)
        # A program over its limits can be corrected; an answer that times out cannot be read (METHOD.md, "Verdict").
        status = "over_limit" if name in PROGRAMS and verdict.status == "timeout" else verdict.status
        return {"score": reward, "acc": reward, "pred": verdict.pred, "verify_status": status}


def _called(score: Score, row: Mapping[str, Any]) -> Any:
    """Call a reward function in a thread; an exception that would stop an event loop becomes an ordinary error."""
    try:
        return score(**row)
    except (StopIteration, SystemExit) as error:
        raise ValueError(f"it raised {error!r}").with_traceback(error.__traceback__) from error


def bounded_score(score: Score, call_s: float) -> Score:
    """The run's own reward function as a coroutine that raises `CallLimitError` after ``call_s`` seconds."""
    under_partial = getattr(score, "func", score)  # verl wraps it in functools.partial
    if not inspect.iscoroutinefunction(under_partial):
        return ThreadedScore(score, call_s)

    async def bounded(**row: Any) -> Any:
        call = asyncio.ensure_future(score(**row))
        with ExitStack() as stack:
            stack.callback(call.cancel)
            done, _ = await asyncio.wait({call}, timeout=call_s)
        if not done:
            raise CallLimitError(call_s)
        return call.result()

    return bounded
