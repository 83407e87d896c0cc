"""The process a user starts: it runs the training, listens to signals, and ends everything when the run ends.

verl's ``run_ppo`` (Ray, and the trainer as a Ray actor) runs in a thread; this main thread only watches, so that
it can end a run whose Ray no longer answers. Every outcome is one line on stderr and an exit status
(`fail2fix.run.faults.Exit`), and no process that the run started outlives it.
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
from pathlib import Path
from types import FrameType
from typing import TypeVar

import psutil
from omegaconf import DictConfig

from fail2fix.cluster.joining import Head
from fail2fix.cluster.processes import become_subreaper, end_descendants, runs
from fail2fix.cluster.shared_memory import Record, remove_abandoned
from fail2fix.console.printable import one_line
from fail2fix.run.failures import Failure, failure_of
from fail2fix.run.faults import Exit
from fail2fix.run.folder import folder_of
from fail2fix.run.settings import fail2fix_settings
from fail2fix.run.stop import StopRequest
from fail2fix.run.watchdog import ALIVE, limit_at, newest_checkpoint

LOOK_S = 0.5
LEAVE_S = 30.0  # how long Ray may take to shut down before it is killed
ONE_REQUEST_S = 1.0
LAST_WORDS_S = 3.0  # Ray passes on what its processes print with some delay, on a busy machine with more
SERVERS = ("gcs_server", "raylet")
SIGNALS = (signal.SIGTERM, signal.SIGINT)

Value = TypeVar("Value")


class Driver:
    """One training, from its start to its exit status.

    Args:
        config: the run's, its folder opened.
        training: starts or joins Ray, trains, and returns at the end or raises.
        leave: shuts Ray down, or leaves it.
        head: of the Ray that the training joins; None if it starts its own.
    """

    def __init__(
        self, config: DictConfig, training: Callable[[], None], leave: Callable[[], None], head: Head | None = None
    ) -> None:
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
        """Train; the exit status. Says what went wrong, if anything did."""
        become_subreaper()
        self._stop.clear()
        self._segments = Record()
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
            print(f"fail2fix: error: {one_line(failure.line)}", file=sys.stderr, flush=True)
        return failure.status

    def _train(self) -> None:
        """Train, and leave Ray when told: its servers die with the thread that started them, their last lines too."""
        try:
            self._training()
        except BaseException as error:
            self._error = error
        self._trained.set()
        self._may_leave.wait()
        self._leave()

    def _watch(self) -> Failure:
        """Wait for the end of the training, or for a reason not to."""
        heard, since = "", time.monotonic()
        while not self._trained.wait(LOOK_S):
            self._listen()
            self._segments.look()
            said = _read(self._folder / ALIVE)
            if said != heard:
                heard, since = said, time.monotonic()
            if lost := self._lost_server():
                return Failure(f"{_field(said, 'where', 'start')}: Ray's {lost} is gone; {self._kept}", Exit.FAULT)
            if verdict := _field(said, "verdict", ""):
                return Failure(verdict, Exit.FAULT)
            if len(self._signals) > 1:
                return Failure(f"stopped at once; {self._kept}", 128 + self._signals[-1])
            key, limit_s = limit_at(_field(said, "step", 0), self._limits)
            if limit_s is not None and time.monotonic() - since > limit_s:
                return Failure(self._silent(heard, f"{limit_s:g} s ({key})"), Exit.FAULT)
        return self._outcome()

    def _lost_server(self) -> str:
        """The server of Ray that is gone: of the Ray that this process started, or the head of the one it joined.

        Empty if none is. Ray's core would end this process without a word a minute later.
        """
        if self._head is not None:
            return self._head.lost
        if len(self._servers) < len(SERVERS):
            with contextlib.suppress(psutil.NoSuchProcess):  # a child that ended meanwhile
                named = {child.name(): child for child in psutil.Process().children() if runs(child)}
                self._servers |= {name: named[name] for name in SERVERS if name in named}
        return next((name for name, server in self._servers.items() if not runs(server)), "")

    def _outcome(self) -> Failure:
        if self._error is None:
            return Failure("", 128 + self._signals[0] if self._signals else Exit.FINISHED)
        failure = failure_of(self._error)
        if failure.status != Exit.BAD_INPUT:  # its line says everything
            traceback.print_exception(self._error)
        return Failure(f"{failure.line}; {self._kept}", failure.status)

    def _silent(self, heard: str, seconds: str) -> str:
        where = _field(heard, "where", "before the trainer's process")
        return f"{where}: the trainer's process has said nothing for {seconds}; {self._kept}"

    @property
    def _kept(self) -> str:
        return f"last checkpoint: {newest_checkpoint(self._checkpoints)}"

    def _listen(self) -> None:
        """Take the signals, again and again: Ray's core takes SIGTERM while it starts, and would abort on it."""
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        """Note a request to stop. Batch systems send theirs to every process at once, so it may come twice."""
        heard_at = time.monotonic()
        if self._signals and heard_at - self._heard_at < ONE_REQUEST_S:
            return
        self._heard_at = heard_at
        self._signals.append(number)
        name = signal.Signals(number).name
        if len(self._signals) == 1:
            print(f"fail2fix: {name}: stopping after the running step; again to stop at once", file=sys.stderr)
            self._stop.make(name)

    def _shut_down(self, thread: threading.Thread) -> None:
        """Leave Ray if the training has ended, and if it lets us; then kill what is left."""
        self._segments.look()
        time.sleep(LAST_WORDS_S)
        if self._trained.is_set():
            self._may_leave.set()
            thread.join(LEAVE_S)
        end_descendants()
        self._segments.close()
        remove_abandoned()  # of a killed run whose processes still lived when this one started


def end_process(status: int) -> None:
    """End without the exit handlers of libraries whose processes are gone: some wait for an answer."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _field(said: str, name: str, default: Value) -> Value:
    return json.loads(said).get(name, default) if said else default
