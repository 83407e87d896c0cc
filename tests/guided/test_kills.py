"""A command that is killed in the middle, with all its processes, and started again ends like one left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.guided.classroom import Answer, Count, student, teacher, training_file
from tests.services import serving

pytestmark = pytest.mark.heavy
LIMIT_S = 120


def command(module: str, url: str, *arguments: object) -> subprocess.Popen[bytes]:
    asked = [sys.executable, "-m", f"fail2fix.{module}", "--model", "m", "--endpoint", f"{url}v1"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*asked, *map(str, arguments)], start_new_session=True, **quiet)


def finish(module: str, url: str, *arguments: object) -> None:
    assert command(module, url, *arguments).wait(LIMIT_S) == 0


def slowly(answer: Answer) -> Answer:
    return lambda request: [time.sleep(0.05), answer(request)][1]


def kill_after(calls: int, counted: Count, module: str, url: str, *arguments: object) -> None:
    """Kill a command when its service was asked that often."""
    process = command(module, url, *arguments)
    deadline = time.monotonic() + LIMIT_S
    while counted.calls < calls:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "killed too late to tell"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return training_file(tmp_path / "data", problems=80)


def test_stages_that_ask_go_on_after_a_kill(data: Path, tmp_path: Path) -> None:
    collect = ("--data", data, "--samples", 4, "--batch", 80, "--out")
    attempts = [tmp_path / name / "attempts.parquet" for name in ("whole", "cut")]
    counted = Count(slowly(student))
    with serving(answer=counted) as service:
        finish("collect", service.url, *collect, tmp_path / "whole")
        whole, counted.calls = counted.calls, 0
        kill_after(200, counted, "collect", service.url, *collect, tmp_path / "cut")
        assert not attempts[1].exists()
        finish("collect", service.url, *collect, tmp_path / "cut")
    assert attempts[1].read_bytes() == attempts[0].read_bytes()
    assert whole == 80 * 4
    assert whole < counted.calls <= whole + 80, "a kill loses one batch"

    teach = ("--from", "teacher", "--attempts", attempts[0], "--out")
    chats = [tmp_path / name / "chats.parquet" for name in ("taught", "again")]
    counted = Count(slowly(teacher))
    with serving(answer=counted) as service:
        finish("teach", service.url, *teach, tmp_path / "taught")
        whole, counted.calls = counted.calls, 0
        kill_after(70, counted, "teach", service.url, *teach, tmp_path / "again")
        assert not chats[1].exists()
        finish("teach", service.url, *teach, tmp_path / "again")
    assert chats[1].read_bytes() == chats[0].read_bytes()
    assert whole <= counted.calls <= whole + 64, "a kill loses what is on its way, at most 64 answers"
