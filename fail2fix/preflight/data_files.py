"""Check the data sets: their files, every row, and the number of rows that remain to train on.

verl filters out prompts longer than ``data.max_prompt_length`` (``data.filter_overlong_prompts``) and prompts that its
template cannot render, and cuts what still exceeds the engine's ``prompt_length`` from the left. Here the first are
counted and the others refused, so that no part of a problem is lost silently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet as parquet
from datasets.features.features import require_decoding
from omegaconf import DictConfig, ListConfig

from fail2fix.data.rows import STATED
from fail2fix.method.errors import InputError, reason_of
from fail2fix.preflight.chat import Chat
from fail2fix.preflight.data_rows import FIELDS, media_keys, row_problem, unsupported_problem
from fail2fix.preflight.ground_truths import GroundTruths
from fail2fix.run.settings import asks_for_corrections, fail2fix_settings, writes_streams

FORMATS = (".parquet", ".json", ".jsonl")  # what verl's dataset reads
Messages = list[dict[str, Any]]

BATCH = 1024  # prompts tokenized at a time


@dataclass
class DataSet:
    """Counts of the rows in the files under a key. ``counted``: False if only verl can count them."""

    key: str
    rows: int = 0
    overlong: int = 0
    longest: int = 0
    longest_at: str = ""
    counted: bool = True
    marked: int = 0
    first_marked: str = ""
    repeated: int = 0
    contradictory: int = 0
    truths: dict[int, int] = field(default_factory=dict)  # of each problem, its first ground truth; both as hashes

    def add(self, row: Mapping[str, Any], prompt_key: str) -> None:
        """Count a row, and whether it repeats an earlier problem: with the same ground truth, or with another one."""
        prompt, truth = hash(repr(row[prompt_key])), hash(repr(row["reward_model"].get("ground_truth")))
        self.rows += 1
        self.repeated += self.truths.get(prompt) == truth
        self.contradictory += self.truths.setdefault(prompt, truth) != truth

    def kept(self, config: DictConfig) -> int:
        """Rows that verl does not filter out."""
        return self.rows - (self.overlong if config.data.filter_overlong_prompts else 0)

    def notes(self, config: DictConfig) -> list[str]:
        """Warnings of rows that are accepted, one line each."""
        overlong = self.rows - self.kept(config)
        some = (
            (
                overlong,
                f"are longer than data.max_prompt_length={config.data.max_prompt_length} tokens and are left out (the "
                f"longest: {self.longest}, {self.longest_at})",
            ),
            (
                self.marked,
                "have a special token or a thinking mark in their own text, which the model reads as markup (the "
                f"first: {self.first_marked}); remove it if it is not intended",
            ),
            (self.repeated, "repeat an earlier problem and its answer"),
            (
                self.contradictory,
                "have an earlier row's problem with another ground truth; at most one of them is right",
            ),
        )
        return [f"{self.key}: {count} of {self.rows} rows {what}" for count, what in some if count]


@dataclass(frozen=True)
class DataCheck:
    """The check of a run's data sets. ``verifiers``: None if the run has its own reward function."""

    config: DictConfig
    chat: Chat
    verifiers: GroundTruths | None

    def notes(self) -> list[str]:
        """Refuse files that are not usable; return warnings of counted rows, one line each.

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
        """Check and count every row of a local file."""
        before, rows = found.rows, self._checked_rows(file, given, found)
        try:
            while batch := list(islice(rows, BATCH)):
                self._measure(batch, given, found)
        except InputError:
            raise
        except (pyarrow.ArrowException, OSError, ValueError, RecursionError) as error:
            kind = "parquet" if file.suffix == ".parquet" else "JSON"
            count = found.rows - before
            raise InputError(f"{given}: not a readable {kind} file, after {count} rows: {reason_of(error)}") from error
        if found.rows == before:
            raise InputError(f"{given}: the file has no rows")

    def _checked_rows(self, file: Path, given: str, found: DataSet) -> Iterator[tuple[int, Messages]]:
        """The places and prompts of a file's rows, each checked."""
        key, media, settings = self.config.data.prompt_key, media_keys(self.config.data), fail2fix_settings(self.config)
        corrections, is_parquet = asks_for_corrections(settings), file.suffix == ".parquet"
        if is_parquet and writes_streams(settings):
            _check_storable(file, given)
        for place, row in enumerate(_parquet_rows(file, key, media, given) if is_parquet else _json_rows(file)):
            problem = (
                row_problem(row, key)
                or unsupported_problem(row, media, corrections)
                or self.chat.problem(row[key])
                or (self.verifiers.problem(row) if self.verifiers else "")
            )
            if problem:
                raise InputError(f"{given}: row {place}: {problem}")
            found.add(row, key)
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


def paths(files: str | ListConfig) -> list[str]:
    """The paths under a key that takes one path or a list."""
    return [files] if isinstance(files, str) else list(files)


def _local_file(config: DictConfig, path: str, given: str) -> Path | None:
    """The file to check; None if only verl can read it."""
    if (config.data.get("custom_cls") or {}).get("path"):
        return None  # any file may do for the run's own dataset class
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
    if "extra_info" in schema.names:
        named = pyarrow.types.is_struct(schema.field("extra_info").type)
        # Named fields may be long: only this one is read.
        columns.append(f"extra_info.{STATED}" if named else "extra_info")
    optional = [column for column in (*media, "agent_name") if column in schema.names]
    size = 64 if optional else 4096  # images are large
    for batch in parquet.ParquetFile(file).iter_batches(batch_size=size, columns=columns + optional):
        yield from batch.to_pylist()


def _check_storable(file: Path, given: str) -> None:
    """Refuse columns that no file of rollouts can hold; verl reads them as objects (images, sound)."""
    for column, feature in datasets.Features.from_arrow_schema(parquet.read_schema(file)).items():
        if require_decoding(feature, ignore_decode_attribute=True):
            raise InputError(
                f"{given}: column {column!r} holds objects ({feature}), which no file of rollouts can store; drop the "
                "column, or use fail2fix.replay.source=online without fail2fix.held_out"
            )


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
    """Refuse files that verl cannot join; tried by `datasets` on a row of nulls from each."""
    for other in files[1:]:
        try:
            datasets.concatenate_datasets([_nulls(files[0]), _nulls(other)])
        except ValueError as error:
            column = re.search(r"the key (\S+) of", str(error))
            named = f"column {column[1]!r}" if column else reason_of(error)
            raise InputError(
                f"{key}: {named} has another type in {other} than in {files[0]}, so they cannot be joined; write them "
                "with equal types"
            ) from error


def _nulls(file: Path) -> datasets.Dataset:
    schema = parquet.read_schema(file)
    return datasets.Dataset(pyarrow.table([pyarrow.nulls(1, field.type) for field in schema], names=schema.names))


def _check_counts(config: DictConfig, train: DataSet, held_out: DataSet) -> None:
    """Refuse too few rows, where their number is known."""
    for found in (train, held_out):
        if found.counted and found.kept(config) == 0:
            raise InputError(
                f"{found.key}: all {found.rows} rows are longer than data.max_prompt_length="
                f"{config.data.max_prompt_length} tokens (the longest: {found.longest}, {found.longest_at}); raise it"
            )
    if not train.counted:
        return
    batch, rows = config.data.train_batch_size, train.kept(config)
    if config.data.train_max_samples > 0:
        rows = min(rows, config.data.train_max_samples)
    left = f" left of {train.rows}" if rows < train.rows else ""
    if rows < batch:
        raise InputError(f"data.train_files has {rows} rows{left}, fewer than data.train_batch_size={batch}")
