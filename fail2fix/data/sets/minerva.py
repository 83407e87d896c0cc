"""Minerva: 272 problems of MIT OpenCourseWare. Mirrors have no answer column: there it is the solution's last box.

Units stand outside the box, so an answer may name them or not. Answers are rounded measurements: a number counts within
one part in ten thousand, as in Qwen2.5-Math's evaluation, whose protocol published figures follow.
"""

import json

from fail2fix.data.sets.gold_text import boxed
from fail2fix.data.sets.spec import Problem, PublicSet, Record
from fail2fix.verify.exact_number import number

TOLERANCE = 1e-4


def read(record: Record) -> Problem:
    answer = record.text("answer") if "answer" in record.fields else boxed(record.text("solution"))
    if number(answer) is not None:
        answer = json.dumps({"answer": answer, "relative_tolerance": TOLERANCE})
    reference = str(record.fields.get("solution") or "")
    return Problem(record.text("question", "problem"), answer, str(record.fields.get("idx", "")), reference=reference)


SETS = (
    PublicSet(
        name="minerva",
        hub_id="math-ai/minervamath",
        revision="ee46ddc498933b1977577953250ca5c66be64f96",
        licence="none declared",
        splits={"test": 272},
        read=read,
        mirror={"test": ("minerva.*", "math_eval/minerva_math.*")},
        use="evaluation",
        traps=("in mirrors units stand outside the box", "many answers are rounded"),
    ),
)
