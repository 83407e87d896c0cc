"""Judge many answers with the verifier and pool of training, and measure the time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import psutil

from fail2fix.console.progress import Done, unseen
from fail2fix.verify.answer_text import ChannelName
from fail2fix.verify.math_verifier import MathVerifier
from fail2fix.verify.pool import VerifierPool
from fail2fix.verify.verifier import Verdict

Pair = tuple[str, str]
"""Response and ground truth (`gold.py`)."""

SAMPLE_S = 0.05
WARM_UP = (r"\boxed{x+1}", "1+x")
"""Only a worker can judge it, so workers run once it is judged."""


@dataclass(frozen=True)
class Judging:
    """A verdict for each pair, in order; `seconds` of each (of all together, if they ran at once)."""

    verdicts: Sequence[Verdict]
    seconds: Sequence[float]
    total_s: float


def judge_at_once(pairs: Sequence[Pair], workers: int, deadline_s: float, channel: ChannelName = "auto") -> Judging:
    """Judge all pairs together, as a step of training does. Workers are up before the clock starts."""

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
    """Judge each pair alone, to measure its own time. Calls `done` after each, outside of its time."""
    verdicts: list[Verdict] = []
    seconds: list[float] = []

    async def each(verifier: MathVerifier) -> None:
        for pair in pairs:
            start = time.monotonic()
            verdicts.append(await verifier.verify(*pair))
            seconds.append(time.monotonic() - start)
            done()

    with _warm_verifier(workers, deadline_s, channel) as verifier:
        asyncio.run(each(verifier))
    return Judging(verdicts, seconds, sum(seconds))


@contextmanager
def _warm_verifier(workers: int, deadline_s: float, channel: ChannelName) -> Iterator[MathVerifier]:
    """A verifier over a new pool with an empty memo and running workers."""
    with closing(VerifierPool(max_workers=workers, deadline_s=deadline_s)) as pool:
        asyncio.run(pool.verify(*WARM_UP))
        yield MathVerifier(pool, channel)


class PeakMemory:
    """Largest resident memory of any descendant of this process, in bytes, sampled every 50 ms."""

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
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0
