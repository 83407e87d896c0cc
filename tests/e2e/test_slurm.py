"""scripts/slurm_train.sh under a real SLURM on this machine: it warns the run, requeues, and the run goes on."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PLANTED, Bench
from tests.e2e.support import slurm
from tests.e2e.support.slurm import Slurm

pytestmark = [
    pytest.mark.e2e, pytest.mark.slow, pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing()),
]  # fmt: skip

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "scripts" / "slurm_train.sh")
# In place of Python: a node that only listens, and a training that ends with the next status of a list, or waits for
# SIGTERM. Both note what they were asked.
STAND_IN = """#!{python}
import json, os, signal, socket, sys, time
module, words = sys.argv[2], sys.argv[3:]
if module == "fail2fix.console.secret_text":
    sys.exit(0)
def note(what):
    with open({notes!r}, "a") as file:
        file.write(json.dumps([what, words]) + chr(10))
if module == "fail2fix.cluster.node":
    signal.signal(signal.SIGUSR1, lambda *_: (note("node ended"), os._exit(0)))
    server = socket.create_server(("", int(words[1])))
    note("node")
    signal.pause()
note(os.environ["RAY_ADDRESS"])
statuses = {statuses}
status = statuses[int(os.environ.get("SLURM_RESTART_COUNT", 0))]
if status is None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    while True:
        time.sleep(1)
sys.exit(status)
"""


@pytest.fixture
def cluster() -> Iterator[Slurm]:
    folder = Path(tempfile.mkdtemp(prefix="f2s", dir="/tmp"))
    try:
        with slurm.running(folder) as made:
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def submit(cluster: Slurm, options: list[str], words: list[str], **environment: str) -> str:
    """The job's number."""
    log = f"--output={cluster.folder}/job.log"
    said = cluster.call(SCRIPT, log, *options, "--", *words, GPUS="1", **environment)
    return said.split()[-1]


def stand_in(cluster: Slurm, statuses: list[int | None]) -> dict[str, str]:
    path = cluster.folder / "python"
    path.write_text(STAND_IN.format(python=sys.executable, notes=str(cluster.folder / "notes"), statuses=statuses))
    path.chmod(0o755)
    return {"PYTHON": str(path), "DATA": "/data"}


def notes(cluster: Slurm) -> list[tuple[str, list[str]]]:
    return [tuple(json.loads(line)) for line in (cluster.folder / "notes").read_text().splitlines()]


def trainings(cluster: Slurm) -> list[list[str]]:
    return [words for what, words in notes(cluster) if ":" in what]


def test_a_run_whose_time_is_up_is_warned_requeued_and_goes_on_under_its_name(cluster: Slurm) -> None:
    options = ["--time=1", "--signal=B:USR1@50"]
    job = submit(cluster, options, ["gsm8k", "x", "cipo", "a=1"], **stand_in(cluster, [None, 0]))
    assert cluster.wait(job) == "COMPLETED", (cluster.folder / "job.log").read_text()
    assert cluster.field(job, "Restarts") == "1"
    first, again = trainings(cluster)
    ours = ["trainer.nnodes=1", "trainer.n_gpus_per_node=1", f"fail2fix.run.name=slurm-{job}"]
    assert first[-4:] == [*ours, "a=1"]
    assert again[-5:] == [*ours, "a=1", "fail2fix.run.restart=true"]
    assert [what for what, _ in notes(cluster) if ":" not in what] == ["node", "node ended"] * 2


@pytest.mark.parametrize(
    ("statuses", "allowed", "state", "starts"),
    [
        ([75, 75, 0], "10", "COMPLETED", 3),
        ([75, 75, 0], "1", "FAILED", 2),
        ([75, 2, 0], "10", "FAILED", 2),
        ([137, 0], "10", "COMPLETED", 2),
    ],
)
def test_only_what_a_restart_can_help_is_requeued(
    cluster: Slurm, statuses: list[int | None], allowed: str, state: str, starts: int
) -> None:
    job = submit(cluster, [], ["gsm8k", "x", "cipo"], REQUEUES=allowed, **stand_in(cluster, statuses))
    assert cluster.wait(job) == state
    assert len(trainings(cluster)) == starts
    if state == "FAILED":
        assert cluster.field(job, "ExitCode") == f"{statuses[starts - 1]}:0"


def test_a_real_run_saves_at_the_warning_and_goes_on(cluster: Slurm, bench: Bench) -> None:
    """As at the end of its time, at a moment of the test's choice: once a step is done."""
    # The run's name is the job's.
    settings = [word for word in bench.arguments("-")[4:] if not word.startswith("fail2fix.run.name=")]
    words = [
        "arithmetic", "e2e", "quickstart", *settings, "trainer.experiment_name=e2e",
        "trainer.logger=[console]", "trainer.total_training_steps=12", "trainer.save_freq=100",
    ]  # fmt: skip
    environment = PLANTED | {"VERL_PLATFORM": "cpu", "PYTHON": sys.executable, "NODE_OPTIONS": "--num-cpus 16"}
    job = submit(cluster, [], words, DATA=str(bench.root / "arithmetic"), **environment)
    folder = bench.folder(f"slurm-{job}")
    log = cluster.folder / "job.log"
    until = time.monotonic() + 300
    while not (folder / "metrics.jsonl").exists():
        assert time.monotonic() < until, log.read_text()[-6000:]
        assert cluster.field(job, "JobState") in ("PENDING", "CONFIGURING", "RUNNING"), log.read_text()[-6000:]
        time.sleep(0.5)
    cluster.call("scancel", "--batch", "--signal=USR1", job)
    assert cluster.wait(job) == "COMPLETED", log.read_text()[-6000:]
    assert cluster.field(job, "Restarts") == "1"
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 13))
    saved = {path.name for path in (folder / "checkpoints").glob("global_step_*")} - {"global_step_12"}
    assert len(saved) == 1  # the step of the warning
    text = log.read_text(errors="replace")
    assert "SIGTERM: stopping after the running step" in text
    assert "stopped at once" not in text
    assert not any(secret in text for secret in PLANTED.values())
    left = [path for path in Path("/proc").glob("[0-9]*/environ") if _mentions(path, f"/tmp/fail2fix-{job}")]
    assert left == []


def _mentions(path: Path, text: str) -> bool:
    try:
        return int(path.parent.name) != os.getpid() and text.encode() in path.read_bytes()
    except OSError:
        return False
