"""The data sets: their files, every row of them, and how many rows are left to train on.

verl leaves out prompts longer than ``data.max_prompt_length`` (``data.filter_overlong_prompts``) and, with them, those
its template cannot render; it cuts what still exceeds the engine's ``prompt_length`` from the left. Here the first are
counted and the others refused, for nothing of a problem is to be lost without a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet as parquet
from omegaconf import DictConfig

from fail2fix.method.errors import InputError
from fail2fix.preflight.chat import Chat
from fail2fix.preflight.data_rows import FIELDS, Repeats, media_keys, row_problem, unsupported_problem
from fail2fix.preflight.ground_truths import GroundTruths
from fail2fix.preflight.sizes_fit import asks_for_corrections
from fail2fix.preflight.wording import first_line, paths
from fail2fix.run.settings import fail2fix_settings, writes_streams

FORMATS = (".parquet", ".json", ".jsonl")  # what verl's dataset reads
Messages = list[dict[str, Any]]

BATCH = 1024  # prompts tokenized at a time


@dataclass
class DataSet:
    """What the files under a key amount to. ``counted``: False where only verl can count their rows."""

    key: str
    rows: int = 0
    overlong: int = 0
    longest: int = 0
    longest_at: str = ""
    counted: bool = True
    marked: int = 0
    first_marked: str = ""
    repeats: Repeats = field(default_factory=Repeats)

    def left(self, config: DictConfig) -> int:
        """Rows that verl keeps."""
        return self.rows - (self.overlong if config.data.filter_overlong_prompts else 0)

    def notes(self, config: DictConfig) -> list[str]:
        """What is counted rather than refused, one line each."""
        limit, repeats = config.data.max_prompt_length, self.repeats
        notes = []
        if self.overlong and config.data.filter_overlong_prompts:
            notes.append(
                f"{self.key}: {self.overlong} of {self.rows} rows are longer than data.max_prompt_length={limit} "
                f"tokens and are left out (the longest: {self.longest}, {self.longest_at})"
            )
        if self.marked:
            notes.append(
                f"{self.key}: {self.marked} of {self.rows} rows have a special token or a thinking mark in their "
                f"own text, which the model reads as markup (the first: {self.first_marked}); remove it if it is "
                "not meant"
            )
        if repeats.repeated:
            notes.append(f"{self.key}: {repeats.repeated} of {self.rows} rows repeat an earlier problem and its answer")
        if repeats.contradictory:
            notes.append(
                f"{self.key}: {repeats.contradictory} of {self.rows} rows have an earlier row's problem with another "
                "ground truth; at most one of them is right"
            )
        return notes


@dataclass(frozen=True)
class DataCheck:
    """What rows are checked against. ``verifiers``: None where the run has a reward function of its own."""

    config: DictConfig
    chat: Chat
    verifiers: GroundTruths | None

    def notes(self) -> list[str]:
        """Refuse files that cannot serve; say what was counted, one line each.

        Raises:
            InputError: the key, file, row and field, and what to do.
        """
        train, held_out = (self._data_set(key) for key in ("train_files", "val_files"))
        _check_counts(self.config, train, held_out)
        return [*train.notes(self.config), *held_out.notes(self.config)]

    def _data_set(self, name: str) -> DataSet:
        found = DataSet(f"data.{name}")
        local = []
        for path in paths(self.config.data[name]):
            given = f"{found.key}={path}"
            if file := _local_file(self.config, path, given):
                local.append(file)
                self._file(file, given, found)
            else:
                found.counted = False
        _check_joinable([file for file in local if file.suffix == ".parquet"], found.key)
        return found

    def _file(self, file: Path, given: str, found: DataSet) -> None:
        """Check every row of a local file, and add it up."""
        before, rows = found.rows, self._sound_rows(file, given, found)
        try:
            while some := list(islice(rows, BATCH)):
                self._measure(some, given, found)
        except InputError:
            raise
        except (pyarrow.ArrowException, OSError, ValueError, RecursionError) as error:
            kind = "parquet" if file.suffix == ".parquet" else "JSON"
            count = found.rows - before
            raise InputError(f"{given}: not a readable {kind} file, after {count} rows: {first_line(error)}") from error
        if found.rows == before:
            raise InputError(f"{given}: the file has no rows")

    def _sound_rows(self, file: Path, given: str, found: DataSet) -> Iterator[tuple[int, Messages]]:
        """The places and prompts of a file's rows, each checked."""
        key, media, settings = self.config.data.prompt_key, media_keys(self.config.data), fail2fix_settings(self.config)
        corrections = asks_for_corrections(settings)
        if file.suffix == ".parquet" and writes_streams(settings):
            _check_storable(file, given)
        rows = _parquet_rows(file, key, media, given) if file.suffix == ".parquet" else _json_rows(file)
        for place, row in enumerate(rows):
            problem = (
                row_problem(row, key)
                or unsupported_problem(row, media, corrections)
                or self.chat.problem(row[key])
                or (self.verifiers.problem(row) if self.verifiers else "")
            )
            if problem:
                raise InputError(f"{given}: row {place}: {problem}")
            found.repeats.add(row, key)
            found.rows += 1
            if mark := self.chat.markup(row[key]):
                found.marked += 1
                found.first_marked = found.first_marked or f"{mark} in row {place} of {given.partition('=')[2]}"
            yield place, row[key]

    def _measure(self, rows: Sequence[tuple[int, Messages]], given: str, found: DataSet) -> None:
        """Count the prompts that verl leaves out; refuse those it would cut."""
        data, engine = self.config.data, self.config.actor_rollout_ref.rollout.prompt_length
        for (place, _), tokens in zip(rows, self.chat.lengths([prompt for _, prompt in rows]), strict=True):
            if tokens > engine and not data.filter_overlong_prompts:
                raise InputError(
                    f"{given}: row {place}: its prompt has {tokens} tokens, and verl would cut it to "
                    f"actor_rollout_ref.rollout.prompt_length={engine} from the left; set "
                    "data.filter_overlong_prompts=true to leave such rows out, or raise the length"
                )
            found.overlong += tokens > data.max_prompt_length
            if tokens > found.longest:
                found.longest, found.longest_at = tokens, f"row {place} of {given.partition('=')[2]}"


def _local_file(config: DictConfig, path: str, given: str) -> Path | None:
    """The file to look into; None where only verl can read it."""
    if (config.data.get("custom_cls") or {}).get("path"):
        return None  # the run's own dataset class knows what it reads
    if not path.endswith(FORMATS):
        raise InputError(f"{given}: verl reads {', '.join(FORMATS)} only; convert it, or set data.custom_cls.path")
    if "://" in path:
        return None
    file = Path(path).expanduser()
    if not file.exists():
        raise InputError(f"{given}: no such file")
    if file.is_dir():
        raise InputError(f"{given}: is a folder; name the files in it, as a list")
    return file


def _parquet_rows(file: Path, prompt_key: str, media: Sequence[str], given: str) -> Iterator[dict[str, Any]]:
    schema = parquet.read_schema(file)
    columns = [prompt_key, *FIELDS]
    for column in columns:
        if column not in schema.names:
            raise InputError(f"{given}: column {column!r} is missing; it has {sorted(schema.names)}")
    # Named fields may be long, and nothing of them is read here.
    if "extra_info" in schema.names and not pyarrow.types.is_struct(schema.field("extra_info").type):
        columns.append("extra_info")
    asked = [column for column in (*media, "agent_name") if column in schema.names]
    size = 64 if asked else 4096  # images are large
    for batch in parquet.ParquetFile(file).iter_batches(batch_size=size, columns=columns + asked):
        yield from batch.to_pylist()


def _check_storable(file: Path, given: str) -> None:
    """Refuse columns that no file of rollouts can hold; verl reads them as objects (images, sound)."""
    for column, feature in datasets.Features.from_arrow_schema(parquet.read_schema(file)).items():
        if kind := _object_kind(feature):
            raise InputError(
                f"{given}: column {column!r} holds {kind} objects, which no file of rollouts can store; drop the "
                "column, or use fail2fix.replay.source=online without fail2fix.held_out"
            )


def _object_kind(feature: Any) -> str:
    """The name of a feature that `datasets` decodes to an object, looked for at any depth; "" if there is none."""
    if isinstance(feature, dict):
        return next((kind for each in feature.values() if (kind := _object_kind(each))), "")
    if isinstance(feature, list | tuple):
        return next((kind for each in feature if (kind := _object_kind(each))), "")
    inner = getattr(feature, "feature", None)  # of a list
    if inner is not None:
        return _object_kind(inner)
    return type(feature).__name__ if hasattr(feature, "decode_example") else ""


def _json_rows(file: Path) -> Iterator[Any]:
    """The rows of a JSON list, or of JSON objects one after the other, on one line each or not."""
    text, decoder, at = file.read_text(encoding="utf-8-sig"), json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        value, at = decoder.raw_decode(text, at)
        yield from value if isinstance(value, list) else [value]


def _check_joinable(files: Sequence[Path], key: str) -> None:
    """verl joins a key's files by `datasets`, which is asked here with a row of nulls from each."""
    for other in files[1:]:
        try:
            datasets.concatenate_datasets([_nulls(files[0]), _nulls(other)])
        except ValueError as error:
            column = re.search(r"the key (\S+) of", str(error))
            named = f"column {column[1]!r}" if column else first_line(error)
            raise InputError(
                f"{key}: {named} has another type in {other} than in {files[0]}, so they cannot be joined; write them "
                "alike"
            ) from error


def _nulls(file: Path) -> datasets.Dataset:
    schema = parquet.read_schema(file)
    return datasets.Dataset(pyarrow.table([pyarrow.nulls(1, field.type) for field in schema], names=schema.names))


def _check_counts(config: DictConfig, train: DataSet, held_out: DataSet) -> None:
    """Refuse too few rows; a number that is not known refuses nothing."""
    for found in (train, held_out):
        if found.counted and found.left(config) == 0:
            raise InputError(
                f"{found.key}: all {found.rows} rows are longer than data.max_prompt_length="
                f"{config.data.max_prompt_length} tokens (the longest: {found.longest}, {found.longest_at}); raise it"
            )
    if not train.counted:
        return
    batch, rows = config.data.train_batch_size, train.left(config)
    if config.data.train_max_samples > 0:
        rows = min(rows, config.data.train_max_samples)
    left = f" left of {train.rows}" if rows < train.rows else ""
    if rows < batch:
        raise InputError(f"data.train_files has {rows} rows{left}, fewer than data.train_batch_size={batch}")
