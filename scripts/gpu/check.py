"""Run the GPU check's items, most valuable first; `scripts/gpu_check` calls this.

    python scripts/gpu/check.py OUT [--only ITEM...] [--limit SECONDS] [--cpu] [--carried FOLDER]

OUT gets a JSON for each item: commit, machine, versions, commands, seconds, figures, failures, what was given up. An
interrupted check leaves what it has. A second call on the same machine finds what the first one left (`--work`). Ends
with a table; exit status 0 only if every item passed. `--cpu` walks the same way with tiny sizes, without the probe.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

# `gpu` is this folder, `fail2fix` and `tests` are beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpu.bench import Bench, variables
from gpu.checks import checks
from gpu.clock import Clock
from gpu.learning import learning
from gpu.main_training import main_training
from gpu.place import Place
from gpu.prefixes import prefixes
from gpu.prepare import prepare
from gpu.processes import Processes
from gpu.remedies import Remedies
from gpu.report import table
from gpu.resume import resume

ITEMS = {"checks": checks, "main": main_training, "learning": learning, "resume": resume, "prefixes": prefixes}
# An item with less time is not started.
ENOUGH_S = {"checks": 20.0, "main": 60.0, "learning": 60.0, "resume": 30.0, "prefixes": 30.0}


def main() -> int:
    """The command line."""
    given = arguments()
    place = place_of(given)
    place.make()
    processes, remedies = Processes(place, variables(given.cpu, place)), Remedies(place.work / "remedies.json")
    wanted = tuple(given.only)
    bench = Bench(place, given.cpu, Clock(given.limit), origin(place, given.cpu), processes, remedies, wanted)
    on_end(lambda number, _: sys.exit(128 + number))
    try:
        run(bench)
    except KeyboardInterrupt:
        return 130
    finally:
        finish(bench)
    return int(any(report.verdict != "passed" for report in bench.reports))


def on_end(handler: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
    """Handle the signals that end a check; one that is ignored (nohup) stays ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", choices=ITEMS, default=list(ITEMS))
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds of the whole check (default: %(default)s)")
    parser.add_argument("--cpu", action="store_true", help="walk the same way on a CPU, with tiny sizes")
    parser.add_argument("--carried", type=Path, help="the offline archive's folder; without it, models are made here")
    parser.add_argument("--work", type=Path, help="models, runs, logs (default: beside FOLDER, or OUT/work)")
    given = parser.parse_args()
    if not given.cpu and not shutil.which("nvidia-smi"):
        parser.error("no nvidia-smi on this machine: run the check on a GPU machine, or give --cpu")
    if given.carried and not (given.carried / "tiny" / "model" / "config.json").is_file():
        parser.error(f"--carried {given.carried}: no tiny/model there; unpack the archive (scripts/gpu_archive)")
    return given


def place_of(given: argparse.Namespace) -> Place:
    out, carried = given.out.resolve(), given.carried and given.carried.resolve()
    work = given.work or ((carried.parent / "check") if carried else out / "work")
    return Place(out, work.resolve(), carried)


def run(bench: Bench) -> None:
    """The items in their order, as far as the time goes."""
    prepare(bench)
    for name, item in ITEMS.items():
        if name not in bench.wanted:
            continue
        if bench.clock.left > ENOUGH_S[name]:
            item(bench)
            continue
        report = bench.report(name, 0)
        report.failures.append(f"not started: {bench.clock.left:.0f} s are left of {bench.clock.limit_s:.0f}")
        report.end()


def finish(bench: Bench) -> None:
    """End every child, write every report, print the table."""
    on_end(signal.SIG_IGN)
    bench.processes.end_all()
    for report in bench.reports:
        report.save()
    keep(bench.place)
    print(table(bench.reports), flush=True)


def keep(place: Place) -> None:
    """Keep the reports for a later call, and pack the logs into OUT if the work folder is elsewhere."""
    if place.work.is_relative_to(place.out):
        return
    reports = place.work / "reports"
    reports.mkdir(exist_ok=True)
    for path in place.out.glob("*.json"):
        shutil.copy(path, reports)
    for path in reports.glob("*.json"):
        if not (place.out / path.name).exists():
            shutil.copy(path, place.out)
    with tarfile.open(place.out / "logs.tar.gz", "w:gz") as archive:
        archive.add(place.logs, "logs")
        for path in (place.work / "runs").glob("gpu/*/*.*"):
            if path.suffix in (".jsonl", ".json", ".yaml"):
                archive.add(path, path.relative_to(place.work))


def origin(place: Place, cpu: bool) -> dict[str, Any]:
    """What every report says of its origin: commit, machine, versions."""
    from fail2fix.run.provenance import versions

    found = {name: value for name, value in versions().items() if name != "command"}
    carried = place.carried and place.carried / "commit"
    own = found.pop("commit")
    commit = carried.read_text().strip() if carried and carried.exists() else own
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    gpus = [] if cpu else subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    machine = {"platform": found["platform"], "cpus": os.cpu_count(), "device": "cpu" if cpu else "gpu", "gpus": gpus}
    return {"commit": commit, "machine": machine, "versions": json.loads(json.dumps(found)), "command": sys.argv}


if __name__ == "__main__":
    sys.exit(main())
