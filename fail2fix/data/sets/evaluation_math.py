"""Benchmarks of mathematics: AIME 2024 and 2025, AMC 12 of 2023, MATH500, Minerva, OlympiadBench.

OlympiadBench: the 675 open-ended English mathematics problems without images. `final_answer` is a list of one text,
which may hold several values (`is_multiple_answer`). `error`, if given, is an absolute tolerance. `unit` is not a part
of the answer.
"""

import json
from functools import partial

from fail2fix.data.sets.gold_text import boxed, integer, tolerant
from fail2fix.data.sets.spec import Problem, PublicSet, SourceRow, UnusableRowError


def aime(row: SourceRow) -> Problem:
    return _with_integer(row, row.text("problem", "question"), row.text("answer"))


def amc23(row: SourceRow) -> Problem:
    """Every mirror writes the integer answers as floats ("27.0")."""
    return _with_integer(row, row.text("question", "problem"), str(row.get("answer")))


def _with_integer(row: SourceRow, text: str, answer: str) -> Problem:
    return Problem(text, integer(answer), row.optional("id"), reference=rf"\boxed{{{answer}}}")


def math500(row: SourceRow) -> Problem:
    solution = row.text("solution")
    return Problem(row.text("problem"), row.text("answer"), row.text("unique_id"), reference=solution)


def minerva(row: SourceRow) -> Problem:
    """Problems of MIT OpenCourseWare, whose answers are rounded measurements with units outside the box."""
    answer = row.text("answer") if "answer" in row.fields else boxed(row.text("solution"))
    reference = row.optional("solution")
    return Problem(row.text("question", "problem"), tolerant(answer), row.optional("idx"), reference=reference)


def olympiadbench(row: SourceRow) -> Problem:
    answers = row.get("final_answer")
    if not isinstance(answers, list) or len(answers) != 1 or not str(answers[0]).strip():
        raise UnusableRowError("its final_answer is not a list of one text")
    answer = str(answers[0]).strip()
    if error := row.fields.get("error"):
        answer = json.dumps({"answer": answer, "tolerance": float(str(error))})
    context = row.optional("context").strip()
    question = row.text("question")
    return Problem(f"{context}\n\n{question}" if context else question, answer, str(row.get("id")))


benchmark = partial(PublicSet, use="evaluation")

SETS = (
    benchmark(
        name="aime24",
        hub_id="HuggingFaceH4/aime_2024",
        revision="2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
        license="none declared",
        splits={"train": 30},
        read=aime,
        mirror={"train": ("aime24.*", "math_eval/aime24.*")},
        traps=("7 answers have leading zeros ('025')",),
    ),
    benchmark(
        name="aime25",
        hub_id="math-ai/aime25",
        revision="563bb8404243c5f09de6ec262f2db674fe5bce9b",
        license="Apache-2.0",
        splits={"test": 30},
        read=aime,
        mirror={"test": ("aime25.*", "math_eval/aime25.*")},
        traps=("one mirror spells an answer 336^\\circ",),
    ),
    benchmark(
        name="amc23",
        hub_id="math-ai/amc23",
        revision="80815d37005feb82cd7f8fbc6901d5d3eff43057",
        license="none declared",
        splits={"test": 40},
        read=amc23,
        mirror={"test": ("amc23.*", "math_eval/amc23.*")},
        traps=("8 of its problems are in DAPO-Math-17k",),
    ),
    benchmark(
        name="math500",
        hub_id="HuggingFaceH4/MATH-500",
        revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
        license="none declared (MATH: MIT)",
        splits={"test": 500},
        read=math500,
        mirror={"test": ("math500.*", "math_eval/math500.*")},
        traps=("7 of its problems are in DeepScaleR and in DAPO-Math-17k",),
    ),
    benchmark(
        name="minerva",
        hub_id="math-ai/minervamath",
        revision="ee46ddc498933b1977577953250ca5c66be64f96",
        license="none declared",
        splits={"test": 272},
        read=minerva,
        mirror={"test": ("minerva.*", "math_eval/minerva_math.*")},
        traps=("in mirrors units stand outside the box", "many answers are rounded"),
    ),
    benchmark(
        name="olympiadbench",
        hub_id="Hothan/OlympiadBench",
        revision="91184b52131e7fc9455fef848035173aea8cc01a",
        hub_config="OE_TO_maths_en_COMP",
        license="Apache-2.0",
        splits={"train": 674},
        read=olympiadbench,
        mirror={"train": ("olympiadbench.*", "math_eval/olympiadbench.*")},
        traps=(
            "94 answers are several values in one text",
            "the hub's other configs have images or another language",
            "a mirror has 675 rows, one more than the hub",
        ),
    ),
)
