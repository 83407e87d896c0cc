"""Other verifiers on the same rows, each in its own process, which a deadline kills with all its children.

A peer is a function of a response and a gold answer, given as a dotted path, so that this process does not import it.
Must not know verl (its function is in `fail2fix.verl_ext`).
"""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection

from fail2fix.console.progress import Done, unseen
from fail2fix.verify.certify.judging import WARM_UP, Judging, Pair
from fail2fix.verify.gold import parse_gold
from fail2fix.verify.pool import limit_memory
from fail2fix.verify.verifier import Verdict

PEERS = {
    "math-verify": "fail2fix.verify.certify.peers:math_verify_accepts",
    "verl": "fail2fix.verl_ext.stock_verifier:accepts",
}
START_S = 300.0
"""Seconds to import a peer; verl imports torch."""

DEADLINE_S = 10.0

MEMORY_BYTES = 4 * 2**30
"""Address space of a peer beyond its imports, as for our workers."""


def math_verify_accepts(response: str, gold: str) -> bool:
    """math-verify as its README shows it: `verify(parse(gold), parse(response))`, a bare gold answer as LaTeX."""
    from math_verify import parse, verify

    return bool(verify(parse(gold if "$" in gold else f"${gold}$"), parse(response)))


def ask(name: str, pairs: Sequence[Pair], deadline_s: float = DEADLINE_S, done: Done = unseen) -> Judging:
    """The peer's verdicts, one at a time. Calls `done` after each, outside of its time.

    Statuses: "error" if the peer raised an error, "timeout" if its process ended or was killed at `deadline_s`. Peers
    know no tolerance: they get the bare answer of a ground truth.
    """
    judging = Judging()
    peer = _PeerProcess(PEERS[name])
    with ExitStack() as stack:
        stack.callback(lambda: peer.kill())
        for response, gold in pairs:
            bare = parse_gold(gold).answer
            started = time.monotonic()
            verdict = peer.judge((response, bare), deadline_s)
            judging.add(verdict, started)
            if verdict.status == "timeout":
                peer.kill()
                peer = _PeerProcess(PEERS[name])
            done()
    return judging


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

    def judge(self, pair: Pair, deadline_s: float) -> Verdict:
        with suppress(EOFError, OSError):
            self._ours.send(pair)
            if self._ours.poll(deadline_s):
                return Verdict(*self._ours.recv())
        return Verdict(False, status="timeout")

    def kill(self) -> None:
        """End the process and all its children: it leads its own session."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.kill()
        self._process.join()


def _serve(function: str, pipe: Connection) -> None:
    """Runs in the peer's process: receives pairs, and sends the fields of their verdicts."""
    os.setsid()
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  it lives as long as the process
    accepts = pkgutil.resolve_name(function)
    accepts(*WARM_UP)
    limit_memory(MEMORY_BYTES)
    pipe.send("ready")
    while True:
        pair = pipe.recv()
        try:
            pipe.send((bool(accepts(*pair)), "", "ok"))
        except Exception:  # whatever a peer raises on a text, it gave no verdict
            pipe.send((False, "", "error"))
