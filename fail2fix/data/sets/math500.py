"""MATH500: five hundred problems of MATH's test split."""

from fail2fix.data.sets.spec import Problem, PublicSet, Record


def read(record: Record) -> Problem:
    solution = record.text("solution")
    return Problem(record.text("problem"), record.text("answer"), record.text("unique_id"), reference=solution)


SETS = (
    PublicSet(
        name="math500",
        hub_id="HuggingFaceH4/MATH-500",
        revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
        licence="none declared (MATH: MIT)",
        splits={"test": 500},
        read=read,
        mirror={"test": ("math500.*", "math_eval/math500.*")},
        use="evaluation",
        traps=("7 of its problems are in DeepScaleR and in DAPO-Math-17k",),
    ),
)
