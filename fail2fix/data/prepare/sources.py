"""Rows of a set, read from the Hugging Face hub or from a folder of local copies.

Knows: file formats, the hub's client. Must not know: what columns mean.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO, cast

from fail2fix.data.rows import read_parquet
from fail2fix.data.sets import find_set
from fail2fix.data.sets.spec import Problem, PublicSet, SourceRow, UnusableRowError
from fail2fix.method.errors import InputError, reading

SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".parquet")


def rows_of(chosen: PublicSet, split: str, folder: Path | None) -> Iterator[SourceRow]:
    """Yield every row of a split, from the copies in `folder`, or from the hub if that is None.

    Raises:
        InputError: no such data; an unreadable file or row, which it names; after the last row, if there was none, or
            if the hub has another number of rows than the pinned revision.
    """
    count = 0
    for row in _hub_rows(chosen, split) if folder is None else _local_rows(chosen, split, folder):
        count += 1
        yield row
    if not count:
        where = chosen.hub_id if folder is None else folder
        raise InputError(f"{chosen.name}: {where} has no rows in split {split!r}: the download is empty")
    known = chosen.splits[split]
    if folder is None and chosen.revision and count != known:
        raise InputError(
            f"{chosen.name}: {chosen.hub_id} has {count:,} rows in split {split!r}, and {known:,} at "
            f"the revision known here ({chosen.revision}): fetch it yourself, look at it, and use --from"
        )


def reader_of(chosen: PublicSet, folder: Path | None) -> Callable[[SourceRow], Problem]:
    """The function that turns a row into a problem, with the ground truth of the set that it is joined with."""
    if chosen.join is None:
        return chosen.read
    join = chosen.join
    rows = {row.text(join.key): row for row in rows_of(find_set(join.name), join.split, folder)}

    def read(row: SourceRow) -> Problem:
        problem = chosen.read(row)
        if problem.answer not in rows:
            raise UnusableRowError(f"{join.name} has no tests for its problem")
        return replace(problem, answer=join.ground_truth(rows[problem.answer]))

    return read


def _hub_rows(chosen: PublicSet, split: str) -> Iterator[SourceRow]:
    rows: Iterable[Any]
    # The hub's client raises many unrelated types; all mean that there is no data.
    place = f"{chosen.hub_id} at revision {chosen.revision or 'main'}"
    with reading(f"{chosen.name}: cannot load {place} from the hub", Exception, hint="use --from DIR"):
        if chosen.hub_files:
            from huggingface_hub import hf_hub_download

            # All are downloaded before the first is read.
            names, revision = chosen.hub_files, chosen.revision or None
            paths = [hf_hub_download(chosen.hub_id, name, repo_type="dataset", revision=revision) for name in names]
            objects = (each for path in paths for each in _read_objects(chosen.name, Path(path)))
            rows = (fields for fields in objects if isinstance(fields, dict))
        else:
            from datasets import load_dataset

            rows = load_dataset(chosen.hub_id, chosen.hub_config, split=split, revision=chosen.revision or None)
    for index, fields in enumerate(rows):
        yield SourceRow(f"{chosen.name}: {chosen.hub_id} {split}, row {index}", fields)


def _local_rows(chosen: PublicSet, split: str, folder: Path) -> Iterator[SourceRow]:
    found_beside = _columns_beside(chosen, folder)
    for path in local_files(chosen, split, folder):
        for index, fields in enumerate(_read_objects(chosen.name, path)):
            place = f"{chosen.name}: {path.name}, row {index}"
            if not isinstance(fields, dict):
                raise InputError(f"{place}: not an object with columns: repair or remove the row")
            beside = found_beside.get(str(fields.get(chosen.beside.key)), {}) if chosen.beside else {}
            row = SourceRow(place, beside | fields)
            if chosen.mirror_split is None or chosen.mirror_split(row) == split:
                yield row


def local_files(chosen: PublicSet, split: str, folder: Path) -> list[Path]:
    """Files of a split below `folder` that match the first successful pattern of the set.

    Raises:
        InputError: no pattern matches a file.
    """
    for pattern in chosen.mirror[split]:
        if files := sorted(path for path in folder.glob(pattern) if path.name.endswith(SUFFIXES)):
            return files
    wanted = " or ".join(chosen.mirror[split])
    raise InputError(f"{chosen.name}: {folder}: no {wanted} ({', '.join(SUFFIXES)}) in it: check --from")


def is_at_hand(chosen: PublicSet, folder: Path) -> bool:
    """Whether `folder` holds a file of the set."""
    return any(path for patterns in chosen.mirror.values() for name in patterns for path in folder.glob(name))


def beside_files(chosen: PublicSet, folder: Path) -> list[Path]:
    """Files with the columns that the mirror's own rows lack."""
    return sorted(folder.glob(chosen.beside.files)) if chosen.beside else []


def _columns_beside(chosen: PublicSet, folder: Path) -> dict[str, dict[str, object]]:
    """{key: columns}; without the file, reading a row reports the missing column."""
    if chosen.beside is None:
        return {}
    rows = (row for path in beside_files(chosen, folder) for row in _read_objects(chosen.name, path))
    key, columns = chosen.beside.key, chosen.beside.columns
    return {
        str(row.get(key)): {name: row[name] for name in columns if name in row} for row in rows if isinstance(row, dict)
    }


def _read_objects(name: str, path: Path) -> Iterator[object]:
    """The rows of a file; JSON lines one at a time, because some sets have gigabytes of tests."""
    place = f"{name}: {path.name}"
    if path.suffix == ".parquet":
        yield from read_parquet(path, place, "fetch it again")
        return
    opener = gzip.open if path.suffix == ".gz" else open
    with (
        reading(f"{place}: cannot be read", OSError, EOFError, UnicodeDecodeError, zlib.error, hint="fetch it again"),
        # newline: a JSON text may hold U+2028, which is a line end to str.splitlines().
        cast(TextIO, opener(path, "rt", encoding="utf-8", newline="\n")) as file,
    ):
        if ".jsonl" in path.suffixes:
            for index, line in enumerate(file):
                yield _parse(line, f"{place}, row {index}")
            return
        rows = _parse(file.read(), place)
    if not isinstance(rows, list):
        raise InputError(f"{place}: not a list of rows: check --from")
    yield from rows


def _parse(text: str, place: str) -> object:
    with reading(f"{place}: not JSON", json.JSONDecodeError, hint="repair or remove it"):
        return json.loads(text.removeprefix("\ufeff"))  # a byte order mark
