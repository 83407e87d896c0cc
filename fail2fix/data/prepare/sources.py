"""The rows of a set: from the Hugging Face hub, or from a folder of local copies. The same code follows either.

Knows: file formats, the hub's client. Must not know: what columns mean.
"""

import contextlib
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TextIO, cast

from fail2fix.data.sets import find_set
from fail2fix.data.sets.spec import Problem, PublicSet, Record, UnusableRowError
from fail2fix.method.errors import InputError

SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".parquet")


def rows_of(chosen: PublicSet, split: str, folder: Path | None) -> Iterator[Record]:
    """Every row of a split, one after the other, of the copies under `folder`, or of the hub where that is None.

    Raises:
        InputError: no such data; a file that cannot be read, by file and row; at the end, no rows, or from the hub
            another number than the pinned revision has.
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


def reader_of(chosen: PublicSet, folder: Path | None) -> Callable[[Record], Problem]:
    """How a row of the set becomes a problem, with a ground truth of the set it is joined with."""
    if chosen.join is None:
        return chosen.read
    join = chosen.join
    rows = {row.text(join.key): row for row in rows_of(find_set(join.name), join.split, folder)}

    def read(record: Record) -> Problem:
        problem = chosen.read(record)
        if problem.answer not in rows:
            raise UnusableRowError(f"{join.name} has no tests for its problem")
        return replace(problem, answer=join.ground_truth(rows[problem.answer]))

    return read


def _hub_rows(chosen: PublicSet, split: str) -> Iterator[Record]:
    try:
        rows = _hub_files(chosen) if chosen.hub_files else _hub_split(chosen, split)
    except Exception as error:  # the hub client raises many unrelated types; all mean "no data, for this reason"
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{chosen.name}: cannot load {chosen.hub_id} at {chosen.pinned} from the hub ({reason}): use --from DIR"
        ) from error
    for index, fields in enumerate(rows):
        yield Record(f"{chosen.name}: {chosen.hub_id} {split}, row {index}", fields)


def _hub_split(chosen: PublicSet, split: str) -> Iterable[dict[str, object]]:
    import datasets

    rows: Iterable[dict[str, object]] = datasets.load_dataset(
        chosen.hub_id, chosen.hub_config, split=split, revision=chosen.revision or None
    )
    return rows


def _hub_files(chosen: PublicSet) -> Iterable[dict[str, object]]:
    """The lines of all files, which are fetched before the first is read."""
    from huggingface_hub import hf_hub_download

    paths = [
        Path(hf_hub_download(chosen.hub_id, name, repo_type="dataset", revision=chosen.revision or None))
        for name in chosen.hub_files
    ]
    return (fields for path in paths for fields in _read_objects(chosen.name, path) if isinstance(fields, dict))


def _local_rows(chosen: PublicSet, split: str, folder: Path) -> Iterator[Record]:
    found_beside = _columns_beside(chosen, folder)
    for path in local_files(chosen, split, folder):
        for index, fields in enumerate(_read_objects(chosen.name, path)):
            place = f"{chosen.name}: {path.name}, row {index}"
            if not isinstance(fields, dict):
                raise InputError(f"{place}: not an object with columns: repair or remove the row")
            record = Record(place, fields)
            if chosen.beside and chosen.beside.key in fields:
                record = Record(place, {**found_beside.get(str(fields[chosen.beside.key]), {}), **fields})
            if chosen.mirror_split is None or chosen.mirror_split(record) == split:
                yield record


def local_files(chosen: PublicSet, split: str, folder: Path) -> list[Path]:
    """The files of a split under `folder`: those of the first of the set's patterns that finds any.

    Raises:
        InputError: none does.
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
    """The files that hold columns which the mirror's own rows lack."""
    return sorted(folder.glob(chosen.beside.files)) if chosen.beside else []


def _columns_beside(chosen: PublicSet, folder: Path) -> dict[str, dict[str, object]]:
    """{key: its columns}. Where the file is absent so are the columns, and the row says which one it misses."""
    found: dict[str, dict[str, object]] = {}
    for path in beside_files(chosen, folder):
        for row in _read_objects(chosen.name, path):
            if chosen.beside and isinstance(row, Mapping):
                columns = {name: row[name] for name in chosen.beside.columns if name in row}
                found[str(row.get(chosen.beside.key))] = columns
    return found


def _read_objects(name: str, path: Path) -> Iterable[object]:
    if path.suffix == ".parquet":
        return _read_parquet(name, path)
    if ".jsonl" in path.suffixes:
        return _read_lines(name, path)
    with _readable(name, path) as file:
        rows = _parse(file.read(), f"{name}: {path.name}")
    if not isinstance(rows, list):
        raise InputError(f"{name}: {path.name}: not a list of rows: check --from")
    return rows


@contextlib.contextmanager
def _readable(name: str, path: Path) -> Iterator[TextIO]:
    """The file's text; what it cannot give is one line."""
    # newline: a JSON text may hold U+2028, which is a line end to str.splitlines().
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with cast(TextIO, opener(path, "rt", encoding="utf-8", newline="\n")) as file:
            yield file
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{name}: {path.name}: cannot be read ({error}): fetch it again") from error


def _read_lines(name: str, path: Path) -> Iterator[object]:
    """A line at a time: single sets have gigabytes of tests."""
    with _readable(name, path) as file:
        for index, line in enumerate(file):
            yield _parse(line, f"{name}: {path.name}, row {index}")


def _parse(text: str, place: str) -> object:
    try:
        return json.loads(text.removeprefix("\ufeff"))  # a byte order mark
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: not JSON ({error}): repair or remove it") from error


def _read_parquet(name: str, path: Path) -> Iterable[object]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows: list[object] = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise InputError(f"{name}: {path.name}: not a parquet file ({error}): fetch it again") from error
    return rows
