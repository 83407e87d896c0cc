"""A few hundred fuzzed strings through the real pool; the script runs any number of them."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "faults" / "fuzz_verifier.py"


def test_fuzzed_strings_neither_crash_nor_hang_nor_leak() -> None:
    # The seed is new each time, and named by the report: a failure is repeated with --seed.
    command = [sys.executable, str(SCRIPT), "--strings", "300", "--seed", str(random.randrange(10**6))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    result = json.loads(done.stdout)
    assert done.returncode == 0, result
    assert sum(result["statuses"].values()) == 300
    assert result["crashes"] == []
    assert result["late"] == result["leaked_processes"] == 0
