"""Verified rollouts in a file, one row each, in the form of a correction set (`fail2fix.data.rows`).

A row is the training row with the rollout as its `attempt`. Its tags name the problem, and whether the rollout ended by
itself. Knows: rows and records. Must not know: engines, templates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fail2fix.data.rows import Row
from fail2fix.evaluate.questions import Question, read_questions
from fail2fix.method.errors import InputError
from fail2fix.method.seeds import derived_seed

FILE = "attempts.parquet"
HINT = "give files that fail2fix.collect wrote"


@dataclass(frozen=True)
class Choice:
    """Which attempts are corrected, as options of the command line."""

    pass_rate: float = field(default=1.0, metadata={"help": "of problems with at most this share of right attempts"})
    per_problem: int = field(default=2, metadata={"help": "most attempts of a problem"})
    right_share: float = field(
        default=0.3, metadata={"help": "share of right attempts, to be kept, in correction chats"}
    )

    def __post_init__(self) -> None:
        if not (0 <= self.pass_rate <= 1 and self.per_problem >= 1 and 0 <= self.right_share < 1):
            raise InputError(
                f"--pass-rate {self.pass_rate} --per-problem {self.per_problem} --right-share {self.right_share}: want "
                "a share from 0 to 1, at least 1, and a share from 0 to below 1"
            )


def attempt_rows(rows: Mapping[str, Row], records: Iterable[Mapping[str, Any]]) -> list[Row]:
    """One row for each answered record; `rows`: {id: training row}."""
    return [
        {
            **rows[record["id"]],
            "extra_info": {
                "id": f"{record['id']}#{record['sample']}",
                "attempt": record["response"],
                "attempt_correct": bool(record["correct"]),
                "tags": {"problem": record["id"], "finish": record["finish"]},
            },
        }
        for record in records
        if record["finish"] in ("stop", "length") and record["status"] != "error"
    ]


def read_attempts(files: Sequence[Path]) -> dict[str, list[Question]]:
    """{problem: its attempts}, blank ones left out. Raises `InputError`: a row without an attempt, among others."""
    problems: dict[str, list[Question]] = defaultdict(list)
    for number, file in enumerate(files):
        for question in read_questions(file, hint=HINT):
            if question.attempt is None or "problem" not in question.tags:
                raise InputError(f"{file}: id {question.id!r} has no attempt: {HINT}")
            if question.attempt_text.strip():
                # Attempts of two models at one problem have one id.
                own = replace(question, id=f"{number}/{question.id}") if number else question
                problems[question.tags["problem"]].append(own)
    return problems


def choose(problems: Mapping[str, Sequence[Question]], choice: Choice, seed: int) -> tuple[list[Question], ...]:
    """Wrong attempts to correct, and right ones to keep: distinct texts, drawn by `seed` and the attempts alone.

    Right ones come in random order, all of them; how many are used depends on the corrections that are found.
    """
    wrong, right = [], []
    for attempts in problems.values():
        texts = {each.attempt_text: each for each in _drawn(attempts, seed) if each.tags.get("finish") == "stop"}
        failed = [each for each in texts.values() if not _is_right(each)]
        if sum(map(_is_right, attempts)) <= choice.pass_rate * len(attempts):
            wrong += failed[: choice.per_problem]
        right += [each for each in texts.values() if _is_right(each)][: choice.per_problem]
    return _drawn(wrong, seed), _drawn(right, seed)


def _drawn(attempts: Iterable[Question], seed: int) -> list[Question]:
    return sorted(attempts, key=lambda each: derived_seed(seed, "attempt", each.id))


def _is_right(question: Question) -> bool:
    return question.attempt is not None and question.attempt.correct
