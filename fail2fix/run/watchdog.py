"""A run that hangs ends by itself and says where it hung.

The trainer's process tells which phase it is in (``phase``). A thread there writes that to ``alive.json`` in the run's
folder again and again, and ends the run when one phase takes longer than ``fail2fix.watchdog`` allows: it writes
every thread's stack to a file and the verdict into ``alive.json``. The process that started the run reads the
file (`run.driver`): it prints the verdict and kills everything, also where the trainer's own process is so stuck
that not even its thread runs. Time within a phase counts from the last change, so a step may take any number of
phases of that length.
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
from fail2fix.run.faults import Exit
from fail2fix.run.folder import TRACKER, folder_of
from fail2fix.run.settings import fail2fix_settings

ALIVE = "alive.json"
BEAT_S = 1.0
DRIVER_S = 60.0  # how long the driver has to act on a verdict before this process ends itself


class Watchdog:
    """Watches the process it lives in.

    Args:
        folder: the run's.
        limits: seconds without a change of phase.
        checkpoints: the folder of the checkpoints, whose newest the verdict names.
    """

    def __init__(self, folder: Path, limits: WatchdogConfig, checkpoints: Path) -> None:
        self._folder, self._limits, self._checkpoints = folder, limits, checkpoints
        self._open: dict[object, str] = {}
        self._step = 0
        self._since = time.monotonic()
        self._beats = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    @classmethod
    def of(cls, config: DictConfig) -> Watchdog:
        """The watchdog of a run; it watches nothing until it is entered."""
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
        """The run is in this phase; phases nest, and several threads may be in one each."""
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
            _, limit_s = limit_at(self._step, self._limits)
            if limit_s is not None and seconds > limit_s:
                self._end(seconds)
                return
            self._write()

    def _end(self, seconds: float) -> None:
        stacks = self._folder / f"stacks-{time.strftime('%Y%m%d-%H%M%S')}.txt"
        with stacks.open("w") as file:
            faulthandler.dump_traceback(file, all_threads=True)
        key, limit_s = limit_at(self._step, self._limits)
        self._write(
            verdict=f"{self.where}: nothing happened for {seconds:.0f} s ({key}={limit_s:g}); "
            f"last checkpoint: {newest_checkpoint(self._checkpoints)}; stacks: {stacks}"
        )
        if not self._done.wait(DRIVER_S):
            os._exit(Exit.FAULT)

    def _write(self, **verdict: str) -> None:
        """Replace the file; the run goes on where that fails, and the driver hears nothing until it works again."""
        partial = self._folder / f"{ALIVE}.partial"
        try:
            partial.write_text(json.dumps({"beat": self._beats, "step": self._step, "where": self.where} | verdict))
            partial.replace(self._folder / ALIVE)
        except OSError as error:
            print(f"fail2fix: warning: {self._folder / ALIVE}: {error}", flush=True)


def limit_at(step: int, limits: WatchdogConfig) -> tuple[str, float | None]:
    """The limit that holds in a step (0: before the first), and its key."""
    if step == 0:
        return "fail2fix.watchdog.start_s", limits.start_s
    return "fail2fix.watchdog.limit_s", limits.limit_s


def newest_checkpoint(checkpoints: Path) -> str:
    """The newest complete checkpoint's folder, or "none"."""
    try:
        return str(checkpoints / f"global_step_{int((checkpoints / TRACKER).read_text())}")
    except (OSError, ValueError):
        return "none"
