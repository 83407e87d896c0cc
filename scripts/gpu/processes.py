"""Child processes of the GPU check: started with a log, waited for with a limit, ended with all their descendants."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from gpu.place import ROOT, Place

# A /tmp of its own: $1 is the new /tmp, then folders below the old one that stay visible, "--" and the command.
OWN_TMP = """
own=$1; shift
while [[ $1 != -- ]]; do mkdir -p "$own${1#/tmp}"; mount --bind "$1" "$own${1#/tmp}"; shift; done
shift
mount --rbind "$own" /tmp
exec "$@"
"""


class Processes:
    """All children of one check. ``environment``: variables of every child."""

    def __init__(self, place: Place, environment: dict[str, str]) -> None:
        self.place, self.environment = place, environment
        self.started: list[psutil.Popen] = []
        self.scratch: list[str] = []

    def start(self, name: str, command: Iterable[object], prefix: tuple[str, ...] = ()) -> psutil.Popen:
        """Start a command in the repository; output goes to ``logs/NAME.log``."""
        scratch = tempfile.mkdtemp(prefix="g", dir="/tmp")  # Ray's sockets need a short path
        environment = inherited() | self.environment | {"RAY_TMPDIR": "/tmp" if prefix else scratch}
        with self.log(name).open("w") as log:
            process = psutil.Popen(
                [*prefix, *map(str, command)], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        self.scratch.append(scratch)
        return process

    def log(self, name: str) -> Path:
        return self.place.logs / f"{name}.log"

    def tail(self, name: str, lines: int = 15) -> list[str]:
        """The last lines of a process's log."""
        log = self.log(name)
        return log.read_text(errors="replace").splitlines()[-lines:] if log.exists() else []

    def run(self, name: str, command: Iterable[object], limit_s: float) -> int | None:
        """Run a command to its end; its exit status, or None if the limit ended it."""
        process = self.start(name, command)
        status = wait(process, limit_s)
        end(process)
        return status

    def end_all(self) -> None:
        for process in self.started:
            end(process)
        for folder in self.scratch:
            shutil.rmtree(folder, ignore_errors=True)


def inherited() -> dict[str, str]:
    """This process's environment, without what names another cluster or another run to join."""
    return {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS" and not key.startswith("FAIL2FIX_")}


def wait(process: psutil.Popen, limit_s: float) -> int | None:
    """Exit status; None if the process still runs after the limit."""
    try:
        return process.wait(timeout=max(0.1, limit_s))
    except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
        return None


def wait_all(processes: Iterable[psutil.Popen], limit_s: float) -> None:
    """Wait until all have ended, or the limit is over."""
    deadline = time.monotonic() + limit_s
    for process in processes:
        wait(process, deadline - time.monotonic())


def end(process: psutil.Popen) -> None:
    """Kill a process and its descendants, whose sessions may be their own (Ray's are)."""
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=10)


def own_tmp(place: Place, name: str) -> tuple[str, ...]:
    """Prefix of a command that gives it its own /tmp, in which this check's folders stay where they are."""
    own = place.work / "tmp" / name
    own.mkdir(parents=True, exist_ok=True)
    needed = [ROOT, place.work, *([place.carried] if place.carried else [])]
    visible = [str(path.resolve()) for path in needed if path.resolve().is_relative_to("/tmp")]
    return ("unshare", "--mount", "bash", "-euc", OWN_TMP, "own_tmp", str(own), *visible, "--")


def has_own_tmp(place: Place) -> bool:
    """Whether this machine lets a process have its own /tmp."""
    command = [*own_tmp(place, "trial"), "ls", str(ROOT / "fail2fix"), str(place.work / "logs")]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
