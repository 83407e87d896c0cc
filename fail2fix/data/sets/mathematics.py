"""Sets of mathematics: DeepScaleR, GSM8K, MATH and DAPO-Math-17k for training; benchmarks for evaluation.

Benchmarks: AIME 2024 and 2025, AMC 12 of 2023, MATH500, Minerva, OlympiadBench.

OlympiadBench: the 675 open-ended English mathematics problems without images. `final_answer` is a list of one text,
which may hold several values (`is_multiple_answer`). `error`, if given, is an absolute tolerance. `unit` is not a part
of the answer.
"""

import json
import re

from fail2fix.data.sets.gold_text import boxed, integer, tolerant
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
