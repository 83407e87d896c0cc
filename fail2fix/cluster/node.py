"""One node of a Ray cluster, as long as this process runs: ``python -m fail2fix.cluster.node [HOST:PORT] [...]``

Options, if any, are those of ``ray start``. Without an address this machine is the head; with one it joins the head
there, which may still be starting. Everything comes from the environment of this process, secrets too: the trainings
that the node will run inherit it. SIGTERM or Ctrl-C end the node with all its processes, and with nothing of another
Ray on the machine, which ``ray stop`` would end as well. A node that loses a process of Ray ends with status 75.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil

from fail2fix.cluster.joining import answers
from fail2fix.cluster.processes import become_subreaper, end_descendants, runs
from fail2fix.cluster.shared_memory import Record, held_by, remove_abandoned
from fail2fix.run.faults import Exit
from fail2fix.verl_ext.cpu import environment

READY = "ready"
HEAD_S = 600.0  # how long the head may take to start
LOOK_S = 1.0
SWEEP_S = 30.0  # between two removals of the shared memory that ended runs have left
# `ray job stop` kills what does not end in time, 3 s by default; a run stops after its step and saves.
STOP_WAIT = ("RAY_JOB_STOP_WAIT_TIME_S", "3600")


class Node:
    """Ray on this machine.

    Args:
        head: the head's ``HOST:PORT``; "" makes this machine the head.
        options: of ``ray start``.
    """

    def __init__(self, head: str, options: list[str]) -> None:
        self._head, self._options = head, options
        self._asked = threading.Event()
        self._servers: list[psutil.Process] = []

    @property
    def command(self) -> list[str]:
        """What starts Ray here."""
        place = ["--address", self._head] if self._head else ["--head"]
        return [sys.executable, "-m", "ray.scripts.scripts", "start", *place, "--disable-usage-stats", *self._options]

    def run(self) -> int:
        """Start Ray, and keep it until a signal comes or it fails; the exit status."""
        become_subreaper()  # Ray's processes become children of this one
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, lambda *_: self._asked.set())
        remove_abandoned()
        self._segments = Record()
        failure = self._start() or self._watch()
        end_descendants()
        self._segments.close()
        if failure:
            _say(failure)
        return Exit.FAULT if failure else Exit.FINISHED

    def _start(self) -> str:
        """Wait for the head and start; what went wrong, if anything did."""
        until = time.monotonic() + HEAD_S
        if self._head:
            _say(f"waiting for the head at {self._head}")
        while self._head and not answers(self._head):
            if self._asked.wait(LOOK_S):
                return ""
            if time.monotonic() > until:
                return f"no Ray answers at {self._head} in {HEAD_S:g} s"
        status = subprocess.run(self.command).returncode
        if status and not self._asked.is_set():
            return f"ray start ended with status {status}; its lines above say why"
        self._servers = [child for child in psutil.Process().children() if child.name() in ("raylet", "gcs_server")]
        _say(READY)
        return ""

    def _watch(self) -> str:
        """Wait for a signal, or for the end of one of Ray's servers; which, if it was that."""
        swept = time.monotonic()
        while not self._asked.wait(LOOK_S):
            self._segments.look()
            if time.monotonic() - swept > SWEEP_S:
                self._segments.remove(keep=held_by(psutil.process_iter()))
                swept = time.monotonic()
            if not all(runs(server) for server in self._servers):
                return "a server of Ray on this node is gone"
        return ""


def _say(text: str) -> None:
    print(f"fail2fix.cluster.node: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """The command line."""
    options = sys.argv[1:]
    head = options.pop(0) if options and not options[0].startswith("-") else ""
    os.environ.setdefault(*STOP_WAIT)
    environment.set_defaults()
    sys.exit(Node(head, options).run())


if __name__ == "__main__":
    main()
