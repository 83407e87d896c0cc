"""The process a user starts ends, with a line and a status, whatever its training does; and leaves nothing behind."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from fail2fix.run import watchdog
from fail2fix.run.config import WatchdogConfig
from fail2fix.run.driver import Alive
from fail2fix.run.watchdog import ALIVE, Watchdog, newest_checkpoint
from tests.forked import run_code

DRIVE = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
from omegaconf import OmegaConf
from fail2fix.run import driver
from fail2fix.run.exit_status import TrainingError

driver.LOOK_S, driver.LAST_OUTPUT_S = 0.05, 0.0  # no Ray runs here, whose last output would come late
folder = Path({folder!r})
folder.mkdir(parents=True, exist_ok=True)
config = OmegaConf.create({{
    "fail2fix": {{
        "run": {{"root": str(folder.parent.parent), "name": folder.name}},
        "watchdog": {{"start_s": {start_s}, "limit_s": {limit_s}}},
    }},
    "trainer": {{"experiment_name": folder.parent.name, "default_local_dir": str(folder / "checkpoints")}},
}})

def training():
{training}

run = driver.Driver(config, training, leave=lambda: None)
driver.end_process(run.run())
"""


def drive(folder: Path, training: str, **limits: float) -> subprocess.CompletedProcess[str]:
    """``limits``: the watchdog's ``start_s`` and ``limit_s``; a minute each if not given."""
    given = {"start_s": 60.0, "limit_s": 60.0} | limits
    code = DRIVE.format(folder=str(folder / "e" / "run"), training=textwrap.indent(training, "    "), **given)
    return run_code(code, preload=["fail2fix.run.driver"])


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.splitlines()[-1]


def test_a_training_that_ends_is_finished_and_silent(tmp_path: Path) -> None:
    done = drive(tmp_path, "pass")
    assert (done.returncode, done.stderr) == (0, "")


FULL = "for stream in (1, 2): os.dup2(os.open('/dev/full', os.O_WRONLY), stream)"
LEFT = "for stream in (1, 2): reader, writer = os.pipe(); os.dup2(writer, stream); os.close(writer); os.close(reader)"


@pytest.mark.parametrize("outputs", [FULL, LEFT], ids=["full", "left"])
def test_an_error_that_cannot_be_printed_keeps_its_status(tmp_path: Path, outputs: str) -> None:
    """On a full disk, and as in `... 2>&1 | head`."""
    done = drive(tmp_path, f"sys.stdout.write('x')\n{outputs}\nraise ConnectionError('gone')")
    assert done.returncode == 75


@pytest.mark.parametrize(
    ("raised", "status", "words"),
    [
        ("TrainingError('step 3: NaN')", 70, "fail2fix: error: step 3: NaN; last checkpoint: none"),
        ("OSError(28, 'No space left on device', '/x')", 74, "no space left"),
        ("ConnectionError('gone')", 75, "gone"),
        ("KeyError('uid')", 1, "unexpected KeyError"),
    ],
)
def test_an_error_ends_in_its_traceback_one_line_and_its_status(
    tmp_path: Path, raised: str, status: int, words: str
) -> None:
    done = drive(tmp_path, f"raise {raised}")
    assert done.returncode == status
    assert words in last_line(done)
    assert "Traceback (most recent call last)" in done.stderr


def test_the_line_names_the_last_checkpoint(tmp_path: Path) -> None:
    checkpoints = tmp_path / "e" / "run" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "latest_checkpointed_iteration.txt").write_text("40")
    assert last_line(drive(tmp_path, "raise ConnectionError")).endswith(f"{checkpoints}/global_step_40")
    assert newest_checkpoint(tmp_path) == "none"


def test_a_trainer_that_is_never_heard_of_ends_the_run(tmp_path: Path) -> None:
    done = drive(tmp_path, "time.sleep(600)", start_s=0.1)
    assert done.returncode == 75
    assert "before the trainer's process" in last_line(done)


def test_a_trainer_that_falls_silent_ends_the_run_with_its_last_phase(tmp_path: Path) -> None:
    said = '(folder / "alive.json").write_text(json.dumps({"beat": 1, "step": 3, "where": "step 3, phase gen"}))'
    done = drive(tmp_path, f"{said}; time.sleep(600)", limit_s=0.1)
    assert done.returncode == 75
    silence = "the trainer's process has not reported for 0.1 s (fail2fix.watchdog.limit_s)"
    assert f"step 3, phase gen: {silence}" in last_line(done)


def test_the_watchdogs_verdict_ends_the_run(tmp_path: Path) -> None:
    said = '(folder / "alive.json").write_text(json.dumps({"step": 3, "verdict": "step 3, phase gen: hung"}))'
    done = drive(tmp_path, f"{said}; time.sleep(600)")
    assert (done.returncode, last_line(done)) == (75, "fail2fix: error: step 3, phase gen: hung")


def test_a_lost_server_of_ray_ends_the_run_at_once(tmp_path: Path) -> None:
    """Ray's core would end the driver without a word, a minute later."""
    server = shutil.copy("/bin/sleep", tmp_path / "gcs_server")
    training = f"""
server = subprocess.Popen([{str(server)!r}, "600"])
while not run._servers:
    time.sleep(0.01)
server.kill()
time.sleep(600)
"""
    done = drive(tmp_path, training)
    assert (done.returncode, last_line(done)) == (
        75,
        "fail2fix: error: start: Ray's gcs_server is gone; last checkpoint: none",
    )


WAIT_FOR_STOP = """
os.kill(os.getpid(), signal.{signal})
while not (folder / "stop").exists():
    time.sleep(0.01)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_asks_the_training_to_stop_and_gives_the_status(tmp_path: Path, name: str) -> None:
    done = drive(tmp_path, WAIT_FOR_STOP.format(signal=name))
    assert done.returncode == 128 + getattr(signal, name)
    assert done.stderr == f"fail2fix: {name}: stopping after the running step; again to stop at once\n"
    assert (tmp_path / "e" / "run" / "stop").read_text() == f"{name}\n"


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    soon = "driver.ONE_REQUEST_S = 0.1\n"
    again = "time.sleep(0.2)\nos.kill(os.getpid(), 2)\ntime.sleep(600)"
    done = drive(tmp_path, soon + WAIT_FOR_STOP.format(signal="SIGINT") + again)
    assert done.returncode == 130
    assert "stopped at once" in last_line(done)


def test_a_signal_that_comes_by_several_ways_is_one_request(tmp_path: Path) -> None:
    """A batch system sends it to every process, and a parent passes it on."""
    done = drive(tmp_path, "os.kill(os.getpid(), 15)\n" + WAIT_FOR_STOP.format(signal="SIGTERM") + "time.sleep(0.3)")
    assert done.returncode == 143
    assert "stopped at once" not in done.stderr


def test_the_request_of_an_earlier_start_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "e" / "run").mkdir(parents=True)
    (tmp_path / "e" / "run" / "stop").touch()
    assert drive(tmp_path, "assert not (folder / 'stop').exists()").returncode == 0


def test_nothing_that_the_run_started_outlives_it(tmp_path: Path) -> None:
    """An orphan in its own session, and one that was stopped."""
    orphan = (
        "import subprocess; "
        "print(subprocess.Popen(['sleep', '600'], start_new_session=True, stdout=subprocess.DEVNULL).pid)"
    )
    training = f"""
pids = [int(subprocess.check_output([sys.executable, "-c", {orphan!r}])), subprocess.Popen(["sleep", "600"]).pid]
os.kill(pids[1], signal.SIGSTOP)
Path({str(tmp_path / "pids")!r}).write_text(json.dumps(pids))
"""
    done = drive(tmp_path, training + "raise ConnectionError")
    assert "ConnectionError" in last_line(done)
    for pid in json.loads((tmp_path / "pids").read_text()):
        assert not psutil.pid_exists(pid)


@pytest.fixture
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "BEAT_S", 0.02)


def watched(folder: Path, limit_s: float | None) -> Watchdog:
    return Watchdog(folder, WatchdogConfig(start_s=limit_s, limit_s=limit_s), folder / "checkpoints")


def said(folder: Path) -> dict[str, object]:
    return json.loads((folder / ALIVE).read_text())


def test_phases_nest_and_the_innermost_is_named(tmp_path: Path) -> None:
    watching = watched(tmp_path, None)
    with watching.phase("start"):
        assert watching.where == "step 0, phase start"
        with watching.phase("step", step=3), watching.phase("gen"):
            assert watching.where == "step 3, phase gen"
        assert watching.where == "step 3, phase start"


def test_a_phase_ends_also_when_it_raises(tmp_path: Path) -> None:
    watching = watched(tmp_path, None)
    with pytest.raises(ValueError, match="x"), watching.phase("gen"):
        raise ValueError("x")
    assert watching.where == "step 0, phase between phases"


def test_a_phase_beyond_its_limit_gets_a_verdict_and_every_threads_stack(tmp_path: Path, quick_beats: None) -> None:
    watching = watched(tmp_path, 0.01)
    with watching.phase("gen", step=2), watching:
        while "verdict" not in said(tmp_path):
            time.sleep(0.01)
    verdict = str(said(tmp_path)["verdict"])
    assert re.match(r"step 2, phase gen: nothing happened for \d+ s \(fail2fix.watchdog.limit_s=0.01\); last ", verdict)
    (stacks,) = tmp_path.glob("stacks-*.txt")
    assert str(stacks) in verdict
    assert "test_a_phase_beyond_its_limit" in stacks.read_text()


def test_the_driver_reads_which_step_ends_the_run(tmp_path: Path) -> None:
    watching = watched(tmp_path, None)
    watching.steps = 7
    with watching:
        assert Alive.read(tmp_path / ALIVE).steps == 7


def test_without_a_limit_there_is_no_verdict(tmp_path: Path, quick_beats: None) -> None:
    with watched(tmp_path, None) as watching, watching.phase("gen"):
        while int(said(tmp_path)["beat"]) < 2:  # type: ignore[call-overload]
            time.sleep(0.01)
    assert "verdict" not in said(tmp_path)
