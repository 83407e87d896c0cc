"""Training sets of mathematics: DeepScaleR, GSM8K, MATH, DAPO-Math-17k."""

import re

from fail2fix.data.sets.gold_text import boxed, integer
from fail2fix.data.sets.spec import Problem, PublicSet, SourceRow, UnusableRowError

GSM8K_ANSWER = re.compile(r"####\s*(-?[0-9][0-9,]*(?:\.[0-9]+)?)\s*$")
DAPO_INSTRUCTION = "\n\nPlease reason step by step"
"""Beginning of an instruction that a mirror appends to each problem."""


def deepscaler(row: SourceRow) -> Problem:
    answer = row.get("answer")
    if not isinstance(answer, str) or not answer.strip():
        raise UnusableRowError("it has no answer")
    return Problem(row.text("problem", "prompt"), answer.strip())


def gsm8k(row: SourceRow) -> Problem:
    """The answer follows `####`; thousands separators are removed."""
    found = GSM8K_ANSWER.search(row.text("answer"))
    if not found:
        raise UnusableRowError("its answer does not end in '#### NUMBER'")
    return Problem(row.text("question"), found[1].replace(",", ""), reference=row.text("answer"))


def hendrycks_math(row: SourceRow) -> Problem:
    """The answer is only in the solution's last box."""
    verl = "reward_model.ground_truth"
    solution = row.text("solution", f"{verl}.solution")
    return Problem(row.text("problem", f"{verl}.question"), boxed(solution), reference=solution)


def dapo(row: SourceRow) -> Problem:
    problem = row.text("prompt.0.content", "prompt").partition(DAPO_INSTRUCTION)[0]
    return Problem(problem, integer(row.text("solution", "reward_model.ground_truth")))


SETS = (
    PublicSet(
        name="deepscaler",
        hub_id="agentica-org/DeepScaleR-Preview-Dataset",
        revision="b6ae8c60f5c1f2b594e2140b91c49c9ad0949e29",
        license="MIT",
        splits={"train": 40_315},
        read=deepscaler,
        mirror={"train": ("deepscaler/*", "deepscaler_preview/*")},
        use="training",
        held_out=500,
        traps=(
            "6 rows have no answer (hub discussion 4)",
            "221 problems occur with different answers, some only in spelling",
            "7 problems of MATH500, 62 of MATH test and 1 of OlympiadBench are in it",
            "answers: 23,201 integers, the rest LaTeX of every kind; 48 are letters of choices that the problem lists",
        ),
    ),
    PublicSet(
        name="gsm8k",
        hub_id="openai/gsm8k",
        revision="740312add88f781978c0658806c59bc2815b9866",
        hub_config="main",
        license="MIT",
        splits={"train": 7473, "test": 1319},
        read=gsm8k,
        mirror={"train": ("gsm8k/train.*",), "test": ("gsm8k/test.*",)},
        use="training",
        traps=("rLLM's copy has answer = null",),
    ),
    PublicSet(
        name="math",
        hub_id="DigitalLearningGmbH/MATH-lighteval",
        revision="0530c78699ea5e8eb5530600900e1f328b48acad",
        license="MIT",
        splits={"train": 7500, "test": 5000},
        read=hendrycks_math,
        mirror={split: (f"math/{split}.*", f"math_hendrycks/{split}.*") for split in ("train", "test")},
        use="training",
        traps=("train shares 10 problems with test", "MATH500 is a part of test"),
    ),
    PublicSet(
        name="dapo",
        hub_id="open-r1/DAPO-Math-17k-Processed",
        revision="31dd309567e3da778038cc87d868b6097a3ccf68",
        hub_config="en",
        license="none declared (the original set: Apache-2.0)",
        splits={"train": 14_116},
        read=dapo,
        mirror={"train": ("dapo/*", "dapo_math_17k/*")},
        use="training",
        held_out=500,
        traps=(
            "the column `solution` holds the answer",
            "the original set repeats each problem about a hundred times: this is its processed form",
            "8 of AMC23's 40 problems, 7 of MATH500, 10 of OlympiadBench, 1 of AIME26 and 976 of MATH test are in it",
        ),
    ),
)
