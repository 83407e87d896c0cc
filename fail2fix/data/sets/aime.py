"""AIME 2024 and 2025: thirty problems a year, answers from 0 to 999."""

from functools import partial

from fail2fix.data.sets.gold_text import integer
from fail2fix.data.sets.spec import Problem, PublicSet, Record


def read(record: Record) -> Problem:
    problem, answer = record.text("problem", "question"), record.text("answer")
    return Problem(problem, integer(answer), str(record.fields.get("id", "")), reference=rf"\boxed{{{answer}}}")


yearly = partial(PublicSet, read=read, use="evaluation")

SETS = (
    yearly(
        name="aime24",
        hub_id="HuggingFaceH4/aime_2024",
        revision="2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
        licence="none declared",
        splits={"train": 30},
        mirror={"train": ("aime24.*", "math_eval/aime24.*")},
        traps=("7 answers have leading zeros ('025')",),
    ),
    yearly(
        name="aime25",
        hub_id="math-ai/aime25",
        revision="563bb8404243c5f09de6ec262f2db674fe5bce9b",
        licence="Apache-2.0",
        splits={"test": 30},
        mirror={"test": ("aime25.*", "math_eval/aime25.*")},
        traps=("one mirror spells an answer 336^\\circ",),
    ),
)
