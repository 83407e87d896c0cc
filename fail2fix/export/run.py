"""The run that wrote a checkpoint: its config, versions and metrics, from the run's folder.

Every text of a config is checked for secrets before it leaves this module.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fail2fix.console.printable import one_line
from fail2fix.console.secret_text import kind_of_secret, refuse_secret
from fail2fix.method.errors import InputError, reading
from fail2fix.report.reading import Row, read_metrics, read_object
from fail2fix.run.folder import CONFIG

MODEL = "actor_rollout_ref.model"


@dataclass(frozen=True)
class TrainingRun:
    """A run as its folder describes it. `metrics`: {step: line of metrics.jsonl}."""

    config: DictConfig
    versions: Mapping[str, Any]
    metrics: Mapping[int, Mapping[str, Any]]

    def text(self, key: str) -> str | None:
        """A value of the config in one line; None where it has none, a remark where it holds a secret."""
        value = OmegaConf.select(self.config, key)
        if value is None:
            return None
        kind = kind_of_secret(key, str(value), os.environ)
        return f"(left out: {kind})" if kind else one_line(str(value))

    def options(self, key: str) -> dict[str, Any]:
        """A section of the config that must be exported as it is; {} where there is none.

        Raises `InputError`: it holds a secret.
        """
        found = OmegaConf.select(self.config, key)
        options = OmegaConf.to_container(found, resolve=True) if found is not None else {}
        assert isinstance(options, dict)
        for name, value in options.items():
            refuse_secret(f"{key}.{name}", str(value), os.environ)
        return {str(name): value for name, value in options.items()}

    def data_files(self) -> list[Path]:
        files = OmegaConf.select(self.config, "data.train_files") or []
        return [Path(name) for name in ([files] if isinstance(files, str) else files)]


def find_run(checkpoint: Path, given: Path | None) -> TrainingRun | None:
    """The run that wrote a checkpoint: as given, or the folder above `checkpoints/global_step_N`; None if unknown.

    Raises `InputError`: the given folder is no run's, or its config.yaml is damaged.
    """
    if given is not None and not (given / CONFIG).is_file():
        raise InputError(f"--run {given}: no {CONFIG} in it: give the run's folder (outputs/EXPERIMENT/RUN)")
    above = checkpoint.resolve().parents[:3]
    folder = given or next((f for f in above if (f / CONFIG).is_file() and (f / "versions.json").is_file()), None)
    if folder is None:
        return None
    # Any exception: PyYAML and OmegaConf have one for each kind of damage.
    with reading(f"{folder / CONFIG}: cannot be read", Exception, hint="restore it, or name another folder with --run"):
        config = OmegaConf.load(folder / CONFIG)
    assert isinstance(config, DictConfig)
    lines: list[Row] = []
    try:
        lines = read_metrics(folder)
    except InputError as error:
        print(f"export: {one_line(str(error))}: the card has no measured values", file=sys.stderr)
    return TrainingRun(config, _object(folder / "versions.json"), {line["step"]: line for line in lines})


def step_of(checkpoint: Path) -> int | None:
    """N of `global_step_N`; None where the folder has another name."""
    names = (checkpoint.resolve().name, checkpoint.resolve().parent.name)
    return next((int(match[1]) for name in names if (match := re.fullmatch(r"global_step_(\d+)", name))), None)


def data_instruction(files: Sequence[Path]) -> str:
    """The instruction appended to every problem of the training data, as `fail2fix.prepare` wrote it; "" if unknown."""
    cards = [_object(file.expanduser().with_name("card.json")) for file in files]
    found = {str(card.get("instruction") or "") for card in cards}
    return found.pop() if len(found) == 1 else ""


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; {} where it is missing or damaged."""
    with suppress(InputError):
        return read_object(path)
    return {}
