"""What the items of the check share: paths, sizes, time limits, child processes, remedies, the start of a training."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from gpu import settings
from gpu.clock import Clock
from gpu.place import ROOT, Place
from gpu.processes import Processes
from gpu.remedies import Remedies
from gpu.report import Report
from gpu.settings import Sizes

HERE = Path(__file__).parent


@dataclass
class Bench:
    """One check.

    Attributes:
        wanted: names of this check's items.
        probe: whether each check of ``probe.py`` passed; empty without a GPU.
    """

    place: Place
    cpu: bool
    clock: Clock
    origin: dict[str, Any]
    processes: Processes
    remedies: Remedies
    wanted: tuple[str, ...] = ()
    reports: list[Report] = field(default_factory=list)

    @property
    def sizes(self) -> Sizes:
        return settings.ON_CPU if self.cpu else settings.ON_GPU

    @property
    def probe(self) -> dict[str, bool]:
        path = self.place.work / "probe.json"
        found = json.loads(path.read_text()) if path.exists() else {}
        return {name: bool(check["passed"]) for name, check in found.items()}

    def report(self, name: str, limit_s: float) -> Report:
        """Begin an item; its file is there from now on."""
        report = Report(name, self.place.out / f"{name}.json", self.clock.part(limit_s), self.origin)
        self.reports.append(report)
        report.save()
        return report

    def say(self, what: str) -> None:
        print(f"[{self.clock.spent:5.0f} s] {what}", flush=True)

    def python(self, *arguments: object) -> list[str]:
        return [sys.executable, *map(str, arguments)]

    def script(self, name: str, *arguments: object) -> list[str]:
        """The command of a file in this folder."""
        return self.python(HERE / f"{name}.py", *arguments)

    def start(self, report: Report, name: str, command: list[str], prefix: tuple[str, ...] = ()) -> psutil.Popen:
        """Start a command under the remedies taken so far, and record it."""
        report.commands.append(" ".join(command))
        report.save()
        self.processes.environment |= self.remedies.variables
        return self.processes.start(name, command, prefix)

    def training(self, run: str, *overrides: str) -> list[str]:
        """Hydra overrides of a training: for the device, the run folder, the item and the remedies."""
        device = settings.CPU if self.cpu else settings.GPU
        return [
            *device, "trainer.logger=[console]", f"fail2fix.run.root={self.place.work}/runs",
            "trainer.experiment_name=gpu", f"fail2fix.run.name={run}", *overrides,
        ]  # fmt: skip


def variables(cpu: bool, place: Place) -> dict[str, str]:
    """Environment of every child."""
    paths = [str(ROOT), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    found = settings.VARIABLES | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    found |= {} if "VLLM_CACHE_ROOT" in os.environ else {"VLLM_CACHE_ROOT": str(place.work / "vllm")}
    found |= settings.CARRIED if place.carried else {}
    return found | ({"VERL_PLATFORM": "cpu"} if cpu else {"OMP_NUM_THREADS": "4"})
