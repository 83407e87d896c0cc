"""The GPU check walked on a CPU: every item leaves its report; a killed check leaves what it has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
LIMIT_S = 1200  # on a free machine
ITEMS = {"prepare", "lambda_zero", "main", "learning", "resume", "prefixes"}


def start(out: Path, *options: str) -> psutil.Popen:
    command = ["scripts/gpu_check", str(out), "--cpu", f"--limit={LIMIT_S}", *options]
    environment = os.environ | {"PYTHON": sys.executable}
    return psutil.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def reports(out: Path) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}


def test_every_item_passes_and_leaves_its_report(tmp_path: Path) -> None:
    began, check = time.monotonic(), start(tmp_path)
    table = check.communicate()[0]
    found = reports(tmp_path)
    assert check.returncode == 0, table
    assert time.monotonic() - began < LIMIT_S
    assert found.keys() == ITEMS
    assert all(item["verdict"] == "passed" and item["failures"] == [] for item in found.values()), table
    assert all(item["commit"] and item["machine"] and item["versions"] for item in found.values())
    assert found["main"]["figures"]["turns"].keys() == {"plain", "online", "lagged"}
    assert found["main"]["figures"]["counted_rounds_seeded"] is True, "a CPU's default"
    assert found["lambda_zero"]["figures"]["lambda_one_differs_by"] > 0
    assert all(name in table for name in ITEMS)


def test_a_check_killed_in_the_middle_leaves_what_it_has_and_no_process(tmp_path: Path) -> None:
    check = start(tmp_path, "--only", "checks")
    while not (tmp_path / "lambda_zero.json").exists():
        assert check.poll() is None
        time.sleep(0.2)
    time.sleep(2)
    family = check.children(recursive=True)
    check.send_signal(signal.SIGTERM)
    table = check.communicate(timeout=60)[0]
    assert check.returncode == 143
    found = reports(tmp_path)
    assert found["prepare"]["verdict"] == "passed"
    assert found["lambda_zero"]["verdict"] == "interrupted"
    assert found["lambda_zero"]["commands"], "what ran is said"
    assert "interrupted" in table
    assert not psutil.wait_procs(family, timeout=10)[1]
