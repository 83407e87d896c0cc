"""Batches of an evaluation: answers that are written and judged together.

A batch mixes benchmarks, so that small sets keep an engine busy. A batch of a later round corrects exactly the answers
of one batch of the round before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fail2fix.evaluate.questions import Question
from fail2fix.evaluate.settings import Settings

Questions = Mapping[str, Sequence[Question]]
"""{benchmark: its questions}."""


@dataclass(frozen=True)
class Slot:
    """One answer: its benchmark, question and sample."""

    benchmark: str
    question: int
    sample: int


@dataclass(frozen=True)
class Batch:
    """`number` names its files; `before`: the batch whose answers this one corrects, None in round 0."""

    number: int
    round: int
    slots: tuple[Slot, ...]
    before: int | None


def all_slots(questions: Questions, settings: Settings) -> Iterator[Slot]:
    """Every answer of a round; a question's samples are adjacent, so that they share its prefix."""
    for name, asked in questions.items():
        for index in range(len(asked)):
            for sample in range(settings.sampling[name].samples):
                yield Slot(name, index, sample)


def plan_batches(questions: Questions, settings: Settings) -> list[Batch]:
    """The batches of all rounds, in the order of answering."""
    slots = list(all_slots(questions, settings))
    chunks = [tuple(slots[start : start + settings.batch]) for start in range(0, len(slots), settings.batch)]
    return [
        Batch(round_ * len(chunks) + place, round_, chunk, (round_ - 1) * len(chunks) + place if round_ else None)
        for round_ in range(settings.rounds + 1)
        for place, chunk in enumerate(chunks)
    ]
