"""The benchmarks of the driver and of a validation run and report; their seconds are read by people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.support.tiny import make_tokenizer

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench" / "driver.py"


def test_the_benchmark_prints_parts_total_and_ratio_for_both_forms(tmp_path: Path) -> None:
    make_tokenizer().save_pretrained(tmp_path)
    command = [sys.executable, str(SCRIPT), "--tokenizer", str(tmp_path), "--problems", "8", "--repeats", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout[done.stdout.index("{") :])["B=8, G=8"]
    assert result["rows"] == 128
    for form in ("block", "turn"):
        assert result[form]["attempts"] == 8
        assert form in result[form]["forms"]
        for ranks in ("ranks_1", "ranks_8"):
            figures = result[form][ranks]
            assert {"selection", "prompts", "metrics", "join"} <= figures["seconds"].keys()
            assert figures["total"] > 0
            assert figures["ratio_to_verl"] > 0


def test_the_validation_benchmark_compares_scoring_and_summary_with_verl(tmp_path: Path) -> None:
    make_tokenizer().save_pretrained(tmp_path)
    script, out = SCRIPT.with_name("validation.py"), tmp_path / "validation.json"
    command = [sys.executable, str(script), "--tokenizer", str(tmp_path), "--problems", "8", "--rounds", "3"]
    done = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result = json.loads(out.read_text())
    assert result["cpu_s"].keys() == {"scoring", "summary", "total"}
    assert result["val_metrics"]["ours"] < result["val_metrics"]["verl"]
