"""Write and read what a training step decided: ``decisions/<step>.json`` in a run's folder.

The file holds all that selection, advantages and the replay ratio read, and what they gave. It holds no texts: the
contents of attempts are digests. ``dumped`` finds each rollout's text in the run's dump of rollouts.

Legend: N rollouts of a stream in N / G groups of G; K chosen attempts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from fail2fix.data.atomic import write_whole
from fail2fix.method.errors import READ_ERRORS, InputError, reading
from fail2fix.method.objective import BatchSplit
from fail2fix.method.ratio import RatioState
from fail2fix.method.rollouts import Bools, Floats
from fail2fix.method.selection import Attempt, PromptGroup
from fail2fix.run.config import Fail2FixConfig
from fail2fix.run.settings import fail2fix_settings

FOLDER = "decisions"
SCHEMA = 1
# The types of fields that JSON holds as they are, and of the columns of a stream's rollouts.
PLAIN: dict[str, type] = {"step": int, "leave_one_out": bool, "base_rows": int, "online": bool, "wanted_correct": int}
COLUMNS: dict[str, type] = {
    "correct": bool, "trained": bool, "reward": np.float64, "taken": np.float64, "plain": np.float64,
    "advantage": np.float32, "dumped": np.int64,
}  # fmt: skip
FLAGS = ("correct", "cut_off", "replayable")  # of an attempt
SECTIONS = ("seed", "correction", "replay", "ratio", "risk", "advantage")

Place = tuple[int, int]
"""An attempt's group and sample in its pool."""


@dataclass(frozen=True)
class RewardedRows:
    """One stream's rollouts in natural order, (N,).

    Attributes:
        group_size: G.
        correct: verdicts.
        reward: what the reward manager gave, shaped for corrections.
        taken: what the penalty took from it.
        plain: R of the advantages: ``reward + taken``, and KL in the reward if configured.
        advantage: the advantage in the update, in single precision, at the first token of the response.
        trained: rows in the update.
        dumped: the row of each rollout in ``rollouts/<step>.jsonl``, from 0.
    """

    group_size: int
    correct: Bools
    reward: Floats
    taken: Floats
    plain: Floats
    advantage: NDArray[np.float32]
    trained: Bools
    dumped: NDArray[np.int64]

    def __post_init__(self) -> None:
        shapes, n = {getattr(self, name).shape for name in COLUMNS}, len(self.correct)
        if shapes != {(n,)} or self.group_size < 1 or n % self.group_size:
            raise ValueError("columns of different lengths, or a group that is not whole")

    @classmethod
    def none(cls, group_size: int) -> RewardedRows:
        """A stream without rollouts."""
        return cls(group_size, **{name: np.zeros(0, kind) for name, kind in COLUMNS.items()})

    def by_group(self, values: NDArray) -> NDArray:
        """Rearrange (N,) values as (N / G, G)."""
        return values.reshape(-1, self.group_size)


@dataclass(frozen=True)
class RecordedStep:
    """What a step read and decided.

    Attributes:
        step: its number, from 1.
        settings: the section ``fail2fix``, as far as ``SECTIONS``.
        leave_one_out: the estimator of the base stream compares each rollout with the others only (RLOO).
        base_rows: rollouts of the base stream that K must fit to; ``split``: how the batch is cut.
        state: the controller of the replay ratio as the step began.
        online: the pool is the step's own base stream, so that group and sample name the same rollout in both.
        pool: the attempts as selection read them.
        chosen: the chosen attempts in order; group k of the corrections is of the k-th.
        wanted_correct: how many of them were to be correct.
        attempt_plain: (K,) the chosen attempts' own plain rewards.
        base, correction: the streams; no correction stream when nothing is replayed.
    """

    step: int
    settings: Fail2FixConfig
    leave_one_out: bool
    base_rows: int
    split: BatchSplit
    state: RatioState
    online: bool
    pool: Sequence[PromptGroup]
    chosen: Sequence[Place]
    wanted_correct: int
    attempt_plain: Floats
    base: RewardedRows
    correction: RewardedRows | None

    def __post_init__(self) -> None:
        corrections = 0 if self.correction is None else len(self.correction.by_group(self.correction.correct))
        if not len(self.chosen) == len(self.attempt_plain) == corrections:
            raise ValueError("the chosen attempts, their rewards and their corrections differ in number")
        if unknown := set(self.chosen) - self.attempts.keys():
            raise ValueError(f"chosen attempts {sorted(unknown)} are not in the pool")
        if self.online and self.attempts.keys() - set(np.ndindex(self.base.by_group(self.base.correct).shape)):
            raise ValueError("attempts that are not in the base stream")

    @cached_property
    def attempts(self) -> dict[Place, Attempt]:
        """The attempts of the pool by their places."""
        return {(attempt.group, attempt.sample): attempt for group in self.pool for attempt in group.attempts}


def decisions_file(run: Path, step: int) -> Path:
    """The file of a step."""
    return run / FOLDER / f"{step}.json"


def write_decisions(run: Path, recorded: RecordedStep) -> None:
    """Write a step's file, whole or not at all; a step that is trained again replaces it."""
    body = as_values(recorded)
    write_whole(decisions_file(run, recorded.step), json.dumps({"checksum": checksum_of(body)} | body) + "\n")


def read_decisions(run: Path) -> list[RecordedStep]:
    """The steps of a run, in order, at least one. A step without a line in ``metrics.jsonl`` did not finish.

    Raises:
        InputError: no such folder, no decisions in it, or a file that was changed or does not parse.
    """
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder: give <root>/<experiment>/<run>")
    steps = sorted(int(path.stem) for path in (run / FOLDER).glob("*.json") if path.stem.isdecimal())
    finished = _finished_steps(run / "metrics.jsonl")
    steps = [step for step in steps if finished is None or step in finished]
    if not steps:
        raise InputError(
            f"{run / FOLDER}: no decisions of a finished step: written by every step of a run with a correction "
            "stream, from this version on; older runs cannot be replayed"
        )
    return [read_step(decisions_file(run, step)) for step in steps]


def _finished_steps(metrics: Path) -> set[int] | None:
    """The steps with a whole line; None without the file."""
    if not metrics.exists():
        return None
    with reading(f"{metrics}: cannot be read"):
        return {int(json.loads(line)["step"]) for line in metrics.read_text(encoding="utf-8").split("\n")[:-1]}


def read_step(path: Path) -> RecordedStep:
    """Read a step's file.

    Raises:
        InputError: it is missing, was changed, is of another schema, or does not parse.
    """
    errors = (*READ_ERRORS, InputError, ArithmeticError, RecursionError)
    with reading(f"{path}: not the decisions of a step", *errors, hint="restore the file, or delete it"):
        body = json.loads(path.read_text(encoding="utf-8"))
        checksum = body.pop("checksum")
        if checksum != checksum_of(body):
            raise InputError("its checksum does not match: it was changed or damaged")
        if body["schema"] != SCHEMA:
            raise InputError(f"its schema is {body['schema']!r}, and this version reads {SCHEMA}")
        return _from_values(body)


def checksum_of(body: dict[str, Any]) -> str:
    """The checksum of a file's values without it."""
    return hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=16).hexdigest()


def as_values(recorded: RecordedStep) -> dict[str, Any]:
    """A step as JSON values: columns, and a text of 0 and 1 for each column of flags."""
    sections = OmegaConf.create({name: getattr(recorded.settings, name) for name in SECTIONS})
    return {name: getattr(recorded, name) for name in PLAIN} | {
        "schema": SCHEMA,
        "settings": OmegaConf.to_container(sections, enum_to_str=True),
        "split": asdict(recorded.split),
        "ratio": asdict(recorded.state),
        "pool": [_group_values(group) for group in recorded.pool],
        "chosen": [list(place) for place in recorded.chosen],
        "attempt_plain": recorded.attempt_plain.tolist(),
        "base": _row_values(recorded.base),
        "correction": recorded.correction and _row_values(recorded.correction),
    }


def _from_values(body: dict[str, Any]) -> RecordedStep:
    return RecordedStep(
        **{name: kind(body[name]) for name, kind in PLAIN.items()},
        settings=_settings(json.dumps(body["settings"])),
        split=BatchSplit(**body["split"]),
        state=RatioState(**body["ratio"]),
        pool=[_group_of(values) for values in body["pool"]],
        chosen=[(int(group), int(sample)) for group, sample in body["chosen"]],
        attempt_plain=np.array(body["attempt_plain"], dtype=np.float64),
        base=_rows_of(body["base"]),
        correction=body["correction"] and _rows_of(body["correction"]),
    )


@lru_cache(maxsize=8)
def _settings(text: str) -> Fail2FixConfig:
    """The settings of a step; most steps of a run share theirs, and checking them takes most of a file's time."""
    return fail2fix_settings(OmegaConf.create({"fail2fix": json.loads(text)}))


def _group_values(group: PromptGroup) -> dict[str, Any]:
    attempts = group.attempts
    flags = {name: _flags(getattr(attempt, name) for attempt in attempts) for name in FLAGS}
    return {"key": group.key, "group": attempts[0].group, "content": [a.content.hex() for a in attempts]} | flags


def _group_of(values: dict[str, Any]) -> PromptGroup:
    group, rows = int(values["group"]), zip(*(_bools(values[name]).tolist() for name in FLAGS), strict=True)
    attempts = [
        Attempt(group, sample, content=bytes.fromhex(content), **dict(zip(FLAGS, flags, strict=True)))
        for sample, (content, flags) in enumerate(zip(values["content"], rows, strict=True))
    ]
    return PromptGroup(str(values["key"]), tuple(attempts))


def _row_values(rows: RewardedRows) -> dict[str, Any]:
    columns = {name: getattr(rows, name) for name in COLUMNS}
    return {"group_size": rows.group_size} | {
        name: _flags(column) if COLUMNS[name] is bool else column.tolist() for name, column in columns.items()
    }


def _rows_of(values: dict[str, Any]) -> RewardedRows:
    columns: dict[str, Any] = {
        name: _bools(values[name]) if kind is bool else np.array(values[name], dtype=kind)
        for name, kind in COLUMNS.items()
    }
    return RewardedRows(group_size=int(values["group_size"]), **columns)


def _flags(values: Iterable[Any]) -> str:
    return "".join(str(int(value)) for value in values)


def _bools(flags: str) -> Bools:
    return np.array([int(flag) for flag in flags], dtype=bool)
