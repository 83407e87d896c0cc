"""CriticBench (Lin et al. 2024): 3,825 answers of eight models to problems of fifteen sets, each labelled as right or
wrong.

A row's `response` is the attempt, `response_label` whether it is right. Who judges a correction depends on the row, and
its data_source says so:

- `llm-agents/CriticBench` (math): GSM8K, MATH, AQuA, TabMWP and Object Counting, numbers within one part in ten
  thousand, as in CriticBench's own scorer (which also lets 50 stand for 0.5; that is not followed);
- `llm-agents/CriticBench/code`: MBPP and HumanEval, whose `answer[0]` is a program that tests what it follows;
- `llm-agents/CriticBench/text`: the others, and what of the first is no mathematics. Any of a row's answers will do.
  Repeat Copy counts to the letter.

Tags: `domain` (its authors' five) and `source`. Its scorer reads answers in `[[...]]` of a few-shot prompt; the prompt
here asks for a box. Figures over all rows are its correction accuracy, those by `domain` are its breakdown.

It has no "completeness" settings: neither its code, its paper nor public text on CIPO says what those would be.
"""

import json

from fail2fix.data.sets.humaneval import fenced
from fail2fix.data.sets.spec import Ability, Attempt, Problem, PublicSet, Record, UnusableRowError
from fail2fix.verify.answer_text import AnswerText
from fail2fix.verify.code.public_sets import criticbench
from fail2fix.verify.exact_number import number
from fail2fix.verify.math_answer import judge

TOLERANCE = 1e-4
DOMAINS = {
    "math": ("GSM8K", "MATH", "AQuA", "TabMWP"),
    "commonsense": ("CSQA", "AmbigNQ", "StrategyQA", "HotpotQA"),
    "symbolic": ("Penguins", "Colored Object", "Date"),
    "code": ("MBPP", "HumanEval"),
    "algorithmic": ("Object Counting", "Repeat Copy"),
}
DOMAIN_OF = {source: domain for domain, sources in DOMAINS.items() for source in sources}
NUMBERS = {*DOMAINS["math"], "Object Counting"}
TO_THE_LETTER = "Repeat Copy"


def read(record: Record) -> Problem:
    source, answers = record.text("question_source"), record.get("answer")
    if source not in DOMAIN_OF:
        raise UnusableRowError("its question_source is none of CriticBench's fifteen")
    if not isinstance(answers, list) or not answers:
        raise UnusableRowError("its answer is not a list of at least one")
    question, response, label = record.text("question"), str(record.get("response")), record.get("response_label")
    if not isinstance(label, bool):
        raise UnusableRowError("its response_label is neither true nor false")
    ability, answer = _judged_by(source, [str(each).strip() for each in answers], question)
    attempt = Attempt(fenced(response) if ability == "code" else response, label)
    tags = {"domain": DOMAIN_OF[source], "source": source}
    return Problem(question, answer, str(record.get("id")), attempt, tags, ability=ability)


def _judged_by(source: str, answers: list[str], question: str) -> tuple[Ability, str]:
    """The row's verifier, and the ground truth for it."""
    if DOMAIN_OF[source] == "code":
        return "code", _tests(answers[0], question)
    if source in NUMBERS and len(answers) == 1 and judge(AnswerText(answers[0]), answers[0]) is True:
        return "math", _tolerant(answers[0])
    exact = {"exact": True} if source == TO_THE_LETTER else {}
    return "text", json.dumps({"answers": answers} | exact)


def _tolerant(answer: str) -> str:
    if number(answer) is None:
        return answer
    return json.dumps({"answer": answer, "relative_tolerance": TOLERANCE})


def _tests(program: str, question: str) -> str:
    try:
        return json.dumps(criticbench(program, question))
    except (SyntaxError, ValueError):
        raise UnusableRowError("its tests cannot be read") from None


SETS = (
    PublicSet(
        name="criticbench",
        hub_id="llm-agents/CriticBench",
        revision="876918bd482f3ecfca57de8e754f1218d5709036",
        licence="MIT",
        splits={"test": 3825},
        read=read,
        mirror={"test": ("criticbench.*", "criticbench/test*")},
        use="evaluation",
        traps=(
            "data_source tells who judges a row: math, code or text",
            "no copy was at hand, so no hashes are shipped: training sets are freed of those of its problems alone "
            "that are GSM8K test's, MATH500's or HumanEval's",
            "a row's answers are several names for one thing; code has its test program there",
        ),
    ),
)
