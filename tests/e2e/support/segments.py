"""Ten runs on the real stack, one of them killed: which files of theirs stay in /dev/shm?

``python -m tests.e2e.support.segments FOLDER [--runs 10] [--kill 5] [--lock FILE]`` prints a JSON line a run: the files
that it left, and all files of these runs that are still there. Exit status 1 if any is there after the last run.
``--lock`` is held during each run only, so that other heavy work gets a turn between two.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.e2e.conftest import Bench, kill_run, make_bench

LIMIT_S = 600.0
TURN_S = 5.0  # between two runs, for those who wait for the lock
SETTINGS = ("trainer.total_training_steps=1", "data.max_response_length=16")


def present() -> set[tuple[int, str]]:
    """Every file in /dev/shm, by inode number and name."""
    found = set()
    for path in Path("/dev/shm").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add((path.stat().st_ino, path.name))
    return found


def run_once(bench: Bench, name: str, kill: bool) -> int:
    """The exit status of one run. With ``kill`` its driver gets SIGKILL once an engine holds shared memory."""
    shutil.rmtree(bench.folder(name), ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix="f2s", dir="/tmp"))  # Ray's sockets need a short path
    environment = os.environ | {"VERL_PLATFORM": "cpu", "RAY_TMPDIR": str(scratch)}
    with (bench.root / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *bench.arguments(name, *SETTINGS)],
            cwd=bench.root, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        if kill:
            await_engine(process.pid)
            process.send_signal(signal.SIGKILL)
        return process.wait(timeout=LIMIT_S)
    finally:
        kill_run(process.pid, scratch)
        shutil.rmtree(scratch, ignore_errors=True)


def await_engine(driver: int) -> None:
    """Wait until a process of the run has held a ring buffer of vLLM for two seconds."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        for process in psutil.Process(driver).children(recursive=True):
            with contextlib.suppress(OSError):
                if "/dev/shm/psm_" in Path(f"/proc/{process.pid}/maps").read_text():
                    time.sleep(2.0)
                    return
        time.sleep(0.2)
    raise TimeoutError("no engine came")


@contextlib.contextmanager
def locked(path: str | None) -> Iterator[None]:
    """Hold a lock file, if one is named."""
    if not path:
        yield
        return
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    time.sleep(TURN_S)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--kill", type=int, default=5, help="the number of the run that is killed, from 1; 0: none")
    parser.add_argument("--lock")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    bench = make_bench(options.folder.resolve())
    stays: set[tuple[int, str]] = set()
    for number in range(1, options.runs + 1):
        with locked(options.lock):
            before = present()
            began = time.monotonic()
            status = run_once(bench, f"segments-{number}", kill=number == options.kill)
            after = present()
        left, stays = after - before, (stays & after) | (after - before)
        line = {
            "run": number, "killed": number == options.kill, "status": status,
            "left": sorted(name for _, name in left), "stay": sorted(name for _, name in stays),
            "seconds": round(time.monotonic() - began, 1),
        }  # fmt: skip
        print(json.dumps(line), flush=True)
    return 1 if stays else 0


if __name__ == "__main__":
    sys.exit(main())
