"""Plan of a comparison: configs x seeds, each run's name, command and fingerprint, and the places of its files.

    DIR/runs/<config>-seed<S>.json              the record: small, made to be committed
    DIR/held_out_attempts.parquet               the frozen attempts that all runs correct; goes with the records
    DIR/logs/<config>-seed<S>.log               what the run printed
    DIR/training/<config>/<config>-seed<S>/     the run folder: checkpoints and rollouts, not needed once recorded

Pure: reads and writes no file.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import fail2fix
from fail2fix.method.errors import InputError

TRAIN = (sys.executable, "-m", "fail2fix.train")
RESERVED = {
    "fail2fix.seed": "--seeds",
    "fail2fix.budget.rollouts": "--rollouts",
    "fail2fix.run.root": "--out",
    "fail2fix.run.name": "--out",
    "trainer.experiment_name": "--out",
    "trainer.default_local_dir": "--out",
    "trainer.validation_data_dir": "--out",
}


@dataclass(frozen=True)
class Fingerprint:
    """What must be the same for a record to count as this run's.

    ``rollouts`` is the budget, None for the config's own length. ``overrides`` are sorted by key, the last of a key,
    with paths below the working directory relative to it, so that a checkout may move.
    """

    config: str
    seed: int
    rollouts: int | None
    overrides: tuple[str, ...]
    fail2fix: str

    def difference(self, other: "Fingerprint") -> str:
        """The fields that differ, as ``name: mine, not other's``; empty if none does."""
        pairs = {name: (mine, getattr(other, name)) for name, mine in vars(self).items()}
        return "; ".join(f"{name}: {_shown(a)}, not {_shown(b)}" for name, (a, b) in pairs.items() if a != b)


@dataclass(frozen=True)
class Run:
    """One training run. The paths are explained at the top of this module."""

    name: str
    fingerprint: Fingerprint
    command: tuple[str, ...]
    folder: Path
    record: Path
    log: Path

    @property
    def started(self) -> Path:
        """Holds the fingerprint from the run's start on, beside its folder."""
        return self.folder.with_name(f"{self.name}.fingerprint.json")


@dataclass(frozen=True)
class ComparisonPlan:
    """A comparison: ``configs`` in the order given, the first being the reference, each with ``seeds`` seeds from
    ``first_seed`` on.

    Raises ``InputError``: a name that cannot be a folder's, a config given twice, fewer than two configs, no seed or no
    rollouts. Also for an override of a key that the comparison sets.
    """

    out: Path
    configs: tuple[str, ...]
    seeds: int
    rollouts: int | None = None
    first_seed: int = 0
    overrides: tuple[str, ...] = ()
    train: tuple[str, ...] = TRAIN

    def __post_init__(self) -> None:
        for config in self.configs:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", config):
                raise InputError(f"{config}: not a config's name: give letters, digits, '.', '_' and '-'")
            if self.configs.count(config) > 1:
                raise InputError(f"{config}: given twice: a comparison takes each config once")
        if len(self.configs) < 2:
            raise InputError(f"{len(self.configs)} config given: a comparison takes two or more")
        if self.seeds < 1:
            raise InputError(f"--seeds {self.seeds}: give 1 or more; 3 means three seeds, from --first-seed on")
        if self.first_seed < 0:
            raise InputError(f"--first-seed {self.first_seed}: give 0 or more")
        if self.rollouts is not None and self.rollouts < 1:
            raise InputError(f"--rollouts {self.rollouts}: give 1 or more")
        for override in self.overrides:
            if option := RESERVED.get(key_of(override)):
                raise InputError(f"{override}: the comparison sets this key; use {option} instead")

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, seed by seed, so that an interrupted comparison has whole seeds."""
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        return tuple(self._run(config, seed) for seed in seeds for config in self.configs)

    def _run(self, config: str, seed: int) -> Run:
        name = f"{config}-seed{seed}"
        return Run(
            name=name,
            fingerprint=fingerprint(config, seed, self.rollouts, self.overrides),
            command=self._command(config, seed, name),
            folder=self.out / "training" / config / name,
            record=self.out / "runs" / f"{name}.json",
            log=self.out / "logs" / f"{name}.log",
        )

    def _command(self, config: str, seed: int, name: str) -> tuple[str, ...]:
        settings: dict[str, object] = {
            "fail2fix.seed": seed,
            "trainer.experiment_name": config,
            "fail2fix.run.root": self.out / "training",
            "fail2fix.run.name": name,
        }
        if self.rollouts is not None:  # the budget ends the run
            settings |= {"fail2fix.budget.rollouts": self.rollouts, "trainer.total_training_steps": "null"}
        settings |= {
            # Two, not one: verl deletes the older before it names the newer.
            "trainer.max_actor_ckpt_to_keep": 2,
            "fail2fix.held_out.enabled": "true",
            "fail2fix.held_out.revisions": 2,
            "fail2fix.held_out.file": self.out / "held_out_attempts.parquet",
        }
        given = {key_of(override) for override in self.overrides}
        ours = [f"{key}={value}" for key, value in settings.items() if key not in given]
        return (*self.train, "--config-name", config, *ours, *self.overrides)


def fingerprint(config: str, seed: int, rollouts: int | None, overrides: tuple[str, ...]) -> Fingerprint:
    """The fingerprint of a run by this version of the package, in the current working directory."""
    last = {key_of(override): override.replace(f"{Path.cwd()}/", "") for override in overrides}
    return Fingerprint(config, seed, rollouts, tuple(last[key] for key in sorted(last)), fail2fix.__version__)


def key_of(override: str) -> str:
    """The key of a Hydra override: ``+a.b=1``, ``~a.b`` and ``a.b@c=d`` included."""
    return override.partition("=")[0].lstrip("+~")


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(value) or "no override"
    return "no budget" if value is None else str(value)
