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
from functools import cached_property
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
        columns = (self.correct, self.reward, self.taken, self.plain, self.advantage, self.trained, self.dumped)
        shapes, n = {column.shape for column in columns}, len(self.correct)
        if shapes != {(n,)} or self.group_size < 1 or n % self.group_size:
            raise ValueError("columns of different lengths, or a group that is not whole")

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
    return {
        "schema": SCHEMA,
        "step": recorded.step,
        "settings": OmegaConf.to_container(sections, enum_to_str=True),
        "leave_one_out": recorded.leave_one_out,
        "base_rows": recorded.base_rows,
        "split": asdict(recorded.split),
        "ratio": asdict(recorded.state),
        "online": recorded.online,
        "pool": [_group_values(group) for group in recorded.pool],
        "chosen": [list(place) for place in recorded.chosen],
        "wanted_correct": recorded.wanted_correct,
        "attempt_plain": recorded.attempt_plain.tolist(),
        "base": _row_values(recorded.base),
        "correction": recorded.correction and _row_values(recorded.correction),
    }


def _from_values(body: dict[str, Any]) -> RecordedStep:
    return RecordedStep(
        step=int(body["step"]),
        settings=fail2fix_settings(OmegaConf.create({"fail2fix": body["settings"]})),
        leave_one_out=bool(body["leave_one_out"]),
        base_rows=int(body["base_rows"]),
        split=BatchSplit(**body["split"]),
        state=RatioState(**body["ratio"]),
        online=bool(body["online"]),
        pool=[_group_of(values) for values in body["pool"]],
        chosen=[(int(group), int(sample)) for group, sample in body["chosen"]],
        wanted_correct=int(body["wanted_correct"]),
        attempt_plain=np.array(body["attempt_plain"], dtype=np.float64),
        base=_rows_of(body["base"]),
        correction=body["correction"] and _rows_of(body["correction"]),
    )


def _group_values(group: PromptGroup) -> dict[str, Any]:
    attempts = group.attempts
    return {
        "key": group.key,
        "group": attempts[0].group,
        "correct": _flags(a.correct for a in attempts),
        "cut_off": _flags(a.cut_off for a in attempts),
        "replayable": _flags(a.replayable for a in attempts),
        "content": [a.content.hex() for a in attempts],
    }


def _group_of(values: dict[str, Any]) -> PromptGroup:
    columns = [_bools(values[name]).tolist() for name in ("correct", "cut_off", "replayable")]
    rows = zip(*columns, values["content"], strict=True)
    attempts = (
        Attempt(int(values["group"]), sample, correct, bytes.fromhex(content), cut_off, replayable)
        for sample, (correct, cut_off, replayable, content) in enumerate(rows)
    )
    return PromptGroup(str(values["key"]), tuple(attempts))


def _row_values(rows: RewardedRows) -> dict[str, Any]:
    flags = {name: _flags(getattr(rows, name)) for name in ("correct", "trained")}
    numbers = {name: getattr(rows, name).tolist() for name in ("reward", "taken", "plain", "advantage", "dumped")}
    return {"group_size": rows.group_size} | flags | numbers


def _rows_of(values: dict[str, Any]) -> RewardedRows:
    return RewardedRows(
        group_size=int(values["group_size"]),
        correct=_bools(values["correct"]),
        reward=np.array(values["reward"], dtype=np.float64),
        taken=np.array(values["taken"], dtype=np.float64),
        plain=np.array(values["plain"], dtype=np.float64),
        advantage=np.array(values["advantage"], dtype=np.float32),
        trained=_bools(values["trained"]),
        dumped=np.array(values["dumped"], dtype=np.int64),
    )


def _flags(values: Iterable[Any]) -> str:
    return "".join(str(int(value)) for value in values)


def _bools(flags: str) -> Bools:
    return np.array([int(flag) for flag in flags], dtype=bool)
