"""A finished run as one small JSON file: everything the figures need, nothing of the run folder's size.

A record can be committed, and a comparison continued on another machine from the records alone. Problems are named
by a hash of their text. Knows the files of a run folder and the names of their fields; must not know what is computed
from a record.

Example::

    record = make_record(folder, run.fingerprint)
    write_record(run.record, record)
    read_record(run.record).points[-1].accuracy
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fail2fix.compare.origin import Member, Origin, origin_of, require_same
from fail2fix.compare.plan import Fingerprint
from fail2fix.data.atomic import write_whole
from fail2fix.method.errors import InputError
from fail2fix.report.figures import NUMBER, TEXT, Kind, Row, is_right, read_lines, read_metrics

FORMAT = 1
LEDGER = "fail2fix/ledger/"
REQUIRED = (
    "total/rollouts",
    "total/prompt_tokens",
    "total/generated_tokens",
    "optimizer_steps",
    "seconds",
    "problems",
)
ERROR = "error"  # the status of a sample that got no verdict
KEPT = ("val-core/", "fail2fix/held_out/")
VERDICT = Kind("true or false", lambda value: value in (0, 1))
ATTEMPT_FIELDS = {"problem": TEXT, "attempt_id": TEXT, "attempt_correct": VERDICT, "correct": VERDICT}


@dataclass(frozen=True)
class Point:
    """A validated step. ``accuracy``: mean over problems of their share of right answers.

    ``fix_rate``: share of samples that are right where the attempt was wrong; ``break_rate``: share that are wrong
    where it was right; None where none was sampled. ``verifier_errors``: samples without a verdict, which count as
    wrong answers in ``accuracy`` and not at all in the rates. ``ledger`` is cumulative. ``metrics``: the step's
    ``val-core/`` and ``fail2fix/held_out/`` values as logged.
    """

    step: int
    ledger: dict[str, float]
    accuracy: float
    fix_rate: float | None
    break_rate: float | None
    verifier_errors: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Attempts:
    """Held-out corrections, one entry an attempt in every column: ``n`` samples with a verdict, ``correct`` right."""

    problem: tuple[str, ...]
    attempt_id: tuple[str, ...]
    attempt_correct: tuple[bool, ...]
    correct: tuple[int, ...]
    n: tuple[int, ...]

    @property
    def identity(self) -> frozenset[tuple[str, str, bool]]:
        """Which attempts were corrected, whatever came of it."""
        return frozenset(zip(self.problem, self.attempt_id, self.attempt_correct, strict=True))


@dataclass(frozen=True)
class Validation:
    """A validated step in detail: ``problems`` {hash: (correct, n)}; None where no attempts were held out."""

    step: int
    problems: dict[str, tuple[int, int]]
    attempts: Attempts | None


@dataclass(frozen=True)
class Record:
    """A finished run. ``first`` and ``last`` are the same where the run was validated once."""

    fingerprint: Fingerprint
    origin: Origin
    versions: dict[str, Any]
    points: tuple[Point, ...]
    first: Validation
    last: Validation

    @property
    def name(self) -> str:
        return f"{self.fingerprint.config}-seed{self.fingerprint.seed}"

    @property
    def member(self) -> Member:
        return Member(self.fingerprint.config, self.fingerprint.seed, self.origin)

    @property
    def ledger(self) -> dict[str, float]:
        """The final ledger."""
        return self.points[-1].ledger


def make_record(folder: Path, fingerprint: Fingerprint) -> Record:
    """The record of the finished run in ``folder``.

    Raises:
        InputError: a file or a field that is missing or malformed, by file; or a last step that was not validated.
    """
    rows = {row["step"]: row for row in read_metrics(folder)}
    steps = _validated_steps(folder)
    if steps[-1] != max(rows):
        raise InputError(
            f"{folder}: trained to step {max(rows)}, last validated at step {steps[-1]}: only a run that ends with a "
            "validation can be compared"
        )
    points, details = [], {}
    for step in steps:
        if step not in rows:
            raise InputError(f"{folder / 'metrics.jsonl'}: no line for step {step}, which was validated")
        found, errors = _read_validation(folder, step)
        points.append(_point(folder, rows[step], found, errors))
        if step in (steps[0], steps[-1]):
            details[step] = found
    first, last = details[steps[0]], details[steps[-1]]
    return Record(fingerprint, origin_of(folder), _versions(folder), tuple(points), first, last)


def _validated_steps(folder: Path) -> list[int]:
    steps = sorted(int(path.stem) for path in (folder / "validation").glob("*.jsonl") if path.stem.isdigit())
    if not steps:
        raise InputError(f"{folder / 'validation'}: no <step>.jsonl in it: was the run validated?")
    return steps


def _point(folder: Path, row: Row, found: Validation, verifier_errors: int) -> Point:
    ledger = {name.removeprefix(LEDGER): value for name, value in _measured(row, LEDGER)}
    for name in REQUIRED:
        if name not in ledger:
            raise InputError(f"{folder / 'metrics.jsonl'}: step {row['step']} has no '{LEDGER}{name}'")
    return Point(
        step=row["step"],
        ledger=ledger,
        accuracy=_accuracy(found.problems),
        fix_rate=_rate(found.attempts, of_correct=False),
        break_rate=_rate(found.attempts, of_correct=True),
        verifier_errors=verifier_errors,
        metrics=dict(_measured(row, KEPT)),
    )


def _measured(row: Row, prefix: str | tuple[str, ...]) -> Iterable[tuple[str, float]]:
    return ((name, value) for name, value in row.items() if name.startswith(prefix) and value is not None)


def _read_validation(folder: Path, step: int) -> tuple[Validation, int]:
    """A validation and its samples without a verdict. Each dump is dropped once counted: it holds every answer."""
    rows = read_lines(folder / "validation" / f"{step}.jsonl", {"input": TEXT, "score": NUMBER})
    errors = sum(row.get("verify_status") == ERROR for row in rows)
    problems: dict[str, tuple[int, int]] = {}
    for row in rows:
        problem = _hash(row["input"])
        correct, n = problems.get(problem, (0, 0))
        problems[problem] = (correct + int(is_right(row)), n + 1)
    path = folder / "held_out_corrections" / f"{step}.jsonl"
    if not path.exists():
        return Validation(step, problems, None), errors
    corrections = read_lines(path, ATTEMPT_FIELDS)
    errors += sum(row.get("status") == ERROR for row in corrections)
    return Validation(step, problems, _attempts(corrections)), errors


def _attempts(corrections: Sequence[Row]) -> Attempts:
    found: dict[tuple[str, str, bool], tuple[int, int]] = {}
    for row in corrections:
        attempt = (_hash(row["problem"]), row["attempt_id"], bool(row["attempt_correct"]))
        correct, n = found.get(attempt, (0, 0))
        judged = row.get("status") != ERROR
        found[attempt] = (correct + (judged and bool(row["correct"])), n + judged)
    problem, attempt_id, attempt_correct = zip(*found, strict=True)
    correct_counts, n_counts = zip(*found.values(), strict=True)
    return Attempts(problem, attempt_id, attempt_correct, correct_counts, n_counts)


def counts(attempts: Attempts, of_correct: bool) -> dict[str, tuple[int, int]]:
    """{problem: (samples that changed the verdict, samples)} over the attempts that were right, or wrong."""
    found: dict[str, tuple[int, int]] = {}
    columns = (attempts.problem, attempts.attempt_correct, attempts.correct, attempts.n)
    for problem, attempt_correct, correct, n in zip(*columns, strict=True):
        if attempt_correct == of_correct:
            changed, samples = found.get(problem, (0, 0))
            found[problem] = (changed + (n - correct if of_correct else correct), samples + n)
    return found


def _accuracy(problems: dict[str, tuple[int, int]]) -> float:
    return sum(correct / n for correct, n in problems.values()) / len(problems)


def _rate(attempts: Attempts | None, of_correct: bool) -> float | None:
    found = counts(attempts, of_correct).values() if attempts else []
    samples = sum(n for _, n in found)
    return sum(changed for changed, _ in found) / samples if samples else None


def _versions(folder: Path) -> dict[str, Any]:
    """The run's last ``versions.json`` without its command, whose paths are nobody else's."""
    resumed = sorted(folder.glob("versions.resume-*.json"), key=lambda path: (len(path.name), path.name))
    versions = _read_json([folder / "versions.json", *resumed][-1])
    return {name: value for name, value in versions.items() if name != "command"}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]


def require_same_origin(records: Iterable[Record]) -> None:
    """Refuse runs that no comparison can take together. Raises ``InputError`` as ``require_same``."""
    require_same({record.name: record.member for record in records})


def write_record(path: Path, record: Record) -> None:
    """Write a record, whole or not at all, a line for each part."""
    parts: dict[str, object] = {"format": FORMAT} | asdict(record)
    points = ",\n  ".join(json.dumps(point) for point in asdict(record)["points"])
    lines = [f'"{name}": {json.dumps(part)}' for name, part in parts.items() if name != "points"]
    lines.append(f'"points": [\n  {points}\n]')
    write_whole(path, "{\n" + ",\n".join(lines) + "\n}\n")


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        InputError: not a record, or one of another format, by file.
    """
    parts = _read_json(path)
    if parts.get("format") != FORMAT:
        raise InputError(f"{path}: not a record of format {FORMAT}")
    try:
        record = Record(
            fingerprint=_fingerprint(parts["fingerprint"]),
            origin=Origin(**parts["origin"]),
            versions=parts["versions"],
            points=tuple(Point(**point) for point in parts["points"]),
            first=_validation(parts["first"]),
            last=_validation(parts["last"]),
        )
        _require_sound(record)
        return record
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a whole record: {type(error).__name__}: {error}") from error


def _require_sound(record: Record) -> None:
    """Refuse what no run could have left, an edited file say. Raises ``ValueError``, or what reading it raises."""
    if not record.points:
        raise ValueError("no points")
    for point in record.points:
        for name in REQUIRED:
            if not (point.ledger[name] >= 0 and math.isfinite(point.ledger[name])):
                raise ValueError(f"step {point.step}: {name} is {point.ledger[name]}")
    dict(record.versions)
    for point, validation in ((record.points[0], record.first), (record.points[-1], record.last)):
        _require_counts(validation)
        attempts = validation.attempts
        rates = _rate(attempts, of_correct=False), _rate(attempts, of_correct=True)
        if not _same((point.accuracy, point.fix_rate, point.break_rate), (_accuracy(validation.problems), *rates)):
            raise ValueError(f"step {point.step}: its accuracy or rates are not those of its problems and attempts")


def _require_counts(validation: Validation) -> None:
    attempts = validation.attempts
    counted = [*validation.problems.values()]
    counted += zip(attempts.correct, attempts.n, strict=True) if attempts else []
    if not validation.problems or not all(0 <= correct <= n for correct, n in counted):
        raise ValueError(f"step {validation.step}: more right samples than samples, or none")
    if any(n < 1 for _, n in validation.problems.values()):
        raise ValueError(f"step {validation.step}: a problem without samples")


def _same(found: Sequence[float | None], wanted: Sequence[float | None]) -> bool:
    return all(
        (a is None and b is None) or (a is not None and b is not None and math.isclose(a, b, abs_tol=1e-9))
        for a, b in zip(found, wanted, strict=True)
    )


def _validation(part: Row) -> Validation:
    attempts = part["attempts"]
    return Validation(
        step=part["step"],
        problems={problem: (correct, n) for problem, (correct, n) in part["problems"].items()},
        attempts=Attempts(**{name: tuple(column) for name, column in attempts.items()}) if attempts else None,
    )


def read_fingerprint(path: Path) -> Fingerprint:
    """The fingerprint in a file of its own, as ``write_fingerprint`` leaves it. Raises ``InputError`` by file."""
    try:
        return _fingerprint(_read_json(path))
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: not a fingerprint: {type(error).__name__}: {error}") from error


def write_fingerprint(path: Path, fingerprint: Fingerprint) -> None:
    """Write a fingerprint to a file of its own."""
    write_whole(path, json.dumps(asdict(fingerprint)) + "\n")


def _fingerprint(part: Row) -> Fingerprint:
    return Fingerprint(**part | {"overrides": tuple(part["overrides"])})


def _read_json(path: Path) -> Row:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: not an object")
    return found
