"""Metrics, settings and versions of a run's folder, as the HTML report reads them.

Missing files are empty: only ``metrics.jsonl`` has to exist. A value that is not finite counts as not measured.

Example::

    run = read_run(Path("outputs/quickstart/20260101-120000"))
    run.values("fail2fix/replay/rho")  # {1: 0.3, 2: 0.36}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from fail2fix.console.printable import printable
from fail2fix.method.errors import InputError, reading
from fail2fix.report.reading import Row, of_last_start, quarters, read_metrics, read_object

LARGEST = 1e300  # beyond it JSON may hold an integer that no float can


def number(row: Mapping[str, Any], name: str) -> float | None:
    """A metric of a step; None where it is missing, null or not finite."""
    value = row.get(name)
    return float(value) if isinstance(value, int | float) and abs(value) < LARGEST else None


def shortened(text: object, limit: int) -> str:
    """Untrusted text with control characters escaped, and its middle left out beyond ``limit`` characters."""
    given = str(text)
    left_out = len(given) - limit
    if left_out > 0:
        given = f"{given[: limit - limit // 3]} [... {left_out:,} characters left out ...] {given[-(limit // 3) :]}"
    return printable(given)


@dataclass(frozen=True)
class RunData:
    """One run.

    Attributes:
        letter: names the run in pictures of several; empty in a report of one.
        lines: its metrics by step, finite values only.
        not_finite: metric -> the number of training steps where it was null or not finite.
        config, versions: of the last start; empty where the file is missing.
        starts: how often the run was started.
    """

    folder: Path
    letter: str
    lines: Sequence[Row]
    not_finite: Mapping[str, int]
    config: Mapping[str, Any]
    versions: Mapping[str, Any]
    starts: int

    @property
    def name(self) -> str:
        """The experiment and the run, as untrusted text."""
        folder = self.folder.resolve()
        return shortened(f"{folder.parent.name}/{folder.name}", 120)

    @cached_property
    def steps(self) -> list[Row]:
        """The lines of training steps."""
        return [row for row in self.lines if row["step"] > 0]

    @property
    def first_quarter(self) -> Sequence[Row]:
        """The first quarter of the training steps, rounded up."""
        return quarters(self.steps)[0]

    @property
    def last_quarter(self) -> Sequence[Row]:
        """The last quarter of the training steps, rounded up."""
        return quarters(self.steps)[1]

    def values(self, name: str) -> dict[int, float]:
        """A metric by training step, where it was measured."""
        found = {row["step"]: number(row, name) for row in self.steps}
        return {step: value for step, value in found.items() if value is not None}

    def setting(self, key: str, default: Any = None) -> Any:
        """A value of the run's config, like ``data.seed``; ``default`` where there is none of the default's type."""
        value: Any = self.config
        for name in key.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        wanted = (int, float) if isinstance(default, float) else type(default)
        return value if default is None or isinstance(value, wanted) else default


def read_run(folder: Path, letter: str = "") -> RunData:
    """Read a run's folder.

    Raises:
        InputError: no such folder, no metrics, or a file that cannot be read, in one line.
    """
    lines, not_finite = [], Counter[str]()
    for row in read_metrics(folder):
        line = {name: value for name, value in row.items() if name == "step" or number(row, name) is not None}
        if row["step"] > 0:
            lost = (name for name, value in row.items() if name not in line)
            not_finite.update(name for name in lost if row[name] is None or isinstance(row[name], float))
        lines.append(line)
    configs = list(folder.glob("config*.yaml"))
    versions = of_last_start(folder / "versions.json")
    return RunData(
        folder, letter, lines, not_finite, _read_config(of_last_start(folder / "config.yaml")),
        read_object(versions) if versions.exists() else {}, max(1, len(configs)),
    )  # fmt: skip


def _read_config(path: Path) -> Mapping[str, Any]:
    """The config as written: interpolations stay text, so that no environment variable gets into a page."""
    if not path.exists():
        return {}
    with reading(f"{path}: cannot be read", OSError, yaml.YAMLError, ValueError, RecursionError):
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(config, Mapping):
        raise InputError(f"{path}: not a mapping of keys to values")
    return config
