"""Two Ray nodes on this machine, through scripts/cluster.sh: they train together, and stay when the training ends."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import PLANTED, Bench, Run, holding

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "cluster.sh"
# Beside another Ray on its machine, a node needs ports of its own.
BESIDE = ["--min-worker-port", "0", "--max-worker-port", "0", "--dashboard-agent-listen-port", "0"]
LOGICAL = ["--num-gpus", "1", "--num-cpus", "16", *BESIDE]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Cluster:
    """Two nodes of one cluster on this machine."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.port, self.jobs = free_port(), free_port()
        self.environment = os.environ | PLANTED | {
            "VERL_PLATFORM": "cpu", "PYTHON": sys.executable, "PORT": str(self.port), "RAY_TMPDIR": str(scratch),
            "JOBS": f"http://127.0.0.1:{self.jobs}",
        }  # fmt: skip

    def call(self, *arguments: str, node: str = "head", **environment: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment | {"NODE": str(self.scratch / node)} | environment
        command = [str(SCRIPT), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)

    def up(self) -> None:
        head = self.call("head", *LOGICAL, "--dashboard-port", str(self.jobs))
        assert head.returncode == 0, head.stderr
        other = self.call("join", "127.0.0.1", *LOGICAL, node="other")
        assert other.returncode == 0, other.stderr

    def down(self) -> None:
        for node in ("other", "head"):
            self.call("down", node=node)

    def processes(self) -> dict[int, str]:
        """What runs with this cluster's folder."""
        found = {}
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get("RAY_TMPDIR") == str(self.scratch):
                    found[process.pid] = process.name()
            except psutil.Error:
                continue
        return found

    def train(self, bench: Bench, name: str, *overrides: str) -> Run:
        settings = bench.arguments(name)[4:]
        done = self.call(
            "train", name, "arithmetic", "e2e", "quickstart", *settings, "trainer.experiment_name=e2e",
            "trainer.logger=[console]", "trainer.nnodes=2", "trainer.n_gpus_per_node=1", *overrides,
            DATA=str(bench.root / "arithmetic"),
        )  # fmt: skip
        told = tuple(holding(self.scratch, PLANTED.values()))
        return Run(done.returncode, done.stdout + done.stderr, bench.folder(name), told)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    # Ray's sockets need a short path.
    scratch = Path(tempfile.mkdtemp(prefix="f2c", dir="/tmp"))
    made = Cluster(scratch)
    try:
        yield made
    finally:
        made.down()
        shutil.rmtree(scratch, ignore_errors=True)


def test_two_nodes_train_together_and_a_run_goes_on_in_the_cluster_it_left(bench: Bench, cluster: Cluster) -> None:
    cluster.up()
    first = cluster.train(bench, "two-nodes", "trainer.save_freq=1").ok()
    assert sorted(first.metrics()) == [1, 2]
    shards = {path.name for path in (first.folder / "checkpoints" / "global_step_2" / "actor").glob("model_*.pt")}
    assert shards == {"model_world_size_2_rank_0.pt", "model_world_size_2_rank_1.pt"}
    names = list(cluster.processes().values())
    assert names.count("raylet") == 2
    assert not any("vllm" in name.lower() or "WorkerDict" in name for name in names)

    again = cluster.train(bench, "two-nodes", "trainer.save_freq=1", "trainer.total_training_steps=3").ok()
    assert sorted(again.metrics()) == [1, 2, 3]
    assert first.told == again.told == ()

    cluster.down()
    assert cluster.processes() == {}
