"""Other verifiers on the same rows, each in its own process, which a deadline kills with all its children.

A peer is a function of a response and a gold answer, given as `module:function`, so that this process does not import
it. Must not know verl (its function is in `fail2fix.verl_ext`).
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from fail2fix.console.progress import Done, unseen
from fail2fix.verify.certify.judging import Pair
from fail2fix.verify.gold import parse_gold
from fail2fix.verify.pool import limit_memory

PEERS = {
    "math-verify": "fail2fix.verify.certify.peers:math_verify_accepts",
    "verl": "fail2fix.verl_ext.stock_verifier:accepts",
}
START_S = 300.0
"""Seconds to import a peer; verl imports torch."""

MEMORY_BYTES = 4 * 2**30
"""Address space of a peer beyond its imports, as for our workers."""


@dataclass(frozen=True)
class PeerJudging:
    """`accepted`: True or False; None if the peer raised an error or was killed at the deadline (`killed`)."""

    accepted: Sequence[bool | None]
    seconds: Sequence[float]
    killed: int


def math_verify_accepts(response: str, gold: str) -> bool:
    """math-verify as its README shows it: `verify(parse(gold), parse(response))`, a bare gold answer as LaTeX."""
    from math_verify import parse, verify

    return bool(verify(parse(gold if "$" in gold else f"${gold}$"), parse(response)))


def ask(name: str, pairs: Sequence[Pair], deadline_s: float, done: Done = unseen) -> PeerJudging:
    """The peer's verdicts, one at a time; a pair that takes longer than `deadline_s` costs it the process.

    Calls `done` after each, outside of its time. Peers know no tolerance: they get the bare answer of a ground truth.
    """
    accepted: list[bool | None] = []
    seconds: list[float] = []
    killed = 0
    process = _PeerProcess(PEERS[name])
    try:
        for response, gold in pairs:
            bare = parse_gold(gold).answer
            start = time.monotonic()
            answered, verdict = process.judge((response, bare), deadline_s)
            seconds.append(time.monotonic() - start)
            accepted.append(verdict)
            if not answered:
                killed += 1
                process.kill()
                process = _PeerProcess(PEERS[name])
            done()
    finally:
        process.kill()
    return PeerJudging(accepted, seconds, killed)


class _PeerProcess:
    """A running peer, ready to judge."""

    def __init__(self, function: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(function, theirs))
        self._process.start()
        theirs.close()
        if not self._ours.poll(START_S):
            self.kill()
            raise TimeoutError(f"the peer {function} did not start within {START_S:.0f} s")
        self._ours.recv()

    def judge(self, pair: Pair, deadline_s: float) -> tuple[bool, bool | None]:
        """Whether there was an answer in time, and the answer."""
        try:
            self._ours.send(pair)
            return (True, self._ours.recv()) if self._ours.poll(deadline_s) else (False, None)
        except (EOFError, OSError):
            return False, None

    def kill(self) -> None:
        """End the process and all its children: it leads its own session."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.kill()
        self._process.join()


def _serve(function: str, pipe: Connection) -> None:
    """Runs in the peer's process."""
    os.setsid()
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  it lives as long as the process
    module, _, name = function.partition(":")
    accepts = getattr(importlib.import_module(module), name)
    accepts(r"\boxed{x+1}", "x+1")
    limit_memory(MEMORY_BYTES)
    pipe.send("ready")
    while True:
        response, gold = pipe.recv()
        try:
            pipe.send(bool(accepts(response, gold)))
        except Exception:  # whatever a peer raises on a text, it gave no verdict
            pipe.send(None)
