"""The item of shared starts: both engines with every attention, on the device (scripts/bench/prefixes.py)."""

from __future__ import annotations

import json
from typing import Any

from gpu.bench import Bench
from gpu.place import ROOT
from gpu.processes import end, wait
from gpu.report import Report

ATTENTIONS = ("sdpa", "flex_attention")
APART = 0.05  # of log-probabilities near -11 in bfloat16; fp32 on a CPU is within 1e-5 (tests/gradient)
NORMS_APART = 0.05  # relative, of gradients


def prefixes(bench: Bench) -> None:
    """Time both engines and compare what they compute; an attention that does not get through is a failure."""
    report = bench.report("prefixes", bench.sizes.prefixes_s)
    for attention in ATTENTIONS if not bench.cpu else ATTENTIONS[:1]:  # FlexAttention's gradients need a GPU
        out, name = bench.place.work / f"prefixes_{attention}.json", f"prefixes_{attention}"
        out.unlink(missing_ok=True)
        sizes = (*bench.sizes.prefixes, "--attention", attention, "--out", out)
        process = bench.start(report, name, bench.python(ROOT / "scripts" / "bench" / "prefixes.py", *sizes))
        status = wait(process, report.clock.left)
        end(process)
        if report.require(status == 0, f"{attention}: exit status {status}, see {bench.processes.log(name)}"):
            report.figures[attention] = json.loads(out.read_text())
            for case, found in report.figures[attention]["cases"].items():
                judge(report, f"{attention} {case}", found)
        report.save()
    report.end()
    bench.say(f"prefixes: {report.verdict}")


def judge(report: Report, name: str, found: dict[str, Any]) -> None:
    """Both engines compute the same; the table shows how much faster the update is."""
    norms = zip(found["gradient_norms"]["verl"], found["gradient_norms"]["ours"], strict=True)
    apart = max(abs(ours / theirs - 1) for theirs, ours in norms)
    report.require(found["log_probs_apart"] <= APART, f"{name}: log-probabilities differ by {found['log_probs_apart']}")
    report.require(apart <= NORMS_APART, f"{name}: gradients' norms differ by {apart:.1%}")
    report.shown[f"{name} update"] = found["update_s"]["ratios"][1]
