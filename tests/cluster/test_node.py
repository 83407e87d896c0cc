"""A node of a Ray cluster is there when it says so, and gone with everything of it when it is told to go."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import psutil
import pytest
import requests

from fail2fix.cluster import job as ray_job
from fail2fix.cluster.joining import answers
from fail2fix.cluster.node import Node
from fail2fix.cluster.processes import runs
from tests.e2e.test_cluster import BESIDE, free_port

SECRET = "a-secret-of-this-test"


@pytest.fixture
def scratch() -> Iterator[Path]:
    # Ray's sockets need a short path.
    folder = Path(tempfile.mkdtemp(prefix="f2n", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def start(scratch: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"VERL_PLATFORM": "cpu", "RAY_TMPDIR": str(scratch), "WANDB_API_KEY": SECRET}
    command = [sys.executable, "-m", "fail2fix.cluster.node", *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def wait_for(node: subprocess.Popen[str], line: str) -> None:
    assert node.stderr is not None
    said = []
    while (said_line := node.stderr.readline()) and line not in said_line:
        said.append(said_line)
    assert line in said_line, "".join(said)


def below(process: int) -> list[psutil.Process]:
    return psutil.Process(process).children(recursive=True)


@pytest.mark.e2e
@pytest.mark.parametrize("end", ["signal", "loss"])
def test_a_node_ends_with_all_its_processes(scratch: Path, end: str) -> None:
    port = free_port()
    options = ["--port", str(port), "--num-cpus", "1", "--include-dashboard", "false", *BESIDE]
    node = start(scratch, *options)
    try:
        wait_for(node, "fail2fix.cluster.node: ready")
        assert answers(f"127.0.0.1:{port}")
        family = below(node.pid)
        assert {"raylet", "gcs_server"} <= {process.name() for process in family}
        if end == "signal":
            node.send_signal(signal.SIGTERM)
        else:
            next(process for process in family if process.name() == "raylet").kill()
        assert node.wait(timeout=60) == (0 if end == "signal" else 75)
        assert not any(runs(process) for process in family)
        assert not any(SECRET in path.read_text(errors="replace") for path in scratch.rglob("*.log"))
    finally:
        node.kill()


def test_a_node_waits_for_its_head_and_can_be_called_off(scratch: Path) -> None:
    node = start(scratch, f"127.0.0.1:{free_port()}")
    wait_for(node, "waiting for the head at 127.0.0.1:")
    assert node.poll() is None
    node.send_signal(signal.SIGTERM)
    assert node.wait(timeout=30) == 0


def test_the_head_and_the_others_are_started_with_the_users_options() -> None:
    head, other = Node("", ["--num-gpus", "8"]).command, Node("host:1", ["--num-gpus", "8"]).command
    assert head[3:] == ["start", "--head", "--disable-usage-stats", "--num-gpus", "8"]
    assert other[3:] == ["start", "--address", "host:1", "--disable-usage-stats", "--num-gpus", "8"]


def run_job(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fail2fix.cluster.job", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


TELL = """
import json, os, sys
print("told", json.dumps([sys.argv[1:], os.environ["WANDB_API_KEY"], bool(os.environ["RAY_ADDRESS"])]))
sys.exit(75)
"""


@pytest.mark.e2e
def test_a_job_gets_its_words_as_they_are_and_the_nodes_environment(scratch: Path) -> None:
    door = free_port()
    node = start(scratch, "--port", str(free_port()), "--num-cpus", "1", "--dashboard-port", str(door), *BESIDE)
    try:
        wait_for(node, "ready")
        words = ["a={b:[c,d]}", "two words", "it's $HOME", "*"]
        done = run_job(f"http://127.0.0.1:{door}", sys.executable, "-c", TELL, *words)
        assert done.returncode == 75, done.stderr
        told = next(line for line in done.stdout.splitlines() if line.startswith("told "))
        assert json.loads(told.removeprefix("told ")) == [words, SECRET, True]
    finally:
        node.send_signal(signal.SIGTERM)
        node.wait(timeout=60)


def test_a_job_needs_a_cluster_and_a_command() -> None:
    done = run_job("http://x:1")
    assert done.returncode == 2
    assert done.stderr.startswith("fail2fix.cluster.job: usage: ")
    assert done.stderr.count("\n") == 1


async def _ask_nobody(port: int) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{port}"):
        pass


def test_a_lost_connection_is_one_in_the_words_of_every_library_that_ray_asks_with() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ray_job.UNREACHED):
        asyncio.run(_ask_nobody(port))
    with pytest.raises(ray_job.UNREACHED):
        requests.get(f"http://127.0.0.1:{port}", timeout=5)
    assert issubclass(aiohttp.ServerDisconnectedError, ray_job.UNREACHED)
