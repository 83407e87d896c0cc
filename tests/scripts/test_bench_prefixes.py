"""The benchmark of shared starts runs and reports; its seconds are read by people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.forked import run_script

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench" / "prefixes.py"
pytestmark = pytest.mark.heavy


def test_both_engines_are_timed_on_the_same_rows() -> None:
    small = ["--cases", "a", "--repeats", "1", "--layers", "1", "--vocabulary", "256", "--dtype", "float32"]
    printed = run_script(SCRIPT, *small, "--threads", "1", preload=["verl.workers.engine_workers"])
    case = json.loads(printed[printed.index("{\n") :])["cases"]["a"]
    for name in ("log_probs_s", "log_probs_cpu_s", "update_s", "update_cpu_s"):
        assert min(case[name]["verl"], case[name]["ours"]) > 0
        assert len(case[name]["ratios"]) == 3
    assert case["log_probs_apart"] < 1e-5
    assert case["gradient_norms"]["ours"] == pytest.approx(case["gradient_norms"]["verl"], rel=1e-5)
    assert case["unread_share"] == pytest.approx(1 - (6 * (44 + 66) + 6 * (93 + 66)) / (36 * (56 + 105)), abs=0.01)


def test_tokens_are_counted_without_a_model() -> None:
    table = json.loads(run_script(SCRIPT, "--tokens"))
    for shape in table.values():
        assert shape["plain"]["unshared"]["to_plain_unshared"] == 1
        assert 1.3 < shape["block"]["unshared"]["to_plain_unshared"] < 1.45  # FIELD.md, C2
        assert shape["turn"]["shared"]["to_plain_unshared"] < shape["block"]["shared"]["to_plain_unshared"] < 1
