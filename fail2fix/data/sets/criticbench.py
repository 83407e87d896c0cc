"""CriticBench (Lin et al. 2024): 3,825 labeled answers of eight models to problems of fifteen sets.

A row's `response` is the attempt, `response_label` its label. The verifier differs by row, and data_source names it:

- `llm-agents/CriticBench` (math): GSM8K, MATH, AQuA, TabMWP and Object Counting. Numbers within one part in ten
  thousand count, as in CriticBench's own scorer (which also lets 50 stand for 0.5; that is not followed);
- `llm-agents/CriticBench/code`: MBPP and HumanEval, where `answer[0]` is a program that tests the program before it;
- `llm-agents/CriticBench/text`: the others, and answers of the first that are not mathematics. Any of a row's answers
  counts. Repeat Copy is compared to the letter.

Tags: `domain` (its authors' five) and `source`. Its scorer reads answers in `[[...]]` of a few-shot prompt; the prompt
here asks for a box. Its correction accuracy is over all rows, its breakdown is by `domain`. "Completeness" settings
occur neither in its code and paper nor in public text on CIPO.
"""

import json

from fail2fix.data.sets.contest_tests import UNREADABLE, fenced
from fail2fix.data.sets.gold_text import tolerant
from fail2fix.data.sets.spec import Ability, GivenAttempt, Problem, SourceRow, UnusableRowError, unusable
from fail2fix.verify.answer_text import AnswerText
from fail2fix.verify.code.public_sets import criticbench
from fail2fix.verify.math_answer import judge

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


def read(row: SourceRow) -> Problem:
    source, answers = row.text("question_source"), row.get("answer")
    if source not in DOMAIN_OF:
        raise UnusableRowError("its question_source is none of CriticBench's fifteen")
    if not isinstance(answers, list) or not answers:
        raise UnusableRowError("its answer is not a list of at least one")
    question, response, label = row.text("question"), str(row.get("response")), row.get("response_label")
    if not isinstance(label, bool):
        raise UnusableRowError("its response_label is neither true nor false")
    ability, answer = _judged_by(source, [str(each).strip() for each in answers], question)
    attempt = GivenAttempt(fenced(response) if ability == "code" else response, label)
    tags = {"domain": DOMAIN_OF[source], "source": source}
    return Problem(question, answer, str(row.get("id")), attempt, tags, ability=ability)


def _judged_by(source: str, answers: list[str], question: str) -> tuple[Ability, str]:
    """The row's verifier and its ground truth."""
    if DOMAIN_OF[source] == "code":
        with unusable(UNREADABLE, SyntaxError, ValueError):
            return "code", json.dumps(criticbench(answers[0], question))
    if source in NUMBERS and len(answers) == 1 and judge(AnswerText(answers[0]), answers[0]) is True:
        return "math", tolerant(answers[0])
    exact = {"exact": True} if source == TO_THE_LETTER else {}
    return "text", json.dumps({"answers": answers} | exact)
