"""MATH: competition problems with worked solutions; the answer stands only in the solution's last box."""

from fail2fix.data.sets.gold_text import boxed
from fail2fix.data.sets.spec import Problem, PublicSet, Record

VERL = "reward_model.ground_truth"


def read(record: Record) -> Problem:
    solution = record.text("solution", f"{VERL}.solution")
    return Problem(record.text("problem", f"{VERL}.question"), boxed(solution), reference=solution)


SETS = (
    PublicSet(
        name="math",
        hub_id="DigitalLearningGmbH/MATH-lighteval",
        revision="0530c78699ea5e8eb5530600900e1f328b48acad",
        licence="MIT",
        splits={"train": 7500, "test": 5000},
        read=read,
        mirror={
            "train": ("math/train.*", "math_hendrycks/train.*"),
            "test": ("math/test.*", "math_hendrycks/test.*"),
        },
        use="training",
        traps=("train shares 10 problems with test", "MATH500 is a part of test"),
    ),
)
