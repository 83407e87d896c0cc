"""Records of finished runs: one small JSON file with everything that the figures need.

A record can be committed, and a comparison continued on another machine from the records alone. Problems are named
by a hash of their text.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from fail2fix.compare.origin import MODEL, Origin, differing, origin_of
from fail2fix.compare.plan import Fingerprint
from fail2fix.compare.revisions import Revisions, read_revisions, revised_share
from fail2fix.data.atomic import write_whole
from fail2fix.method.errors import InputError, reading
from fail2fix.method.shaping import same_answer
from fail2fix.report.reading import (
    TEXT,
    FieldType,
    Row,
    is_right,
    of_last_start,
    read_lines,
    read_metrics,
    read_object,
    read_validation,
    tally,
    validated_steps,
)

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
ERROR = "error"  # the status of a sample without a verdict
KEPT = ("val-core/", "fail2fix/held_out/")
VERDICT: FieldType = ("true or false", lambda value: value in (0, 1))
COLUMNS = ("problem", "attempt_id", "attempt_correct", "correct", "n")  # of the attempts in a record's file
ATTEMPT_FIELDS = {"problem": TEXT, "attempt_id": TEXT, "attempt_correct": VERDICT, "correct": VERDICT}

Attempt = tuple[str, str, bool]
"""Hash of the problem, id of the attempt, and whether it is right."""


@dataclass(frozen=True)
class Point:
    """Figures of a validated step. ``accuracy``: mean over problems of their share of right answers.

    ``fix_rate``: share of samples that are right where the attempt was wrong; ``break_rate``: share that are wrong
    where it was right; None where none was sampled. ``verifier_errors``: samples without a verdict, which count as
    wrong answers in ``accuracy`` and not at all in the rates. ``ledger`` is cumulative. ``metrics``: the step's
    ``val-core/`` and ``fail2fix/held_out/`` values as logged. ``revised``: accuracy after one revision of own answers.
    """

    step: int
    ledger: dict[str, float]
    accuracy: float
    fix_rate: float | None
    break_rate: float | None
    verifier_errors: int
    metrics: dict[str, float]
    revised: float | None = None


@dataclass(frozen=True)
class ValidatedStep:
    """Counts of a validated step, each (right samples, samples).

    ``problems``: {hash: counts}. ``attempts``: {attempt: counts of its corrections that have a verdict}, None where
    none were held out. ``own``: the policy's own answers and their revisions. ``copied``: {problem: (copies of the
    wrong attempt's answer, corrections of wrong attempts)}.
    """

    step: int
    problems: dict[str, tuple[int, int]]
    attempts: dict[Attempt, tuple[int, int]] | None
    own: Revisions | None = None
    copied: dict[str, tuple[int, int]] | None = None


@dataclass(frozen=True)
class RunRecord:
    """A finished run. ``first`` and ``last`` are the same where the run was validated once."""

    fingerprint: Fingerprint
    origin: Origin
    versions: dict[str, Any]
    points: tuple[Point, ...]
    first: ValidatedStep
    last: ValidatedStep

    @property
    def name(self) -> str:
        return f"{self.fingerprint.config}-seed{self.fingerprint.seed}"

    @property
    def ledger(self) -> dict[str, float]:
        """The final ledger."""
        return self.points[-1].ledger


def make_record(folder: Path, fingerprint: Fingerprint) -> RunRecord:
    """The record of the finished run in ``folder``.

    Raises ``InputError``: a file or a field that is missing or malformed, by file; or a last step that was not
    validated.
    """
    rows = {row["step"]: row for row in read_metrics(folder)}
    steps = validated_steps(folder)
    if steps[-1] != max(rows):
        raise InputError(
            f"{folder}: trained to step {max(rows)}, last validated at step {steps[-1]}: only a run that ends with a "
            "validation can be compared"
        )
    if missing := [step for step in steps if step not in rows]:
        raise InputError(f"{folder / 'metrics.jsonl'}: no line for step {missing[0]}, which was validated")
    counted = [_count(folder, step) for step in steps]
    points = tuple(_point(folder, rows[found.step], found, errors) for found, errors in counted)
    return RunRecord(fingerprint, origin_of(folder), _versions(folder), points, counted[0][0], counted[-1][0])


def _point(folder: Path, row: Row, found: ValidatedStep, verifier_errors: int) -> Point:
    ledger = {name.removeprefix(LEDGER): value for name, value in _measured(row, LEDGER)}
    if missing := [name for name in REQUIRED if name not in ledger]:
        raise InputError(f"{folder / 'metrics.jsonl'}: step {row['step']} has no '{LEDGER}{missing[0]}'")
    return Point(
        step=row["step"],
        ledger=ledger,
        accuracy=sum(correct / n for correct, n in found.problems.values()) / len(found.problems),
        fix_rate=_rate(found.attempts or {}, of_correct=False),
        break_rate=_rate(found.attempts or {}, of_correct=True),
        verifier_errors=verifier_errors,
        metrics=dict(_measured(row, KEPT)),
        revised=revised_share(found.own) if found.own else None,
    )


def _measured(row: Row, prefix: str | tuple[str, ...]) -> Iterable[tuple[str, float]]:
    return ((name, value) for name, value in row.items() if name.startswith(prefix) and value is not None)


def _rate(attempts: Mapping[Attempt, tuple[int, int]], of_correct: bool) -> float | None:
    found = counts(attempts, of_correct).values()
    samples = sum(n for _, n in found)
    return sum(changed for changed, _ in found) / samples if samples else None


def _count(folder: Path, step: int) -> tuple[ValidatedStep, int]:
    """The counts of a validation and its samples without a verdict, from dumps that hold every answer."""
    rows = read_validation(folder, step)
    errors = sum(row.get("verify_status") == ERROR for row in rows)
    problems = tally((_hash(row["input"]), is_right(row), 1) for row in rows)
    own = read_revisions(folder, step, list(problems), rows)
    path = folder / "held_out_corrections" / f"{step}.jsonl"
    if not path.exists():
        return ValidatedStep(step, problems, None, own), errors
    corrections = read_lines(path, ATTEMPT_FIELDS)
    errors += sum(row.get("status") == ERROR for row in corrections)
    return ValidatedStep(step, problems, _attempts(corrections), own, _copied(corrections)), errors


def _attempts(corrections: Sequence[Row]) -> dict[Attempt, tuple[int, int]]:
    return tally(
        (
            (_hash(row["problem"]), row["attempt_id"], bool(row["attempt_correct"])),
            int(row.get("status") != ERROR and bool(row["correct"])),
            int(row.get("status") != ERROR),
        )
        for row in corrections
    )


def _copied(corrections: Sequence[Row]) -> dict[str, tuple[int, int]] | None:
    """Copies of wrong attempts' answers; None where a dump has no answers. No answer is no copy."""
    if not all("answer" in row and "attempt_answer" in row for row in corrections):
        return None
    wrong = [row for row in corrections if not row["attempt_correct"] and row.get("status") != ERROR]
    return tally((_hash(row["problem"]), int(same_answer(row["attempt_answer"], row["answer"])), 1) for row in wrong)


def counts(attempts: Mapping[Attempt, tuple[int, int]], of_correct: bool) -> dict[str, tuple[int, int]]:
    """{problem: (samples that changed the verdict, samples)} over the attempts that were right, or wrong."""
    return tally(
        (problem, n - correct if of_correct else correct, n)
        for (problem, _, attempt_correct), (correct, n) in attempts.items()
        if attempt_correct == of_correct
    )


def _versions(folder: Path) -> dict[str, Any]:
    """The run's last ``versions.json`` without its command, whose paths belong to one machine."""
    versions = read_object(of_last_start(folder / "versions.json"))
    return {name: value for name, value in versions.items() if name != "command"}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]


def require_same_origin(records: Iterable[RunRecord]) -> None:
    """Refuse runs that no comparison can take together.

    Raises ``InputError``: two seeds of a config with different settings, two runs with different data, or two runs of
    one seed with different models.
    """
    way_out = "compare under another --out, or delete the older runs' records"
    for first, other in combinations(records, 2):
        names, config = f"{other.name} and {first.name}", other.fingerprint.config
        settings = differing(first.origin.settings, other.origin.settings)
        if config == first.fingerprint.config and settings:
            raise InputError(
                f"{names}: the settings of {config} were changed between them ({', '.join(settings)}): {way_out}"
            )
        inputs = differing(first.origin.inputs, other.origin.inputs)
        if inputs := [what for what in inputs if what != MODEL or other.fingerprint.seed == first.fingerprint.seed]:
            raise InputError(f"{names}: not the same {', '.join(inputs)}: {way_out}")


def different_models(records: Iterable[RunRecord]) -> str:
    """Which seeds started from which model, where they are not all the same; else empty."""
    seeds: dict[str, set[int]] = {}
    for record in records:
        seeds.setdefault(record.origin.inputs[MODEL], set()).add(record.fingerprint.seed)
    if len(seeds) < 2:
        return ""
    return "; ".join(f"{model}: seed {', '.join(map(str, sorted(of)))}" for model, of in seeds.items())


def write_record(path: Path, record: RunRecord) -> None:
    """Write a record, whole or not at all, a line for each part."""
    parts: dict[str, Any] = {"format": FORMAT} | asdict(record)
    for part in (parts["first"], parts["last"]):
        rows = [(*attempt, *found) for attempt, found in (part["attempts"] or {}).items()]
        part["attempts"] = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True)) if rows else None
    points = ",\n  ".join(json.dumps(point) for point in parts.pop("points"))
    lines = [f'"{name}": {json.dumps(part)}' for name, part in parts.items()]
    write_whole(path, "{\n" + ",\n".join([*lines, f'"points": [\n  {points}\n]']) + "\n}\n")


def read_record(path: Path) -> RunRecord:
    """Read a record. Raises ``InputError``: not a record, or one of another format, by file."""
    parts = read_object(path)
    if parts.get("format") != FORMAT:
        raise InputError(f"{path}: not a record of format {FORMAT}")
    with reading(f"{path}: not a whole record"):
        return RunRecord(
            fingerprint=_fingerprint(parts["fingerprint"]),
            origin=Origin(**parts["origin"]),
            versions=dict(parts["versions"]),
            points=tuple(Point(**point) for point in parts["points"]),
            first=_validated_step(parts["first"]),
            last=_validated_step(parts["last"]),
        )


def _validated_step(part: Row) -> ValidatedStep:
    rows = zip(*(part["attempts"][name] for name in COLUMNS), strict=True) if part["attempts"] else ()
    return ValidatedStep(
        step=part["step"],
        problems={problem: (correct, n) for problem, (correct, n) in part["problems"].items()},
        attempts={(problem, name, right): (correct, n) for problem, name, right, correct, n in rows} or None,
        own=Revisions.of(part["own"]) if part.get("own") else None,
        copied={problem: (same, n) for problem, (same, n) in part["copied"].items()} if part.get("copied") else None,
    )


def read_fingerprint(path: Path) -> Fingerprint:
    """The fingerprint in a JSON file. Raises ``InputError`` by file."""
    with reading(f"{path}: not a fingerprint"):
        return _fingerprint(read_object(path))


def _fingerprint(part: Row) -> Fingerprint:
    return Fingerprint(**part | {"overrides": tuple(part["overrides"])})
