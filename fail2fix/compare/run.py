"""Run the training runs of a comparison one after another, each in its own process. Finished runs are not repeated.

``fail2fix.train`` resumes from a run folder's checkpoint by itself. Nothing is removed.

    left by an earlier call       action
    a record                      keep; refuse if its fingerprint differs
    a finished training run       record; refuse if its fingerprint differs
    a folder with a checkpoint    resume; refuse if its fingerprint differs
    a folder without one          rename, train from the start
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fail2fix.cluster.lock import lock
from fail2fix.compare.plan import ComparisonPlan, Fingerprint, Run
from fail2fix.compare.records import (
    make_record,
    read_fingerprint,
    read_record,
    require_same_origin,
    write_record,
)
from fail2fix.data.atomic import write_json
from fail2fix.method.errors import InputError, reading
from fail2fix.run.folder import FINISHED, named_step

GRACE_S = 30  # seconds that a stopped training run has to end by itself


class RunError(RuntimeError):
    """A run ended with an error. The message is one line, and says where the log is."""


def remaining(plan: ComparisonPlan) -> list[Run]:
    """The runs without a record, in order.

    Raises ``InputError``: a record or a checkpoint of another fingerprint, saying what differs.
    """
    for run in plan.runs:
        if run.record.exists():
            _require_same(run, run.record, read_record(run.record).fingerprint)
        elif has_checkpoint(run) or is_finished(run):
            _require_same(run, run.started, read_fingerprint(run.started))
    return [run for run in plan.runs if not run.record.exists()]


def has_checkpoint(run: Run) -> bool:
    """Whether training would resume: verl's tracker names an existing checkpoint."""
    checkpoints = run.folder / "checkpoints"
    step = named_step(checkpoints)
    return step is not None and (checkpoints / f"global_step_{step}").is_dir()


def is_finished(run: Run) -> bool:
    """Whether the training run finished, perhaps after its comparison was killed."""
    return (run.folder / FINISHED).is_file() and run.started.is_file()


def _require_same(run: Run, path: Path, found: Fingerprint) -> None:
    if found != run.fingerprint:
        raise InputError(f"{path}: of another run ({found.difference(run.fingerprint)}): use another --out")


def train_remaining(plan: ComparisonPlan) -> None:
    """Train the remaining runs, and record each.

    Raises:
        InputError: as ``remaining``; another call running in the same folder; or a run folder that cannot be recorded.
        RunError: a run ended with an error. The same call again resumes it.
    """
    with only_one(plan.out) as descriptor:
        todo = remaining(plan)
        for number, run in enumerate(todo, 1):
            _say(f"{run.name}: run {number} of {len(todo)} to do, log: {run.log}")
            seconds = _train(run, descriptor)
            write_record(run.record, make_record(run.folder, run.fingerprint))
            _say(f"{run.name}: done in {seconds:,.0f} s, record: {run.record}")
            require_same_origin(read_record(run.record) for run in plan.runs if run.record.exists())


@contextmanager
def only_one(out: Path) -> Iterator[int]:
    """Lock ``out`` for this call. A training run that outlives a killed call inherits the lock and still holds it."""
    with reading(f"--out {out}: cannot be a folder to write in", OSError, hint="choose another"):
        out.mkdir(parents=True, exist_ok=True)
        file = (out / ".lock").open("w")
    with file:
        lock(file, lambda: f"{out}: another comparison, or a training run it left behind, is running in it")
        yield file.fileno()


def _train(run: Run, descriptor: int) -> float:
    """Run a training run in this environment and working directory; return its seconds."""
    if is_finished(run):
        return 0.0
    _set_aside(run)
    write_json(run.started, run.fingerprint)
    run.log.parent.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with run.log.open("ab") as log:
        # Its own session, so that all its processes can be ended together.
        process = subprocess.Popen(
            run.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(descriptor,),
        )
        try:
            status = process.wait()
        finally:
            _end(process)
    if status != 0:
        raise RunError(f"{run.name}: training ended with status {status}: {_last_line(run.log)} (log: {run.log})")
    return time.monotonic() - begin


def _set_aside(run: Run) -> None:
    """Move a folder without a checkpoint out of the way: training refuses to write into it."""
    folder = run.folder
    if not folder.exists() or has_checkpoint(run):
        return
    count = 1
    while (aside := folder.with_name(f"{folder.name}.unfinished-{count}")).exists():
        count += 1
    folder.rename(aside)
    _say(f"{run.name}: an earlier start left no checkpoint; its files are now in {aside}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a training run that still runs, first by asking, and its remaining processes."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")


def _say(line: str) -> None:
    print(f"compare: {line}", file=sys.stderr, flush=True)
