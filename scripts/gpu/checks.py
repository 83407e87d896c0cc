"""Two items without an engine, at once: what a run stands on (probe.py); lambda = 0 on the device (lambda_zero.py)."""

from __future__ import annotations

import json
from typing import Any

from gpu.bench import Bench
from gpu.processes import end, wait
from gpu.report import Report


def checks(bench: Bench) -> None:
    """Run both; neither runs on while an engine measures the device's memory."""
    limits = {"lambda_zero": bench.sizes.lambda_zero_s} | ({} if bench.cpu else {"probe": bench.sizes.probe_s})
    reports = {name: bench.report(name, limit) for name, limit in limits.items()}
    commands = {name: bench.script(name, bench.place.work / f"{name}.json") for name in limits}
    for name in limits:
        (bench.place.work / f"{name}.json").unlink(missing_ok=True)
    processes = {name: bench.start(reports[name], name, commands[name]) for name in limits}
    for name in reversed(limits):  # the probe has the shorter limit
        status = wait(processes[name], reports[name].clock.left)
        end(processes[name])
        read(bench, reports[name], status)


def read(bench: Bench, report: Report, status: int | None) -> None:
    """Take over the figures that a script left, as far as it came."""
    path = bench.place.work / f"{report.name}.json"
    report.figures = json.loads(path.read_text()) if path.exists() else {}
    report.require(status == 0, ended(status, bench, report.name))
    judge = {"probe": probe, "lambda_zero": lambda_zero}[report.name]
    judge(report, report.figures)
    if status != 0:
        report.figures["error"] = bench.processes.tail(report.name, 40)
    report.end()
    bench.say(f"{report.name}: {report.verdict} {report.failures or ''}")


def ended(status: int | None, bench: Bench, name: str) -> str:
    how = "over its time limit" if status is None else f"exit status {status}"
    return f"{how}, see {bench.processes.log(name)}"


def probe(report: Report, found: dict[str, Any]) -> None:
    for name, check in found.items():
        report.require(check["passed"], f"{name}: {str(check['found']).strip().splitlines()[-1:]}")
    report.shown = {"checks passed": f"{sum(check['passed'] for check in found.values())} of {len(found)}"}


def lambda_zero(report: Report, found: dict[str, Any]) -> None:
    report.require(bool(found.get("passed")), "lambda = 0 is not stock GRPO's update, or lambda = 1 is")
    report.shown = {"largest difference": found.get("largest"), "of lambda = 1": found.get("lambda_one_differs_by")}
