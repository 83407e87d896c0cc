"""Run the training from the user's process: listen to signals, watch the run, and end all its processes.

verl's ``run_ppo`` (Ray, and the trainer as a Ray actor) runs in a thread; the main thread only watches, so that it can
end a run whose Ray does not answer. Every outcome is one line on stderr and an exit status
(`fail2fix.run.exit_status.Exit`), and no process that the run started outlives it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

import psutil
from omegaconf import DictConfig

from fail2fix.cluster.joining import Head
from fail2fix.cluster.processes import become_subreaper, end_descendants, runs
from fail2fix.cluster.shared_memory import SegmentRecord, remove_abandoned
from fail2fix.console.printable import one_line
from fail2fix.run.exit_status import Exit
from fail2fix.run.failures import Failure, failure_of
from fail2fix.run.folder import folder_of
from fail2fix.run.settings import fail2fix_settings
from fail2fix.run.stop import StopRequest
from fail2fix.run.watchdog import ALIVE, limit_at, newest_checkpoint

LOOK_S = 0.5
LEAVE_S = 30.0  # how long Ray may take to shut down before it is killed
ONE_REQUEST_S = 1.0
LAST_OUTPUT_S = 3.0  # Ray forwards its processes' output with a delay, longer on a busy machine
SERVERS = ("gcs_server", "raylet")
SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Alive:
    """The last report of the watchdog in the trainer's process (`run.watchdog`); ``steps``: the run's last step."""

    beat: int = -1
    step: int = 0
    where: str = ""
    steps: int = 0
    verdict: str = ""

    @classmethod
    def read(cls, path: Path) -> Alive:
        """The report in a file; an empty one before the first."""
        with contextlib.suppress(OSError):
            return cls(**json.loads(path.read_text()))
        return cls()


class Screen(Protocol):
    """Shows a run to its user while it trains."""

    def say(self, line: str) -> None:
        """Print a message."""

    def look(self, where: str, steps: int) -> None:
        """Show what is new; ``where``: the step and phase of the run; ``steps``: its last step, 0 if unknown."""


class Driver:
    """One training, from its start to its exit status.

    Args:
        config: the run's; its folder is open.
        training: starts or joins Ray, trains, and returns at the end or raises.
        leave: shuts Ray down, or disconnects from it.
        head: of the existing cluster that the training joins; None if it starts its own Ray.
        screen: shows the run; None: its own output is all there is.
    """

    def __init__(
        self,
        config: DictConfig,
        training: Callable[[], None],
        leave: Callable[[], None],
        head: Head | None = None,
        screen: Screen | None = None,
    ) -> None:
        self._screen = screen
        self._folder = folder_of(config)
        self._checkpoints = Path(config.trainer.default_local_dir)
        self._limits = fail2fix_settings(config).watchdog
        self._training, self._leave, self._head = training, leave, head
        self._stop = StopRequest(self._folder)
        self._trained, self._may_leave = threading.Event(), threading.Event()
        self._servers: dict[str, psutil.Process] = {}
        self._signals: list[int] = []
        self._heard_at = 0.0
        self._error: BaseException | None = None

    def run(self) -> int:
        """Train, print the error if there is one, and return the exit status."""
        become_subreaper()
        self._stop.clear()
        self._segments = SegmentRecord()
        (self._folder / ALIVE).unlink(missing_ok=True)
        before = {number: signal.getsignal(number) for number in SIGNALS}
        self._listen()
        thread = threading.Thread(target=self._train, name="training", daemon=True)
        thread.start()
        failure = self._watch()
        self._shut_down(thread)
        for number, handler in before.items():
            signal.signal(number, handler)
        if failure.line:
            self._say(f"fail2fix: error: {one_line(failure.line)}")
        return failure.status

    def _say(self, line: str) -> None:
        if self._screen:
            self._screen.say(line)
        else:
            with contextlib.suppress(OSError):  # whoever read stderr has left
                print(line, file=sys.stderr, flush=True)

    def _train(self) -> None:
        """Train, and leave Ray when told: its servers, and their last output, end with the thread that started them."""
        try:
            self._training()
        except BaseException as error:
            self._error = error
        self._trained.set()
        self._may_leave.wait()
        self._leave()

    def _watch(self) -> Failure:
        """Wait until the training ends or must be ended."""
        alive, since = Alive(), time.monotonic()
        while not self._trained.wait(LOOK_S):
            self._listen()
            self._segments.look()
            if (now := Alive.read(self._folder / ALIVE)) != alive:
                alive, since = now, time.monotonic()
            if self._screen:
                self._screen.look(alive.where, alive.steps)
            if lost := self._lost_server():
                return self._failure(f"{alive.where or 'start'}: Ray's {lost} is gone", Exit.FAULT)
            if alive.verdict:
                return Failure(alive.verdict, Exit.FAULT)
            if len(self._signals) > 1:
                return self._failure("stopped at once", 128 + self._signals[-1])
            key, limit_s = limit_at(alive.step, self._limits)
            if limit_s is not None and time.monotonic() - since > limit_s:
                where = alive.where or "before the trainer's process"
                silence = f"the trainer's process has not reported for {limit_s:g} s ({key})"
                return self._failure(f"{where}: {silence}", Exit.FAULT)
        return self._outcome()

    def _lost_server(self) -> str:
        """The server that is gone: of the Ray that this process started, or the existing cluster's head; "" if none.

        Ray would end this process a minute later, without a message.
        """
        if self._head is not None:
            return self._head.lost
        if len(self._servers) < len(SERVERS):
            with contextlib.suppress(psutil.NoSuchProcess):  # a child that ended meanwhile
                named = {child.name(): child for child in psutil.Process().children() if runs(child)}
                self._servers |= {name: named[name] for name in SERVERS if name in named}
        return next((name for name, server in self._servers.items() if not runs(server)), "")

    def _outcome(self) -> Failure:
        """The result of a training that has ended by itself."""
        if self._error is None:
            return Failure("", 128 + self._signals[0] if self._signals else Exit.FINISHED)
        failure = failure_of(self._error)
        if failure.status != Exit.BAD_INPUT:  # which needs no traceback
            with contextlib.suppress(OSError):  # the status counts more, also where the disk is full
                traceback.print_exception(self._error)
        return self._failure(failure.line, failure.status)

    def _failure(self, what: str, status: int) -> Failure:
        return Failure(f"{what}; last checkpoint: {newest_checkpoint(self._checkpoints)}", status)

    def _listen(self) -> None:
        """Set the signal handlers, repeatedly: Ray takes over SIGTERM while it starts, and would abort on it."""
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        """Record a request to stop. Batch systems signal every process at once, so one request may arrive twice."""
        heard_at = time.monotonic()
        if self._signals and heard_at - self._heard_at < ONE_REQUEST_S:
            return
        self._heard_at = heard_at
        self._signals.append(number)
        name = signal.Signals(number).name
        if len(self._signals) == 1:
            self._say(f"fail2fix: {name}: stopping after the running step; again to stop at once")
            self._stop.make(name)

    def _shut_down(self, thread: threading.Thread) -> None:
        """Leave Ray if the training has ended and Ray allows it; then kill the remaining processes."""
        self._segments.look()
        time.sleep(LAST_OUTPUT_S)
        if self._trained.is_set():
            self._may_leave.set()
            thread.join(LEAVE_S)
        end_descendants()
        self._segments.close()
        remove_abandoned()  # of a killed run whose processes still lived when this one started


def end_process(status: int) -> None:
    """End without the exit handlers of libraries whose processes are gone: some wait for an answer."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or nobody reads it
            stream.flush()
    os._exit(status)
