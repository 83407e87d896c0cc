"""Checkpoints of one and two FSDP2 ranks, written once a session."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.export.write_checkpoints import write_checkpoints


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of checkpoints, named ``<case>-<ranks>``."""
    folder = tmp_path_factory.mktemp("checkpoints")
    write_checkpoints(folder)
    return folder


@pytest.fixture
def checkpoint(written: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a checkpoint, to be damaged."""
    return lambda name: Path(shutil.copytree(written / name / "global_step_2", tmp_path / "global_step_2"))
