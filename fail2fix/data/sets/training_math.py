"""Training sets of mathematics: DeepScaleR, GSM8K, MATH, DAPO-Math-17k."""

import re

from fail2fix.data.sets.gold_text import boxed, integer
from fail2fix.data.sets.spec import Problem, SourceRow, UnusableRowError

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
