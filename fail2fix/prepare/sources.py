"""The rows of a set: from the Hugging Face hub, or from a folder of local copies. The same code follows either.

Knows: file formats, the hub's client. Must not know: what columns mean.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from fail2fix.core.config import BadInput
from fail2fix.sets.spec import PublicSet, Record

SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".parquet")


def rows_of(chosen: PublicSet, split: str, folder: Path | None) -> list[Record]:
    """Every row of a split, of the copies under `folder`, or of the hub where that is None.

    Raises:
        BadInput: no such data, or a file that cannot be read, by file and row.
    """
    rows = list(_hub_rows(chosen, split) if folder is None else _local_rows(chosen, split, folder))
    if not rows:
        where = chosen.hub_id if folder is None else folder
        raise BadInput(f"{chosen.name}: {where} has no rows in split {split!r}: the download is empty")
    known = chosen.splits[split]
    if folder is None and len(rows) != known:
        raise BadInput(
            f"{chosen.name}: {chosen.hub_id} has {len(rows):,} rows in split {split!r}, and {known:,} at "
            f"the revision known here ({chosen.revision}): fetch it yourself, look at it, and use --from"
        )
    return rows


def _hub_rows(chosen: PublicSet, split: str) -> Iterator[Record]:
    import datasets

    revision = chosen.revision or None
    try:
        rows = datasets.load_dataset(chosen.hub_id, chosen.hub_config, split=split, revision=revision)
    except Exception as error:  # the hub client raises many unrelated types; all mean "no data, for this reason"
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        at = f" at revision {revision}" if revision else ""
        raise BadInput(
            f"{chosen.name}: cannot load {chosen.hub_id}{at} from the hub ({reason}): use --from DIR"
        ) from error
    for index, fields in enumerate(rows):
        yield Record(f"{chosen.name}: {chosen.hub_id} {split}, row {index}", dict(fields))


def _local_rows(chosen: PublicSet, split: str, folder: Path) -> Iterator[Record]:
    for path in local_files(chosen, split, folder):
        for index, fields in enumerate(_read_objects(chosen.name, path)):
            place = f"{chosen.name}: {path.name}, row {index}"
            if not isinstance(fields, dict):
                raise BadInput(f"{place}: not an object with columns: repair or remove the row")
            record = Record(place, fields)
            if chosen.mirror_split is None or chosen.mirror_split(record) == split:
                yield record


def local_files(chosen: PublicSet, split: str, folder: Path) -> list[Path]:
    """The files of a split under `folder`: those of the first of the set's patterns that finds any.

    Raises:
        BadInput: none does.
    """
    for pattern in chosen.mirror[split]:
        if files := sorted(path for path in folder.glob(pattern) if path.name.endswith(SUFFIXES)):
            return files
    wanted = " or ".join(chosen.mirror[split])
    raise BadInput(f"{chosen.name}: {folder}: no {wanted} ({', '.join(SUFFIXES)}) in it: check --from")


def _read_objects(name: str, path: Path) -> Iterable[object]:
    if path.suffix == ".parquet":
        return _read_parquet(name, path)
    content = path.read_bytes()
    try:
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadInput(f"{name}: {path.name}: cannot be read ({error}): fetch it again") from error
    if ".jsonl" in path.suffixes:
        # Not splitlines(): a JSON text may hold U+2028, which is a line end to that.
        lines = text.removesuffix("\n").split("\n") if text.strip() else []
        return [_parse(line, f"{name}: {path.name}, row {index}") for index, line in enumerate(lines)]
    rows = _parse(text, f"{name}: {path.name}")
    if not isinstance(rows, list):
        raise BadInput(f"{name}: {path.name}: not a list of rows: check --from")
    return rows


def _parse(text: str, place: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"{place}: not JSON ({error}): repair or remove it") from error


def _read_parquet(name: str, path: Path) -> Iterable[object]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows: list[object] = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise BadInput(f"{name}: {path.name}: not a parquet file ({error}): fetch it again") from error
    return rows
