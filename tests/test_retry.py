"""Restarts: which failures get one, under which name, and that nothing of a dead run stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from fail2fix.retry import can_help, main, pause_s
from fail2fix.run.exit_status import Exit
from tests.forked import run_code

RUN = """
import sys
sys.path.insert(0, {root!r})
from fail2fix import retry
retry.pause_s = lambda restart: 0.0
sys.exit(retry.retry([sys.executable, "-S", "-c", {child!r}], {restarts}))
"""
ROOT = str(Path(__file__).parents[1])


def code_of(child: str, restarts: int) -> str:
    """`fail2fix.retry` on a child of ours instead of the training, without pauses."""
    return RUN.format(root=ROOT, child=child, restarts=restarts)


def run(child: str, restarts: int) -> subprocess.CompletedProcess[str]:
    return run_code(code_of(child, restarts), preload=["fail2fix.retry"])


def starts(folder: Path) -> list[str]:
    return (folder / "starts").read_text().splitlines()


def child(folder: Path, statuses: str) -> str:
    """Notes its arguments and ends with the next of ``statuses``."""
    return (
        f"import os, sys; path = {str(folder / 'starts')!r}; open(path, 'a').write(' '.join(sys.argv[1:]) + chr(10)); "
        f"status = {statuses}[len(open(path).readlines()) - 1]; "
        "os.kill(os.getpid(), -status) if status < 0 else sys.exit(status)"
    )


def test_only_what_a_restart_can_help_is_retried() -> None:
    assert [status for status in Exit if can_help(status)] == [Exit.FAULT]
    assert can_help(-signal.SIGKILL)
    assert can_help(-signal.SIGSEGV)
    assert not can_help(-signal.SIGTERM)
    assert not can_help(128 + signal.SIGTERM)


def test_help_is_shown_and_a_missing_number_is_bad_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["retry", "--help"])
    main()
    assert "python -m fail2fix.retry N" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["retry", "cipo"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == Exit.BAD_INPUT
    assert "N is a number of restarts" in capsys.readouterr().err


def test_pauses_double_up_to_a_bound() -> None:
    assert [pause_s(restart) for restart in (1, 2, 3, 20)] == [10, 20, 40, 600]


@pytest.mark.parametrize(
    ("statuses", "restarts", "wanted", "count"),
    [
        ([75, 0], 3, 0, 2),
        ([75, -9, 0], 3, 0, 3),
        ([75] * 9, 2, 75, 3),
        ([-9] * 9, 1, 137, 2),
        ([75, 2, 0], 5, 2, 2),
        ([2, 0], 5, 2, 1),
        ([1, 0], 5, 1, 1),
        ([70, 0], 5, 70, 1),
        ([74, 0], 5, 74, 1),
        ([143, 0], 5, 143, 1),
        ([75, 0], 0, 75, 1),
    ],
)
def test_restarts_are_bounded_announced_and_go_on_with_the_run(
    tmp_path: Path, statuses: list[int], restarts: int, wanted: int, count: int
) -> None:
    done = run(child(tmp_path, str(statuses)), restarts)
    assert done.returncode == wanted
    again = "fail2fix.run.restart=true"
    assert starts(tmp_path) == ["", *[again] * (count - 1)]
    assert done.stderr.count("restart ") == count - 1


def test_a_signal_reaches_the_run_and_ends_the_retrying(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(75)); "
        f"open({str(tmp_path / 'starts')!r}, 'a').write('ready' + chr(10)); time.sleep(60)"
    )
    retry = subprocess.Popen([sys.executable, "-c", code_of(code, 5)], start_new_session=True)
    while not (tmp_path / "starts").exists() or not starts(tmp_path):
        time.sleep(0.05)
    retry.send_signal(signal.SIGTERM)
    assert retry.wait(timeout=60) == 75
    assert starts(tmp_path) == ["ready"]


def test_what_a_killed_run_leaves_is_ended(tmp_path: Path) -> None:
    """A grandchild in a session of its own, whose parent is gone."""
    orphan = (
        f"import subprocess, sys; p = subprocess.Popen(['sleep', '600'], start_new_session=True); "
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid)); import os; os.kill(os.getpid(), 9)"
    )
    assert run(orphan, 0).returncode == 137
    pid = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(pid) or os.path.basename(psutil.Process(pid).exe() or "") != "sleep"
