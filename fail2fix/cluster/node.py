"""Run one node of a Ray cluster: ``python -m fail2fix.cluster.node [HOST:PORT] [OPTION OF ray start ...]``

Without an address this machine is the head; with one it joins the head there, which may still be starting. Training
runs on the node inherit this process's environment, secrets included. SIGTERM or Ctrl-C end the node's processes only,
where ``ray stop`` would also end another Ray on the machine. A node that loses a process of Ray ends with status 75.
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
from fail2fix.cluster.shared_memory import SegmentRecord, held_by, remove_abandoned
from fail2fix.run.exit_status import Exit
from fail2fix.verl_ext import environment

READY = "ready"
HEAD_S = 600.0  # how long the head may take to start
LOOK_S = 1.0
SWEEP_S = 30.0  # between two removals of shared memory left by ended runs
# `ray job stop` kills a job after 3 s by default; a run stops after its step and saves.
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
        """The command that starts Ray here."""
        place = ["--address", self._head] if self._head else ["--head"]
        return [sys.executable, "-m", "ray.scripts.scripts", "start", *place, "--disable-usage-stats", *self._options]

    def run(self) -> int:
        """Start Ray, and run until a signal comes or Ray fails; return the exit status."""
        become_subreaper()  # Ray's processes become children of this one
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, lambda *_: self._asked.set())
        remove_abandoned()
        self._segments = SegmentRecord()
        failure = self._start() or self._watch()
        end_descendants()
        self._segments.close()
        if failure:
            _say(failure)
        return Exit.FAULT if failure else Exit.FINISHED

    def _start(self) -> str:
        """Wait for the head and start Ray; return the failure, "" if there is none."""
        until = time.monotonic() + HEAD_S
        if self._head:
            _say(f"waiting for the head at {self._head}")
        while self._head and not answers(self._head):
            if self._asked.wait(LOOK_S):
                return ""
            if time.monotonic() > until:
                return f"no Ray answered at {self._head} for {HEAD_S:g} s"
        status = subprocess.run(self.command).returncode
        if status and not self._asked.is_set():
            return f"ray start ended with status {status}; its lines above say why"
        self._servers = [child for child in psutil.Process().children() if child.name() in ("raylet", "gcs_server")]
        _say(READY)
        return ""

    def _watch(self) -> str:
        """Wait for a signal, or for the end of one of Ray's servers, which is returned as a failure."""
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
    """Run the command line's node."""
    options = sys.argv[1:]
    head = options.pop(0) if options and not options[0].startswith("-") else ""
    os.environ.setdefault(*STOP_WAIT)
    environment.set_defaults()
    sys.exit(Node(head, options).run())


if __name__ == "__main__":
    main()
