"""AMC 12 of 2023: forty problems whose answers are integers, spelt as floats ("27.0") by every mirror."""

from fail2fix.data.sets.gold_text import integer
from fail2fix.data.sets.spec import Problem, PublicSet, Record


def read(record: Record) -> Problem:
    problem, answer = record.text("question", "problem"), str(record.get("answer"))
    return Problem(problem, integer(answer), str(record.fields.get("id", "")), reference=rf"\boxed{{{answer}}}")


SETS = (
    PublicSet(
        name="amc23",
        hub_id="math-ai/amc23",
        revision="80815d37005feb82cd7f8fbc6901d5d3eff43057",
        licence="none declared",
        splits={"test": 40},
        read=read,
        mirror={"test": ("amc23.*", "math_eval/amc23.*")},
        use="evaluation",
        traps=("8 of its problems are in DAPO-Math-17k",),
    ),
)
