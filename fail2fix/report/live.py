"""What a terminal shows of a training: a header, one line a step, one a validation; the rest goes to a file.

Everything shown comes from files of the run's folder, so the process that started the run can draw it, whichever
process trains. ``trainer.logger`` with ``console`` asks for verl's own output: then nothing is shown here.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any, TextIO

from omegaconf import DictConfig
from rich.console import Console
from rich.text import Text

from fail2fix.console.printable import printable
from fail2fix.report.console_table import clock
from fail2fix.report.transitions import CONSOLE_COLORS

OUTPUT = "output.log"
Metrics = Mapping[str, Any]
# Phases of a step by the name that a line gives them.
PHASES = {"gen": "gen", "old_log_prob": "log-probs", "ref": "reference", "update_actor": "update"}
VALIDATED = re.compile(r"val-core/(?P<source>.+)/(acc|verdict|reward)/mean@\d+")
RECENT = 5  # steps that the remaining time is estimated from


class LiveReport:
    """Shows a run while it trains.

    Args:
        config: the run's, resolved.
        folder: the run's.
        console, errors: the user's stdout and stderr, or the pipes that took their places.
    """

    def __init__(self, config: DictConfig, folder: Path, console: Console, errors: Console) -> None:
        self._config, self._console, self._errors = config, console, errors
        self._file = folder / "metrics.jsonl"
        self._inode, self._read = 0, 0  # the metrics file, and the bytes of it that are read
        self._seen: set[int] = set()
        self._steps = int(config.trainer.total_training_steps or 0)
        self._test_freq = int(config.trainer.test_freq)
        self._seconds: list[float] = []
        self._validation_s = 0.0
        self._validated: dict[str, float] = {}
        self._where, self._since = "", time.monotonic()
        self._new_rows()
        self._phase = console.status("") if console.is_terminal else None

    def __enter__(self) -> LiveReport:
        for line in header(self._config, self._file.parent):
            self._print(Text(printable(line)))
        if self._phase:
            with _reader_may_leave(self._console):
                self._phase.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.look(self._where, self._steps)
        if self._phase:
            with _reader_may_leave(self._console):
                self._phase.stop()

    def say(self, line: str) -> None:
        """Print a message on stderr."""
        with _reader_may_leave(self._errors):
            self._errors.print(Text(printable(line)), soft_wrap=True, highlight=False)

    def _print(self, line: Text) -> None:
        with _reader_may_leave(self._console):
            self._console.print(line, soft_wrap=True, highlight=False)

    def look(self, where: str, steps: int) -> None:
        """Show the steps that have a line since the last look.

        Args:
            where: the step and phase that the run is in.
            steps: the step that the run ends with, as far as the trainer knows; 0: not known yet.
        """
        self._steps = steps or self._steps
        for row in self._new_rows():
            self._show(row)
        if where != self._where:
            self._where, self._since = where, time.monotonic()
        if self._phase:
            with _reader_may_leave(self._console):
                self._phase.update(f"{where or 'starting'}, {time.monotonic() - self._since:.0f} s")

    def _new_rows(self) -> list[dict[str, Any]]:
        """The lines of steps without one before; a resumption replaces the file, and may have taken lines out.

        No line if one is damaged: the trainer sets it aside, and what is shown must not end a run.
        """
        with suppress(OSError, ValueError, LookupError, TypeError), self._file.open("rb") as file:
            stat = os.fstat(file.fileno())
            resumed = stat.st_ino != self._inode or stat.st_size < self._read
            start = 0 if resumed else self._read
            file.seek(start)
            whole = file.read().rpartition(b"\n")[0]
            rows = {row["step"]: row for row in map(json.loads, whole.split(b"\n"))} if whole else {}
            new = [row for step, row in rows.items() if step not in self._seen]
            self._seen = rows.keys() | (set() if resumed else self._seen)
            self._inode, self._read = stat.st_ino, start + len(whole) + bool(whole)
            return new
        return []

    def _show(self, row: Metrics) -> None:
        if row["step"] > 0 and "timing_s/step" in row:
            self._seconds.append(row["timing_s/step"])
            self._validation_s = row.get("timing_s/testing") or self._validation_s
            self._print(step_line(row, self._steps, self._left_s(row["step"])))
        if accuracies := validated(row):
            self._print(validation_line(row, accuracies, self._validated))
            self._validated = accuracies

    def _left_s(self, step: int) -> float | None:
        """Seconds until the end, by the last few steps and the last validation; None without a number of steps."""
        if not self._steps:
            return None
        left, every = range(step + 1, self._steps + 1), self._test_freq
        validations = sum(number % every == 0 or number == self._steps for number in left) if every > 0 else 0
        return len(left) * median(self._seconds[-RECENT:]) + validations * self._validation_s


def header(config: DictConfig, folder: Path) -> list[str]:
    """What trains on what, the sizes of a step, and where the files are."""
    rollout, section = config.actor_rollout_ref.rollout, config.fail2fix
    problems, correction = config.data.train_batch_size, section.correction
    sizes = f"{problems} problems x {rollout.n} rollouts"
    if correction.enabled:
        sizes += f" + {correction.attempts} attempts x {correction.rollouts} corrections"
    steps = config.trainer.total_training_steps
    budget = (section.get("budget") or {}).get("rollouts")
    # An epoch has at least one step.
    at_most = "at most " if steps and (budget or config.trainer.get("total_epochs", steps) < steps) else ""
    return [
        f"model  {config.actor_rollout_ref.model.path}",
        f"data   {_listed(config.data.train_files)}",
        f"step   {sizes}, {at_most}{steps or '?'} steps, seed {section.seed}",
        f"files  {folder} (all output: {OUTPUT})",
    ]


def _listed(files: Any) -> str:
    return files if isinstance(files, str) else ", ".join(map(str, files))


def step_line(row: Metrics, steps: int, left_s: float | None) -> Text:
    """One training step: what was solved, fixed, kept and broken, rho, seconds by phase, tokens a second, time left."""
    width = len(str(steps))
    line = Text(f"step {row['step']:>{width}}" + (f"/{steps}" if steps else ""))
    line.append(f"  solved {_percent(row.get('fail2fix/base/accuracy'))}")
    kept = row.get("fail2fix/transition/keep_rate")
    rates = {
        "fixed": row.get("fail2fix/transition/fix_rate"),
        "kept": kept,
        "broken": None if kept is None else 1 - kept,
    }
    for name, rate in rates.items():
        line.append(f"  {name} {_percent(rate)}", style=CONSOLE_COLORS[name])
    if (rho := row.get("fail2fix/replay/rho")) is not None:
        line.append(f"  ρ {rho:.2f}")
    line.append(f"  {row['timing_s/step']:.1f} s", style="bold")
    parts = [f"{name} {row[f'timing_s/{key}']:.1f}" for key, name in PHASES.items() if f"timing_s/{key}" in row]
    line.append(f" ({', '.join(parts)})" if parts else "")
    if (tokens := row.get("perf/total_num_tokens")) is not None:  # perf/throughput is of one device
        line.append(f"  {tokens / row['timing_s/step']:,.0f} tokens/s")
    if left_s:
        line.append(f"  {clock(left_s)} left")
    return line


def validated(row: Metrics) -> dict[str, float]:
    """Accuracy of each validated data source, and the rates of the held-out corrections, by name."""
    found = {m["source"]: row[m[0]] for m in map(VALIDATED.fullmatch, row) if m}
    rates = {name: row.get(f"fail2fix/held_out/{name}_rate") for name in ("fix", "break")}
    return {name: value for name, value in (found | rates).items() if value is not None}


def validation_line(row: Metrics, now: Mapping[str, float], before: Mapping[str, float]) -> Text:
    """A validation, each share with its change since the last one."""
    line = Text(f"validation after step {row['step']}:", style="bold")
    for name, value in now.items():
        line.append(f"  {printable(name)} {_percent(value)}")
        if name in before:
            change = 100 * (value - before[name])
            line.append(f" {'▲' if change > 0 else '▼' if change < 0 else '='} {change:+.1f}")
    return line


def _percent(share: float | None) -> str:
    return "   - %" if share is None else f"{100 * share:4.1f} %"


@contextmanager
def shown(config: DictConfig, folder: Path) -> Iterator[LiveReport | None]:
    """Show a run as it trains, its processes' output in a file.

    Nothing where verl's console logger is asked for, or where stdout or stderr is closed or has no descriptor.
    """
    if "console" in config.trainer.logger or not all(map(_has_descriptor, (sys.stdout, sys.stderr))):
        yield None
        return
    with _output_in(folder / OUTPUT) as (console, errors), LiveReport(config, folder, console, errors) as live:
        yield live


def _has_descriptor(stream: TextIO | None) -> bool:
    with suppress(AttributeError, OSError, ValueError):
        return stream.fileno() >= 0  # type: ignore[union-attr]
    return False


class _Screen(Console):
    def on_broken_pipe(self) -> None:
        """Let the error pass; rich would discard this process's stdout, which is a file by now, and end the run."""
        raise BrokenPipeError


@contextmanager
def _reader_may_leave(console: Console) -> Iterator[None]:
    """Silence a console whose pipe is closed, whose terminal is gone or whose file is full: the run must go on."""
    try:
        yield
    except OSError:
        console.quiet = True
        with open(os.devnull, "w") as nowhere:  # what is still buffered is lost
            os.dup2(nowhere.fileno(), console.file.fileno())


@contextmanager
def _output_in(path: Path) -> Iterator[tuple[Console, Console]]:
    """Append the output of this process, and of all it starts, to a file; yield the stdout and stderr from before."""
    with ExitStack() as undo, path.open("ab") as file:
        consoles = []
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            before = undo.enter_context(os.fdopen(os.dup(stream.fileno()), "w", encoding="utf-8", errors="replace"))
            undo.callback(os.dup2, before.fileno(), stream.fileno())
            undo.callback(stream.flush)
            os.dup2(file.fileno(), stream.fileno())
            consoles.append(_Screen(file=before))
        yield consoles[0], consoles[1]
