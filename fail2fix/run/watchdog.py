"""Watchdog: stop a run that stays in one phase for too long, with a stack dump.

The trainer's process reports its phase (``phase``). A thread writes the phase to ``alive.json`` in the run's folder
every second. If a phase exceeds ``fail2fix.watchdog``, the thread dumps every thread's stack and adds a verdict to
``alive.json``. The process that started the run reads that file (`run.driver`): it prints the verdict and kills the
run, also if the trainer's process is so stuck that its thread does not run. Time counts from the last change of phase,
so a step may take any number of phases of that length.
"""

from __future__ import annotations

import faulthandler
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from fail2fix.run.config import WatchdogConfig
from fail2fix.run.exit_status import Exit
from fail2fix.run.folder import folder_of, named_step
from fail2fix.run.settings import fail2fix_settings

ALIVE = "alive.json"
BEAT_S = 1.0
DRIVER_S = 60.0  # how long the driver has to act on a verdict before this process ends itself


class Watchdog:
    """Watches the process it lives in.

    Args:
        folder: the run's.
        limits: seconds without a change of phase.
        checkpoints: the folder of the checkpoints, the newest of which the verdict names.
    """

    def __init__(self, folder: Path, limits: WatchdogConfig, checkpoints: Path) -> None:
        self._folder, self._limits, self._checkpoints = folder, limits, checkpoints
        self._open: dict[object, str] = {}
        self.steps = 0  # the step that the run ends with; 0: not known yet
        self._step = 0
        self._since = time.monotonic()
        self._beats = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    @classmethod
    def of(cls, config: DictConfig) -> Watchdog:
        """The watchdog of a run; it starts when it is entered."""
        limits = fail2fix_settings(config).watchdog
        return cls(folder_of(config), limits, Path(config.trainer.default_local_dir))

    def __enter__(self) -> Watchdog:
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @contextmanager
    def phase(self, name: str, step: int | None = None) -> Iterator[None]:
        """The run is in this phase; phases nest, and several threads may each be in one."""
        token = object()
        self._step = self._step if step is None else step
        self._open[token] = name
        self._since = time.monotonic()
        try:
            yield
        finally:
            del self._open[token]
            self._since = time.monotonic()

    @property
    def where(self) -> str:
        """The step and the innermost phase."""
        names = list(self._open.values())
        return f"step {self._step}, phase {names[-1] if names else 'between phases'}"

    def _watch(self) -> None:
        while not self._done.wait(BEAT_S):
            self._beats += 1
            seconds = time.monotonic() - self._since
            key, limit_s = limit_at(self._step, self._limits)
            if limit_s is not None and seconds > limit_s:
                self._end(f"nothing happened for {seconds:.0f} s ({key}={limit_s:g})")
                return
            self._write()

    def _end(self, reason: str) -> None:
        stacks = self._folder / f"stacks-{time.strftime('%Y%m%d-%H%M%S')}.txt"
        with stacks.open("w") as file:
            faulthandler.dump_traceback(file, all_threads=True)
        last = f"last checkpoint: {newest_checkpoint(self._checkpoints)}"
        self._write(verdict=f"{self.where}: {reason}; {last}; stacks: {stacks}")
        if not self._done.wait(DRIVER_S):
            os._exit(Exit.FAULT)

    def _write(self, **verdict: str) -> None:
        """Replace the file; if that fails, the run continues and the driver sees no beat until it works again."""
        partial = self._folder / f"{ALIVE}.partial"
        try:
            state = {"beat": self._beats, "step": self._step, "where": self.where, "steps": self.steps}
            partial.write_text(json.dumps(state | verdict))
            partial.replace(self._folder / ALIVE)
        except OSError as error:
            print(f"fail2fix: warning: {self._folder / ALIVE}: {error}", flush=True)


def limit_at(step: int, limits: WatchdogConfig) -> tuple[str, float | None]:
    """The key and the limit that apply in a step (0: before the first)."""
    if step == 0:
        return "fail2fix.watchdog.start_s", limits.start_s
    return "fail2fix.watchdog.limit_s", limits.limit_s


def newest_checkpoint(checkpoints: Path) -> str:
    """The folder of the newest complete checkpoint, or "none"."""
    step = named_step(checkpoints)
    return "none" if step is None else str(checkpoints / f"global_step_{step}")
