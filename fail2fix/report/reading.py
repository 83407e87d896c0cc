"""Read the metrics and validations of a run folder. Every error names the file, the line and the field.

``metrics.jsonl``: one object a line, ``step`` and ``{metric: number}``, null where a metric was not finite.
``validation/<step>.jsonl``: one object a rollout, whose ``input`` names the problem.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from fail2fix.method.errors import InputError, reading
from fail2fix.method.verdict import reaches
from fail2fix.run.renamed import with_new_metrics

Row: TypeAlias = dict[str, Any]
Key = TypeVar("Key", bound=Hashable)

PROBABILITY_CORRELATION = "training/rollout_actor_probs_pearson_corr"
NUMERIC_METRICS = ("fail2fix/", "timing_s/", PROBABILITY_CORRELATION)


FieldType: TypeAlias = tuple[str, Callable[[Any], bool]]
"""The values that a field may have: in words, and as a test."""

STEP: FieldType = ("a step", lambda value: type(value) is int and value >= 0)
NUMBER: FieldType = ("a number", lambda value: isinstance(value, int | float))
BOOLEAN: FieldType = ("true or false", lambda value: isinstance(value, bool))
TEXT: FieldType = ("a text", lambda value: isinstance(value, str))


def read_metrics(run: Path) -> list[Row]:
    """Whole lines of ``metrics.jsonl`` by step, under today's names. Raises ``InputError`` as ``read_lines``."""
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder: give <root>/<experiment>/<run>")
    rows = read_lines(run / "metrics.jsonl", {"step": STEP}, growing=True)
    return sorted(map(with_new_metrics, rows), key=lambda row: row["step"])


def validated_steps(run: Path) -> list[int]:
    """The steps that have a validation dump, sorted, at least one. Raises ``InputError``."""
    if not (steps := dumped_steps(run / "validation")):
        raise InputError(f"{run / 'validation'}: no <step>.jsonl in it: was the run validated?")
    return steps


def dumped_steps(folder: Path) -> list[int]:
    """The steps that have a dump in a folder, sorted."""
    return sorted(int(path.stem) for path in folder.glob("*.jsonl") if path.stem.isdigit())


def read_validation(run: Path, step: int) -> list[Row]:
    """The rollouts of a validation. Raises ``InputError`` as ``read_lines``."""
    return read_lines(run / "validation" / f"{step}.jsonl", {"input": TEXT, "score": NUMBER})


def read_lines(path: Path, wanted: dict[str, FieldType], growing: bool = False) -> list[Row]:
    """Objects of a JSON-lines file, at least one, each with the ``wanted`` fields.

    ``growing``: leave out a last line without its end, which is being written or was truncated by a kill.

    Raises ``InputError``: an unreadable file, or a malformed line or field.
    """
    with reading(f"{path}: cannot be read", OSError, UnicodeDecodeError):
        # Not splitlines: answers may hold other line separators, which JSON leaves as they are.
        lines = path.read_text(encoding="utf-8").split("\n")
    last = lines.pop()
    if last and not growing:
        lines.append(last)
    if not lines or lines == [""]:
        raise InputError(f"{path}: empty")
    return [_parse_line(f"{path}, line {number}", line, wanted) for number, line in enumerate(lines, 1)]


def _parse_line(where: str, line: str, wanted: dict[str, FieldType]) -> Row:
    with reading(f"{where}: not JSON", ValueError, RecursionError):
        row = json.loads(line)
    if not isinstance(row, dict):
        raise InputError(f"{where}: not an object")
    metrics = {name: NUMBER for name, value in row.items() if name.startswith(NUMERIC_METRICS) and value is not None}
    for name, (words, fits) in (metrics | wanted).items():
        if not fits(row.get(name)):
            raise InputError(f"{where}: {name!r} is {row.get(name)!r}, not {words}")
    return row


def of_last_start(path: Path) -> Path:
    """The file that the run's last start wrote: a resumption adds ``config.resume-2.yaml`` beside ``config.yaml``."""
    resumed = path.parent.glob(f"{path.stem}.resume-*{path.suffix}")
    return max(resumed, key=lambda file: (len(file.name), file.name), default=path)


def read_object(path: Path) -> Row:
    """The JSON object in a file. Raises ``InputError``."""
    with reading(f"{path}: cannot be read", OSError, ValueError, RecursionError):
        found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise InputError(f"{path}: not an object")
    return found


def quarters(rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    """The first and the last quarter of training steps, rounded up; empty without steps."""
    size = -(-len(rows) // 4)
    return rows[:size], rows[len(rows) - size :]


def tally(entries: Iterable[tuple[Key, int, int]]) -> dict[Key, tuple[int, int]]:
    """Sums by key of two counts: right samples and samples."""
    found: dict[Key, tuple[int, int]] = {}
    for key, right, n in entries:
        right_before, n_before = found.get(key, (0, 0))
        found[key] = (right_before + right, n_before + n)
    return found


def is_right(row: Row) -> int:
    """The verdict of a rollout, 1 or 0: the reward manager's ``verdict``, else a full ``acc``, else a full score."""
    given = next((row[name] for name in ("verdict", "acc") if isinstance(row.get(name), int | float)), row["score"])
    return int(reaches(float(str(given))))
