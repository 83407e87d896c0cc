"""Our verdicts on many answers, by the verifier and the pool that training uses, and the time they take."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from fail2fix.console.progress import Done, unseen
from fail2fix.verify.answer_text import ChannelName
from fail2fix.verify.math_verifier import MathVerifier
from fail2fix.verify.pool import VerifierPool
from fail2fix.verify.verifier import Verdict

Pair = tuple[str, str]
"""Response and ground truth, as `gold.py` reads it."""

SAMPLE_S = 0.05
WARM_UP = (r"\boxed{x+1}", "1+x")
"""Only a worker can judge it: once it is judged, workers run."""


@dataclass(frozen=True)
class Judging:
    """A verdict for each pair in order; `seconds` of each (of the whole, where they ran at once)."""

    verdicts: Sequence[Verdict]
    seconds: Sequence[float]
    total_s: float


def judge_at_once(pairs: Sequence[Pair], workers: int, deadline_s: float, channel: ChannelName = "auto") -> Judging:
    """All pairs as a step of training hands them in: together. Workers are up before the clock starts."""

    async def flood(verifier: MathVerifier) -> Sequence[Verdict]:
        return await asyncio.gather(*(verifier.verify(*pair) for pair in pairs))

    with _warm_verifier(workers, deadline_s, channel) as verifier:
        start = time.monotonic()
        verdicts = asyncio.run(flood(verifier))
        total = time.monotonic() - start
    return Judging(verdicts, [total] * len(pairs), total)


def judge_one_by_one(
    pairs: Sequence[Pair], workers: int, deadline_s: float, channel: ChannelName = "auto", done: Done = unseen
) -> Judging:
    """Each pair alone, so that its time is its own. `done` is called after each, outside of its time."""

    async def each(verifier: MathVerifier) -> list[tuple[Verdict, float]]:
        timed = []
        for pair in pairs:
            timed.append(await _timed(verifier, pair))
            done()
        return timed

    with _warm_verifier(workers, deadline_s, channel) as verifier:
        start = time.monotonic()
        timed = asyncio.run(each(verifier))
        total = time.monotonic() - start
    return Judging([verdict for verdict, _ in timed], [seconds for _, seconds in timed], total)


async def _timed(verifier: MathVerifier, pair: Pair) -> tuple[Verdict, float]:
    start = time.monotonic()
    return await verifier.verify(*pair), time.monotonic() - start


@contextmanager
def _warm_verifier(workers: int, deadline_s: float, channel: ChannelName) -> Iterator[MathVerifier]:
    """A verifier over a new pool with an empty memo and running workers, closed at the end."""
    pool = VerifierPool(max_workers=workers, deadline_s=deadline_s)
    try:
        asyncio.run(pool.verify(*WARM_UP))
        yield MathVerifier(pool, channel)
    finally:
        pool.close()


class PeakMemory:
    """The largest resident memory of any of this process's descendants, in bytes, sampled every 50 ms."""

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_S):
            self.peak = max(self.peak, *(_resident(child) for child in psutil.Process().children(recursive=True)), 0)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
