"""The benchmarks of the driver and of a validation run and report; their seconds are read by people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.support.tiny import make_tokenizer
from tests.forked import run_script

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench" / "driver.py"
pytestmark = pytest.mark.heavy
VERL = ["verl.trainer.ppo.ray_trainer"]  # its imports take most of the time


def test_the_benchmark_prints_parts_total_and_ratio_for_both_forms(tmp_path: Path) -> None:
    make_tokenizer().save_pretrained(tmp_path)
    printed = run_script(SCRIPT, "--tokenizer", str(tmp_path), "--problems", "8", "--repeats", "1", preload=VERL)
    result = json.loads(printed[printed.index("{") :])["B=8, G=8"]
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
    sizes = ["--problems", "8", "--rounds", "3"]
    run_script(script, "--tokenizer", str(tmp_path), *sizes, "--out", str(out), preload=VERL)
    result = json.loads(out.read_text())
    assert result["cpu_s"].keys() == {"scoring", "summary", "total"}
    assert result["val_metrics"]["ours"] < result["val_metrics"]["verl"]
