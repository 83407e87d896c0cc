"""Broken runs of the real stack end as they must (`tests.e2e.support.faults`); each in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.conftest import Bench
from tests.e2e.support.faults import FAULTS, ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]


def outcome(bench: Bench, name: str) -> dict[str, Any]:
    out = bench.root / "faults"
    out.mkdir(exist_ok=True)
    if not (out / "bench").exists():
        (out / "bench").symlink_to(bench.root)
    script = ROOT / "scripts" / "faults" / "inject_faults.py"
    done = subprocess.run([sys.executable, str(script), str(out), name], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((out / f"{name}.json").read_text())


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_outcome(bench: Bench, name: str) -> None:
    if FAULTS[name].tmpfs and os.geteuid() != 0:
        pytest.skip("a full file system takes a mount, which takes root")
    end = outcome(bench, name)
    assert end["status"] == FAULTS[name].status, end
    assert end["left_behind"] == 0, end
    assert end["lost"] in ("nothing", "the running step"), end
    if name.startswith(("reward_bug", "reward_nan")):
        assert "faulty_rewards.py:" in end["line"], "names the function"
        assert end["steps"] == (0 if name.startswith("reward_bug") else 1), "no update with such rewards"
    if end["status"] in (70, 74, 75):
        assert end["line"].startswith("fail2fix: error: "), end
        assert "last checkpoint: " in end["line"], end
