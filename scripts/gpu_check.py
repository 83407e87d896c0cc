"""What a GPU has to show, item by item; gpu_check.sh calls this.

    python scripts/gpu_check.py OUT [--items quickstart lambda_zero sleep step_time learning] [--device gpu|cpu]
        [--model PATH] [--setup NAME] [--steps N] [--repeats N] [--seeds N] [--rollouts N] [key=value ...]

OUT gets a JSON an item with machine, versions, commands, figures and failures; an item that has passed with the
same versions and options is not run again. Training goes to OUT/runs; overrides hold for every training of every
item. On a CPU the same code runs, and what only a GPU can show is not claimed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 7800.0
PEARSON = 0.99  # rollout against actor: the engine has the actor's weights
GRADIENT = {"cpu": 1e-4, "gpu": 2e-2}  # relative difference of two gradient norms: fp32, bf16


@dataclass
class Item:
    """One item's runs and findings."""

    given: argparse.Namespace
    name: str
    commands: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def runs(self) -> Path:
        return self.given.out.resolve() / "runs"

    def require(self, holds: bool, what: str) -> None:
        if not holds:
            self.failures.append(what)

    def call(self, command: list[str]) -> None:
        """Run a command to its end or its limit; its output goes to OUT/logs."""
        self.commands.append(" ".join(command))
        log = self.given.out / "logs" / f"{self.name}-{len(self.commands)}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as output:
            status = subprocess.run(
                ["timeout", "--kill-after=60", str(int(LIMIT_S)), *command],
                cwd=ROOT, env=environment(self.given.device), stdout=output, stderr=subprocess.STDOUT, check=False,
            ).returncode  # fmt: skip
        self.require(status == 0, f"exit status {status}, see {log}")

    def train(self, run: str, config: str, *overrides: str) -> list[dict[str, Any]]:
        """Train; every step's metrics."""
        self.call([
            sys.executable, "-m", "fail2fix.train", "--config-name", config, *self.trained_on(),
            f"fail2fix.run.root={self.runs.parent}", "trainer.experiment_name=runs", f"fail2fix.run.name={run}",
            "trainer.logger=[console]", *overrides, *self.given.overrides,
        ])  # fmt: skip
        metrics = self.runs / run / "metrics.jsonl"
        return [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []

    def trained_on(self) -> list[str]:
        """Setup, device and model, as overrides."""
        given = self.given
        model = [f"actor_rollout_ref.model.path={given.model}"] if given.model else []
        return [f"setup={given.setup}", *self.one_device(), *model]

    def one_device(self) -> list[str]:
        """A GPU, or the CPU in the precision that ``GRADIENT`` is for."""
        on_cpu = self.given.device == "cpu"
        return ["device=cpu_fp32"] if on_cpu else ["trainer.nnodes=1", "trainer.n_gpus_per_node=1"]

    def in_sync(self, steps: list[dict[str, Any]], run: str) -> float:
        """The least correlation of a run's rollouts with its actor; nan if a step has none. It has to be high."""
        pearson = [row.get("training/rollout_actor_probs_pearson_corr", math.nan) for row in steps]
        least = math.nan if any(map(math.isnan, pearson)) else min(pearson, default=math.nan)
        self.require(least > PEARSON, f"{run}: rollout and actor correlate by {least} only")
        return least

    def begin(self, run: str) -> str:
        """A run's name, its folder empty."""
        shutil.rmtree(self.runs / run, ignore_errors=True)
        return run


def quickstart(item: Item) -> None:
    """Both streams on this device: weights synced, loss finite, a checkpoint written and resumed."""
    run = item.begin("quickstart")
    last = max(4, item.given.steps)
    often = ("trainer.save_freq=2", "trainer.test_freq=2", "fail2fix.checkpoint.keep_last=1")
    item.train(run, "cipo", "trainer.total_training_steps=2", *often)
    steps = [row for row in item.train(run, "cipo", f"trainer.total_training_steps={last}", *often) if row["step"] > 0]
    item.require([row["step"] for row in steps] == list(range(1, last + 1)), "a step is missing or there twice")
    pearson = item.in_sync(steps, run)
    finite = [math.isfinite(row.get(f"actor/{name}", math.nan)) for row in steps for name in ("pg_loss", "grad_norm")]
    item.require(all(finite), "a loss or a gradient is not finite, or missing")
    corrections = [row.get("fail2fix/correction/rollouts", 0) for row in steps]
    item.require(sum(corrections) > 0, "no corrections")
    state = item.runs / run / "checkpoints" / f"global_step_{last}" / "fail2fix_state.json"
    item.require(state.exists(), "no checkpoint of the last step")
    item.figures = {"steps": len(steps), "pearson_min": pearson, "corrections": corrections}


def lambda_zero(item: Item) -> None:
    """lambda = 0 is GRPO on the base rows: one gradient norm, under dynamic batch sizes."""
    same = ("trainer.total_training_steps=1", "trainer.val_before_train=false", "trainer.test_freq=-1",
            "trainer.save_freq=-1", "actor_rollout_ref.actor.use_dynamic_bsz=true",
            "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=8192")  # fmt: skip
    (grpo,) = item.train(item.begin("grpo"), "grpo", *same) or [{}]
    (ours,) = item.train(item.begin("lambda-zero"), "cipo", *same, "fail2fix.correction.weight=0") or [{}]
    norms = [row.get("actor/grad_norm", math.nan) for row in (grpo, ours)]
    difference = abs(norms[0] - norms[1]) / norms[0] if norms[0] else math.nan
    texts = [sorted(outputs(item.runs / run / "rollouts" / "1.jsonl")) for run in ("grpo", "lambda-zero")]
    shared = sum(one == other for one, other in zip(*texts, strict=False)) / max(1, len(texts[0]))
    # A GPU's engine may write other rollouts in another batch, and then there is nothing to compare.
    item.require(all(texts), "a run dumped no base rollouts")
    comparable = shared == 1.0 or item.given.device == "cpu"
    item.require(not comparable or difference <= GRADIENT[item.given.device], f"gradient norms {norms}")
    item.require(ours.get("fail2fix/correction/rollouts", 0) > 0, "no corrections beside it")
    item.figures = {"grad_norms": norms, "relative_difference": difference, "same_base_rollouts": shared}
    if not comparable:
        item.figures["unproven"] = "the two runs wrote different rollouts: their gradients do not compare"


def outputs(dump: Path) -> list[str]:
    """The base rollouts' texts in a dump."""
    rows = [json.loads(line) for line in dump.read_text().splitlines()] if dump.exists() else []
    return [row["input"] + row["output"] for row in rows if row.get("stream") == "base"]


def sleep(item: Item) -> None:
    """Engines sleep and wake between the streams and the update, step after step, under every schedule."""
    for schedule in ("serial", "streaming", "lagged"):
        run = item.begin(f"sleep-{schedule}")
        steps = item.train(
            run, "cipo", f"fail2fix.schedule={schedule}", f"trainer.total_training_steps={item.given.steps}",
            "trainer.val_before_train=false", "trainer.test_freq=-1", "trainer.save_freq=-1",
        )  # fmt: skip
        item.require(len(steps) == item.given.steps, f"{schedule}: {len(steps)} steps of {item.given.steps}")
        streamed = sum("fail2fix/replay/late_groups" in row for row in steps)
        item.require(schedule != "streaming" or streamed > 0, "no step streamed")
        item.figures[schedule] = {"steps": len(steps), "pearson_min": item.in_sync(steps, schedule)}
    if item.given.device == "cpu":
        item.figures["unproven"] = "sleep mode is off on a CPU: only a GPU shows it"


def step_time(item: Item) -> None:
    """Plain GRPO with as many rollouts : serial : streaming : lagged, in one run (bench_step.py)."""
    given = item.given
    small = given.device == "cpu" and not given.overrides  # bench_step.py's own sizes
    overrides = [] if small else ["--config=cipo", *item.trained_on(), *given.overrides]
    folder = given.out.resolve() / "step_time"
    lengths = [f"--repeats={given.repeats}", f"--mean={given.mean}", f"--sigma={given.sigma}", f"--cap={given.cap}"]
    item.call([sys.executable, "scripts/bench_step.py", "--out", str(folder), *lengths, *overrides])
    report = folder / "step.json"
    item.figures = json.loads(report.read_text()) if report.exists() else {}


def learning(item: Item) -> None:
    """cipo against grpo_bs256 at equal rollouts, over seeds (compare.sh)."""
    given = item.given
    folder = given.out.resolve() / "learning"
    item.call([
        "scripts/compare.sh", "grpo_bs256", "cipo", "--seeds", str(given.seeds), "--rollouts", str(given.rollouts),
        "--out", str(folder), f"setup={given.learning_setup}", *item.one_device(), *given.overrides,
    ])  # fmt: skip
    report = folder / "comparison.json"
    item.figures = json.loads(report.read_text()) if report.exists() else {}


ITEMS: dict[str, Callable[[Item], None]] = {
    "quickstart": quickstart,
    "lambda_zero": lambda_zero,
    "sleep": sleep,
    "step_time": step_time,
    "learning": learning,
}


def has_passed(report: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether an item's report is of a pass of what is asked now."""
    return not report["failures"] and all(report.get(name) == value for name, value in asked.items())


def environment(device: str) -> dict[str, str]:
    variables = os.environ | {"PYTHON": sys.executable, "DEVICE": device}
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return variables | ({"VERL_PLATFORM": "cpu"} if device == "cpu" else {})


def machine(device: str) -> dict[str, Any]:
    found: dict[str, Any] = {"platform": platform.platform(), "cores": os.cpu_count(), "device": device}
    if device == "gpu":
        query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        found["gpus"] = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--items", nargs="+", choices=ITEMS, default=list(ITEMS))
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu" if shutil.which("nvidia-smi") else "cpu")
    parser.add_argument("--model", help="of the first four items: folder or hub id; without it, the setup's own")
    parser.add_argument("--setup", default="arithmetic", help="what the first four items train on")
    parser.add_argument("--learning-setup", default="sorting", help="what the last one trains on: half solved at first")
    parser.add_argument("--steps", type=int, default=20, help="of quickstart and sleep")
    parser.add_argument("--repeats", type=int, default=3, help="of step_time")
    parser.add_argument("--mean", type=float, default=64, help="tokens of a rollout in step_time")
    parser.add_argument("--sigma", type=float, default=1.0, help="of their logarithm")
    parser.add_argument("--cap", type=int, default=512, help="the most tokens")
    parser.add_argument("--seeds", type=int, default=3, help="of learning")
    parser.add_argument("--rollouts", type=int, default=1024, help="of each run of learning")
    given, given.overrides = parser.parse_known_args()
    if unknown := [argument for argument in given.overrides if argument.startswith("--") or "=" not in argument]:
        parser.error(f"{unknown[0]!r} is neither an option nor a Hydra override (key=value)")
    from fail2fix.versions import versions

    given.out.mkdir(parents=True, exist_ok=True)
    # Not the command: which items are asked for together is of no matter to each.
    made_by = {name: value for name, value in versions().items() if name != "command"}
    asked = {"versions": made_by, "options": {k: v for k, v in vars(given).items() if k not in ("out", "items")}}
    failed = []
    for name in given.items:
        path = given.out / f"{name}.json"
        if path.exists() and has_passed(json.loads(path.read_text()), asked):
            print(f"{name}: has passed already with these versions and options ({path})", flush=True)
            continue
        item, began = Item(given, name), time.monotonic()
        ITEMS[name](item)
        report = {"item": name, "about": ITEMS[name].__doc__, "machine": machine(given.device), **asked,
                  "commands": item.commands, "seconds": round(time.monotonic() - began, 1),
                  "failures": item.failures, "figures": item.figures}  # fmt: skip
        path.write_text(json.dumps(report, indent=2) + "\n")
        print(f"{name}: {'; '.join(item.failures) or 'passed'} ({report['seconds']} s)", flush=True)
        failed += [name] if item.failures else []
    return int(bool(failed))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
