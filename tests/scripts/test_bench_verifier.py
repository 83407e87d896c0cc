"""The benchmark of the verifier runs and reports; its CPU seconds are read by people."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench" / "verifier.py"
ROWS = [
    {"gold": "7", "response": r"It is \boxed{7}.", "equal": True},
    {"gold": "x+1", "response": r"It is \boxed{|x|+1}.", "equal": False},
]


def test_the_benchmark_prints_cpu_time_of_each_side_on_each_set(tmp_path: Path) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "processbench_pairs.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "hardverify_math.jsonl").write_text(lines)
    command = [sys.executable, str(SCRIPT), str(tmp_path), "--repeats", "1", "--peers", "math-verify"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    sets = json.loads(done.stdout)["sets"]
    assert set(sets) == {"full", "boxed", "hard"}
    for figures in sets.values():
        assert figures["rows"] == len(ROWS)
        assert set(figures["sides"]) == {"ours", "math-verify"}
        assert all(side["cpu_ms"] > 0 and side["late"] == 0 for side in figures["sides"].values())
        assert set(figures["times_ours"]) == {"math-verify"}
