"""Checkpoints of one and two FSDP2 ranks, written once a session."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of checkpoints, named ``<case>-<ranks>``."""
    folder = tmp_path_factory.mktemp("checkpoints")
    processes = []
    for ranks in (1, 2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        for rank in range(ranks):
            arguments = ["-m", "tests.export.write_checkpoints", str(folder), str(rank), str(ranks), port]
            environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
            processes.append(subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment))
    try:
        assert [process.wait(timeout=300) for process in processes] == [0] * len(processes)
    finally:
        for process in processes:
            process.kill()
    return folder


@pytest.fixture
def checkpoint(written: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a checkpoint, to be damaged."""
    return lambda name: Path(shutil.copytree(written / name / "global_step_2", tmp_path / "global_step_2"))
