"""The problems of a benchmark, read from its prepared parquet file; a missing set is prepared first."""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fail2fix.data.files import require_writable
from fail2fix.data.prepare.command import prepare
from fail2fix.data.rows import read_parquet
from fail2fix.data.sets import find_set
from fail2fix.data.sets.spec import GivenAttempt
from fail2fix.evaluate.benchmarks import Benchmark, Task
from fail2fix.method.errors import InputError, reading
from fail2fix.verify.registry import ground_truth_text


@dataclass(frozen=True)
class Question:
    """One problem: its chat `messages`, the verifier's `ground_truth`, and a given attempt, if any."""

    id: str
    data_source: str
    ability: str
    messages: list[dict[str, str]]
    ground_truth: str
    attempt: GivenAttempt | None = None
    tags: dict[str, str] = field(default_factory=dict)
    task: Task = "solve"

    @property
    def attempt_text(self) -> str:
        """The given attempt; "" if there is none."""
        return self.attempt.text if self.attempt else ""


def load_questions(
    benchmark: Benchmark, data: Path, folder: Path | None, limit: int | None, seed: int
) -> list[Question]:
    """The questions of a benchmark, in the set's order; if more than `limit`, that many drawn by `seed`.

    Raises `InputError`: a set that cannot be prepared, a malformed row, or no row that counts.
    """
    path, chosen = data / benchmark.set_name / "test.parquet", find_set(benchmark.set_name)
    if not path.is_file():
        require_writable(path.parent, "--data")
        prepare(chosen, path.parent, folder)
    found = [question for question in read_questions(path) if chosen.evaluated(question.tags)]
    if not found:
        raise InputError(f"{path}: no row of it counts for {benchmark.name}: prepare it again")
    if benchmark.task != "solve" and not all(question.attempt for question in found):
        raise InputError(f"{path}: rows without an attempt to be corrected: prepare it again")
    return [replace(question, task=benchmark.task) for question in drawn(found, limit, seed)]


def drawn(questions: list[Question], limit: int | None, seed: int) -> list[Question]:
    """`limit` of some questions, drawn by `seed`, in their order; all of them where there are no more, or for None."""
    if limit is None or limit >= len(questions):
        return questions
    return [questions[index] for index in sorted(random.Random(seed).sample(range(len(questions)), limit))]


def read_questions(path: Path, numbered: bool = False, hint: str = "prepare it again") -> list[Question]:
    """Every row of a prepared file; `numbered`: a row without an id has its place as one.

    `hint`: what to do about a file that is none.

    Raises `InputError`: the file cannot be read; the row and column that are not as `fail2fix.prepare` writes them;
    equal ids.
    """
    questions: dict[str, Question] = {}
    for index, row in enumerate(read_parquet(path, str(path), hint)):
        place = f"{path}, row {index}"
        damaged = (KeyError, TypeError, AttributeError, InputError)
        with reading(f"{place}: not as fail2fix.prepare writes it", *damaged, hint=hint):
            question = _question(row, {"id": index} if numbered else {})
        if question.id in questions:
            raise InputError(f"{place}: id {question.id!r} occurs twice: give each row its own id")
        questions[question.id] = question
    return list(questions.values())


def _question(row: dict[str, Any], default: dict[str, int]) -> Question:
    info = default | (row.get("extra_info") or {})
    attempt = info.get("attempt")
    return Question(
        id=str(info["id"]),
        data_source=str(row["data_source"]),
        ability=str(row["ability"]),
        messages=[{"role": str(m["role"]), "content": str(m["content"])} for m in row["prompt"]],
        ground_truth=ground_truth_text(row["reward_model"]["ground_truth"]),
        attempt=None if attempt is None else GivenAttempt(str(attempt), bool(info["attempt_correct"])),
        tags={name: value for name, value in (info.get("tags") or {}).items() if value is not None},
    )


def digest(questions: Sequence[Question]) -> str:
    """Equal for the same questions in the same order."""
    text = json.dumps([asdict(question) for question in questions], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
