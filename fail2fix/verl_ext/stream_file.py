"""A stream's rollouts as a parquet file, one row a rollout: offline pools, lagged attempts, held-out attempts.

Everything a correction prompt and a reward function need is kept; nothing is pickled, for a model wrote it. Where the
rollouts came from stands in the file's schema metadata, as JSON under ``fail2fix``.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import torch
from verl import DataProto

from fail2fix.method.errors import InputError
from fail2fix.method.rollouts import BASE
from fail2fix.verl_ext.requests import Requests, objects
from fail2fix.verl_ext.stream import Reading, Stream

TYPED = "fail2fix.type"
CODECS: dict[str, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    "date": (datetime.date.isoformat, datetime.date.fromisoformat),
    "time": (datetime.time.isoformat, datetime.time.fromisoformat),
    "timedelta": (
        lambda value: str(value // datetime.timedelta(microseconds=1)),
        lambda text: datetime.timedelta(microseconds=int(text)),
    ),
    "Decimal": (str, decimal.Decimal),
    "bytes": (lambda value: base64.b64encode(value).decode(), base64.b64decode),
}
"""Types that a data file's columns may hold and JSON lacks, by name: how a value becomes text, and text a value."""
SCHEMA = 1
KEY = b"fail2fix"
# Columns that verdicts and rewards are read from (`stream.read_rollouts`).
VERDICTS = (
    "verdict", "acc", "score", "plain_reward", "shaped_reward", "pred", "verify_status", "verifier_calls",
)  # fmt: skip


def write_stream(path: Path, stream: Stream, provenance: dict[str, Any]) -> None:
    """Write a stream atomically.

    Raises:
        InputError: a column of the data set holds something that is not plain data (an image, say).
    """
    rows = stream.rows
    table = {
        "prompt_ids": [stream.prompt_ids(row) for row in range(len(rows))],
        "response_ids": [stream.response_ids(row) for row in range(len(rows))],
        "reward": stream.rollouts.reward.tolist(),
        "head": _rows_as_json(stream.requests.head),
        "request": _rows_as_json(stream.requests.request),
    }
    for name in VERDICTS:
        if name in rows.non_tensor_batch:
            table[name] = [_plain(value) for value in rows.non_tensor_batch[name]]
    shape = {
        "schema": SCHEMA,
        "rollouts": stream.rollouts.group_size,
        "correct_threshold": stream.reading.correct_threshold,
        "prompt_width": rows.batch["prompts"].shape[1],
        "response_width": rows.batch["responses"].shape[1],
        "padding": _padding(stream),
    }
    metadata = {KEY: json.dumps(shape | {"provenance": provenance}).encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    parquet.write_table(pyarrow.table(table).replace_schema_metadata(metadata), partial)
    partial.replace(path)


def read_provenance(path: Path) -> dict[str, Any]:
    """Where a file's rollouts came from.

    Raises:
        InputError: the file is not one of ours.
    """
    return dict(_shape(path)["provenance"])


def read_stream(path: Path, end_of_turn: Collection[int]) -> Stream:
    """Read a stream as it was written: the same attempts, verdicts, rewards and requests.

    ``end_of_turn``: tokens that end a response.

    Raises:
        InputError: the file is damaged or not one of ours.
    """
    shape = _shape(path)
    table = parquet.read_table(path).to_pydict()
    prompts, prompt_mask = _padded(table["prompt_ids"], shape["prompt_width"], shape["padding"], left=True)
    responses, response_mask = _padded(table["response_ids"], shape["response_width"], shape["padding"], left=False)
    scores = torch.zeros(responses.shape)
    last = response_mask.sum(-1).clamp(min=1) - 1
    scores[torch.arange(len(scores)), last] = torch.tensor(table["reward"], dtype=scores.dtype)
    tensors = {
        "prompts": prompts,
        "responses": responses,
        "attention_mask": torch.cat([prompt_mask, response_mask], dim=1),
        "rm_scores": scores,
    }
    requests = Requests(_rows_from_json(table["head"]), _rows_from_json(table["request"]))
    columns = {name: np.array(table[name]) for name in VERDICTS if name in table}
    columns["raw_prompt"] = requests.request.non_tensor_batch["raw_prompt"]
    rows = DataProto.from_dict(tensors=tensors, non_tensors=columns)
    reading = Reading(end_of_turn, shape["correct_threshold"])
    return Stream.of(BASE, rows, requests, shape["rollouts"], reading)


def _shape(path: Path) -> dict[str, Any]:
    try:
        shape = json.loads((parquet.read_schema(path).metadata or {})[KEY])
    except (OSError, KeyError, ValueError, pyarrow.ArrowException) as error:
        raise InputError(f"{path}: not a file of rollouts written by fail2fix; name another, or a new one") from error
    if shape.get("schema") != SCHEMA:
        raise InputError(f"{path}: schema {shape.get('schema')}, this version reads {SCHEMA}; write it again")
    return dict(shape)


def _padding(stream: Stream) -> int:
    """What fills a row's prompt on its left."""
    mask = stream.rows.batch["attention_mask"][:, : stream.rows.batch["prompts"].shape[1]]
    padded = stream.rows.batch["prompts"][mask == 0]
    return int(padded[0]) if len(padded) else 0


def _padded(ids: list[list[int]], width: int, padding: int, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.full((len(ids), width), padding, dtype=torch.long)
    mask = torch.zeros((len(ids), width), dtype=torch.long)
    for row, given in enumerate(ids):
        where = slice(width - len(given), width) if left else slice(0, len(given))
        tokens[row, where] = torch.tensor(given, dtype=torch.long)
        mask[row, where] = 1
    return tokens, mask


def _rows_as_json(rows: DataProto) -> list[str]:
    """Every row's tensors and columns; a tensor as ``{"dtype": ..., "values": ...}``."""
    tensors = {} if rows.batch is None else {name: rows.batch[name] for name in rows.batch.keys()}  # noqa: SIM118
    texts = []
    for row in range(len(rows)):
        held = {
            name: {"dtype": str(t.dtype).removeprefix("torch."), "values": t[row].tolist()}
            for name, t in tensors.items()
        }
        # verl's columns come in the order of a set, another one in each process; what is in them keeps its own.
        columns = {name: _plain(values[row], name) for name, values in sorted(rows.non_tensor_batch.items())}
        texts.append(json.dumps({"tensors": held, "columns": columns}))
    return texts


def _rows_from_json(texts: list[str]) -> DataProto:
    rows = [json.loads(text, object_hook=_typed) for text in texts]
    tensors = {
        name: torch.tensor([row["tensors"][name]["values"] for row in rows], dtype=getattr(torch, first["dtype"]))
        for name, first in rows[0]["tensors"].items()
    }
    columns = {name: objects([row["columns"][name] for row in rows]) for name in rows[0]["columns"]}
    if not tensors:
        return DataProto(non_tensor_batch=columns)
    return DataProto.from_dict(tensors=tensors, non_tensors=columns)


def _typed(fields: dict[str, Any]) -> Any:
    """A JSON object, or the value it stands for. Reading text runs no code of its own."""
    codec = CODECS.get(fields[TYPED]) if fields.keys() == {TYPED, "value"} else None
    return codec[1](fields["value"]) if codec else fields


def check_storable(row: Mapping[str, Any]) -> None:
    """Refuse a row of a data set that no file of rollouts can hold.

    Raises:
        InputError: the column and what to do.
    """
    for column, value in row.items():
        if not isinstance(value, torch.Tensor):
            _plain(value, column)


def _plain(value: Any, column: str = "") -> Any:
    """A value as JSON has it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item, column) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, column) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if codec := CODECS.get(type(value).__name__):
        return {TYPED: type(value).__name__, "value": codec[0](value)}
    raise InputError(
        f"column {column!r} holds a {type(value).__name__}: rollouts with it cannot be stored in a file; "
        "use fail2fix.replay.source=online, or drop the column"
    )
