"""Train for hours and watch whether a run grows: memory, processes, threads, open files, shared memory.

    python scripts/faults/watch_growth.py --out DIR [--hours 2] [--source online]

Steps of the tiny model on the CPU, a checkpoint and a validation every twenty, with all processes of the real stack.
Every half minute DIR/samples.jsonl gets the step and, summed over the run's processes and for each kind of them, memory
(what a process alone holds: a library's page that it shares is no growth, and another run of this machine would change
whose it is), processes, threads and open files, and what /dev/shm holds. At the end the run is asked to stop, as
a user would (a file named stop), and DIR/growth.json says of each quantity what it was after the first ten steps and
at the end, each the median of a tenth of the samples, and how it changed an hour (least squares). Exit
status 1: something grew by more than a fiftieth and by more than its steps (`ALLOWED`), or the run did not end well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.e2e.conftest import Bench, make_bench
from tests.e2e.support.killing import Started

EVERY_S = 30.0
FIRST = 10  # steps in which caches fill and workers start
GROWTH = 0.02
# What comes and goes without growing: a worker of Ray's, a sandbox, an allocator's arena.
ALLOWED = {"memory_mib": 64.0, "processes": 2, "threads": 16, "open_files": 16, "shared_memory_mib": 8.0}
SETTINGS = (
    "trainer.total_training_steps=1000000",
    "trainer.total_epochs=1000000",
    "trainer.save_freq=20",
    "trainer.test_freq=20",
    "data.val_max_samples=6",
    "fail2fix.checkpoint.keep_last=2",
    "+actor_rollout_ref.rollout.engine_kwargs.vllm.num_gpu_blocks_override=512",
    "actor_rollout_ref.actor.optim.lr=1e-5",  # hours at the tests' rate end in one repeated token
)
# A /dev/shm and a /tmp that no other run of this machine uses, where we may mount them: what /dev/shm holds is then the
# run's own, and so are the sockets in /tmp through which verl syncs weights.
MOUNT = 'mount -t tmpfs tmpfs /dev/shm && mount -t tmpfs tmpfs /tmp && mkdir -p "$RAY_TMPDIR" && exec "$@"'
OWN_PLACES = ("unshare", "-m", "sh", "-c", MOUNT, "sh")
NAMES = ("WorkerDict", "vLLMHttpServer", "EngineCore", "VLLM::Worker", "RewardLoopWorker", "PromptIdsAgentLoop",
         "Fail2FixTaskRunner", "raylet", "gcs_server", "fail2fix.train")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=2.0, help="after the first ten steps (default: %(default)s)")
    parser.add_argument("--source", default="online", choices=("online", "offline", "lagged"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    places = OWN_PLACES if may_mount() else ()
    if places and any(path.resolve().is_relative_to("/tmp") for path in (given.out, Path(__file__))):
        parser.error("the run gets a /tmp of its own: neither --out nor this checkout can be below /tmp")
    bench = make_bench((given.out / "work").resolve())
    samples, status = watched(bench, given.source, given.hours, given.out / "samples.jsonl", places)
    about = {"source": given.source, "hours": given.hours, "exit_status": status, "machine": platform.platform(),
             "cores": psutil.cpu_count(), "command": " ".join(sys.argv)}  # fmt: skip
    report = about | growth(samples)
    (given.out / "growth.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return int(status != 0 or bool(report["grew"]))


def may_mount() -> bool:
    """Whether this is a root that may: in a container it often may not."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode == 0


def watched(
    bench: Bench, source: str, hours: float, file: Path, places: tuple[str, ...]
) -> tuple[list[dict[str, float]], int | None]:
    """Samples of a run until it has been watched so long, and its exit status."""
    folder = bench.folder("growth")
    shutil.rmtree(folder, ignore_errors=True)
    arguments = bench.arguments("growth", *SETTINGS, f"fail2fix.replay.source={source}", "fail2fix.offline.prompts=8")
    samples: list[dict[str, float]] = []
    with Started([*places, sys.executable, *arguments], bench.root) as run, file.open("w") as output:
        began = time.monotonic()
        while run.process.poll() is None:
            time.sleep(EVERY_S)
            step = steps_of(folder)
            if step < FIRST:
                began = time.monotonic()
                continue
            sample = {"seconds": round(time.monotonic() - began, 1), "step": step} | used(run.process.pid)
            samples.append(sample)
            output.write(json.dumps(sample) + "\n")
            output.flush()
            if sample["seconds"] >= hours * 3600:
                (folder / "stop").touch()
                break
        with suppress(RuntimeError):
            run.finish()
        shutil.copy(run.log, file.with_name("run.log"))
        return samples, run.process.poll()


def steps_of(folder: Path) -> int:
    metrics = folder / "metrics.jsonl"
    return len(metrics.read_bytes().splitlines()) if metrics.exists() else 0


def used(driver: int) -> dict[str, float]:
    """What all processes of a run use now; one that ends meanwhile counts with what was read of it."""
    sums: defaultdict[str, float] = defaultdict(float)
    with suppress(psutil.NoSuchProcess):
        for process in [psutil.Process(driver), *psutil.Process(driver).children(recursive=True)]:
            with suppress(psutil.Error, OSError):
                title = " ".join(process.cmdline())
                kind = next((name for name in NAMES if name in title), "others")
                held = {
                    "memory_mib": process.memory_full_info().uss / 2**20,
                    "processes": 1,
                    "threads": process.num_threads(),
                    "open_files": process.num_fds(),
                }
                for quantity, value in held.items():
                    sums[quantity] += value
                    sums[f"{quantity}/{kind}"] += value
    sums["shared_memory_mib"] = shutil.disk_usage(f"/proc/{driver}/root/dev/shm").used / 2**20
    return {name: round(value, 1) for name, value in sorted(sums.items())}


def growth(samples: list[dict[str, float]]) -> dict[str, object]:
    """What each quantity was at first and at last, its change an hour, and which of them grew."""
    part = max(1, len(samples) // 10)
    quantities, grew = {}, []
    hours = [sample["seconds"] / 3600 for sample in samples]
    for name in sorted({name for sample in samples for name in sample} - {"seconds", "step"}):
        values = [sample.get(name, 0.0) for sample in samples]
        first, last = (statistics.median(values[where]) for where in (slice(part), slice(-part, None)))
        slope = statistics.linear_regression(hours, values).slope if len(values) > 1 else 0.0
        quantities[name] = {"first": first, "last": last, "most": max(values), "an_hour": round(slope, 2)}
        if name in ALLOWED and last - first > max(ALLOWED[name], GROWTH * first):
            grew.append(name)
    steps = [int(sample["step"]) for sample in samples]
    return {"samples": len(samples), "steps": [steps[0], steps[-1]] if steps else [], "quantities": quantities,
            "grew": grew}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
