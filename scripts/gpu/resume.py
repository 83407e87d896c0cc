"""The resumption item: a learning run trained two steps further, from its checkpoint."""

from __future__ import annotations

import re

from gpu import figures
from gpu.bench import Bench
from gpu.learning import arguments, run_name
from gpu.processes import end, wait
from gpu.settings import CONFIGS

MORE = 2


def resume(bench: Bench) -> None:
    """Resume the first cipo run; every step must be in its metrics once."""
    report = bench.report("resume", bench.sizes.resume_s)
    config = CONFIGS[0]
    folder = bench.place.run(run_name(config, 0))
    matches = (re.fullmatch(r"global_step_(\d+)", path.name) for path in (folder / "checkpoints").glob("*"))
    saved = max((int(match[1]) for match in matches if match), default=None)
    if report.require(saved is not None, f"no checkpoint below {folder}: run the item `learning` first"):
        last = saved + MORE
        (folder / "stop").unlink(missing_ok=True)
        process = bench.start(report, "resume", bench.python(*arguments(bench, config, 0, last)))
        status = wait(process, report.clock.left)
        end(process)
        numbers = [step["step"] for step in figures.rows(folder)]
        report.require(status == 0, f"exit status {status}, see {bench.processes.log('resume')}")
        report.require(numbers == list(range(last + 1)), f"steps {numbers[-5:]}, every one up to {last} is wanted once")
        report.figures = {"checkpoint": saved, "steps": numbers}
        report.shown = {"from step": saved, "to step": max(numbers, default=None)}
    report.given_up += bench.remedies.words
    report.end()
    bench.say(f"resume: {report.verdict}")
