"""Judge many answers with the verifier and pool of training, and measure the time of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

from fail2fix.console.progress import Done, unseen
from fail2fix.verify.answer_text import ChannelName
from fail2fix.verify.math_verifier import MathVerifier
from fail2fix.verify.pool import VerifierPool
from fail2fix.verify.verifier import Verdict

Pair = tuple[str, str]
"""Response and ground truth (`gold.py`)."""

WARM_UP = (r"\boxed{2x+2}", "2(x+1)")
"""Only a worker can judge it, so workers run once it is judged."""


@dataclass(frozen=True)
class Judging:
    """A verdict for each pair, in order, and its seconds."""

    verdicts: list[Verdict] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, verdict: Verdict, started: float) -> None:
        """Add a verdict that has just been reached; `started`: in monotonic seconds."""
        self.seconds.append(time.monotonic() - started)
        self.verdicts.append(verdict)


def judge_one_by_one(
    pairs: Sequence[Pair], workers: int, deadline_s: float, channel: ChannelName = "auto", done: Done = unseen
) -> Judging:
    """Judge each pair alone, in a new pool with running workers. Calls `done` after each, outside of its time."""
    judging = Judging()

    async def each(verifier: MathVerifier) -> None:
        for pair in pairs:
            started = time.monotonic()
            judging.add(await verifier.verify(*pair), started)
            done()

    with closing(VerifierPool(max_workers=workers, deadline_s=deadline_s)) as pool:
        asyncio.run(pool.verify(*WARM_UP))
        asyncio.run(each(MathVerifier(pool, channel)))
    return judging
