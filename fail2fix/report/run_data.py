"""Metrics, settings and versions of a run's folder, as tables and the HTML page read them.

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
from fail2fix.report.reading import Row, dumped_steps, of_last_start, quarters, read_metrics, read_object

LARGEST = 1e300  # beyond it JSON may hold an integer that no float can


def number(row: Mapping[str, Any], name: str) -> float | None:
    """A metric of a step; None where it is missing, null or not finite."""
    value = row.get(name)
    return float(value) if isinstance(value, int | float) and abs(value) < LARGEST else None


def measured(rows: Sequence[Row], *names: str) -> list[float]:
    """Finite values of some metrics in the rows that have them."""
    return [value for name in names for row in rows if (value := number(row, name)) is not None]


def total(rows: Sequence[Row], *names: str) -> float:
    """Sum of some metrics over the rows that have them."""
    return sum(measured(rows, *names))


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
        lines: its metrics by step, finite values only; at least one line.
        not_finite: metric -> the number of training steps where it was null or not finite.
    """

    folder: Path
    letter: str
    lines: Sequence[Row]
    not_finite: Mapping[str, int]

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
    def quarters(self) -> tuple[Sequence[Row], Sequence[Row]]:
        """The first and the last quarter of the training steps, rounded up."""
        return quarters(self.steps)

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The config of the last start, empty without a file; interpolations stay text: they may name secrets.

        Raises:
            InputError: a damaged file, or one that holds YAML aliases.
        """
        path = of_last_start(self.folder / "config.yaml")
        if not path.exists():
            return {}
        with reading(f"{path}: cannot be read", OSError, yaml.YAMLError, ValueError, RecursionError):
            config = _WithoutAliases(path.read_text(encoding="utf-8")).get_single_data()
        if not isinstance(config, Mapping):
            raise InputError(f"{path}: not a mapping of keys to values")
        return config

    @cached_property
    def versions(self) -> Mapping[str, Any]:
        """The versions of the last start, empty without a file. Raises ``InputError``."""
        path = of_last_start(self.folder / "versions.json")
        return read_object(path) if path.exists() else {}

    @property
    def starts(self) -> int:
        """How often the run was started."""
        return max(1, len(list(self.folder.glob("config*.yaml"))))

    def dumped(self, name: str) -> list[int]:
        """The first and the last step in a folder of dumps; a dump after the last line is of an interrupted step."""
        steps = [step for step in dumped_steps(self.folder / name) if step <= self.lines[-1]["step"]]
        return list(dict.fromkeys(steps[:1] + steps[-1:]))

    def values(self, name: str) -> dict[int, float]:
        """A metric by training step, where it was measured."""
        return {row["step"]: value for row in self.steps if (value := number(row, name)) is not None}

    def setting(self, key: str, default: Any = None) -> Any:
        """A value of the run's config, like ``data.seed``; ``default`` where there is none of the default's type."""
        value: Any = self.config
        for name in key.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        wanted = (int, float) if isinstance(default, float) else type(default)
        return value if default is None or isinstance(value, wanted) else default


class _WithoutAliases(yaml.SafeLoader):  # type: ignore[misc]
    """Refuses aliases, by which a few lines can stand for billions of values; a run's own config has none."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("it holds a YAML alias (*name); write the value itself")
        return super().compose_node(parent, index)


def read_run(folder: Path, letter: str = "") -> RunData:
    """Read a run's metrics.

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
    return RunData(folder, letter, lines, not_finite)
