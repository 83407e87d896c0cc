"""Verified corrections of attempts: proposed by a model, a teacher or a worked solution, kept if the verifier accepts.

What is judged is what training would judge: the part of the taught response that the template names. Knows: questions
with attempts, a judge. Must not know: files, budgets, how a model is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from fail2fix.data.rows import Row
from fail2fix.data.tasks.family import family_of
from fail2fix.evaluate.judging import Judge
from fail2fix.evaluate.prompts import Answered, ChatPrompts, Completion
from fail2fix.evaluate.questions import Question
from fail2fix.guided.chats import Chat, first_difference
from fail2fix.method.templates import Words
from fail2fix.method.templates.diagnosis import HEADING, Diagnosis, parts
from fail2fix.method.thinking import ThinkingMarks

Source = Literal["own", "worked", "teacher"]
Ask = Callable[[Sequence[Question], int], list[Completion | None]]

TEACHER = {
    "template": "diagnosis",
    "header": "Below is a student's attempt at this problem, quoted as it was written. Its final answer is wrong.",
    "instruction": (
        "Say in one to three sentences, to the student, where the attempt above first goes wrong and why. Then write "
        f'"{HEADING}" on a line of its own, and after it a full corrected solution that preserves what is right in the '
        "attempt and gives the final answer in the form the problem asks for."
    ),
}
"""The words for a teacher, which is told that the attempt is wrong and not the right answer."""
_MARKS = ThinkingMarks.of()


@dataclass(frozen=True)
class Proposal:
    """A response to imitate, and its solution where that stands alone."""

    response: str
    solution: str = ""


Taught = list[tuple[Question, Proposal]]


def correct(
    wrong: Sequence[Question], source: Source, ask: Ask, samples: int, words: Words, judge: Judge
) -> tuple[Taught, Counter[str]]:
    """The first accepted correction of each attempt, of at most `samples`; how the proposals ended."""
    found: dict[str, Proposal] = {}
    ended: Counter[str] = Counter()
    for sample in range(samples):
        left = [each for each in wrong if each.id not in found]
        answers = ask(left, sample)
        proposals = [_proposed(answer, source, words) if answer else None for answer in answers]
        usable = [(each, proposal) for each, proposal in zip(left, proposals, strict=True) if proposal]
        ended["not asked"] += answers.count(None)
        ended["unreadable"] += proposals.count(None) - answers.count(None)
        texts = [(each, words.judged(proposal.response, each.attempt_text)) for each, proposal in usable]
        for (each, proposal), verdict in zip(usable, judge.submit(texts).result(), strict=True):
            ended["accepted" if verdict["correct"] else "rejected"] += 1
            if verdict["correct"]:
                found[each.id] = proposal
    return [(each, found[each.id]) for each in wrong if each.id in found], ended


def worked(questions: Sequence[Question], sample: int) -> list[Completion | None]:
    """Worked solutions by the families of some attempts, with the first line that differs, as a teacher's answers."""
    answers: list[Completion | None] = []
    for each in questions:
        solution = family_of(each.data_source).worked_solution(each.messages[-1]["content"])
        text = Diagnosis().written(first_difference(each.attempt_text, solution), solution)
        answers.append(Completion(text, 0, 0, "stop"))
    return answers


def _proposed(answer: Completion, source: Source, words: Words) -> Proposal | None:
    """What an answer proposes; None if it is incomplete or, of a teacher, lacks diagnosis or solution."""
    if answer.finish != "stop" or not answer.response.strip():
        return None
    if source == "own":
        return Proposal(answer.response)
    found = parts(_MARKS.answer_of(answer.response))
    return Proposal(words.written(*found), found[1]) if found and all(found) else None


def chat_rows(taught: Taught, right: Sequence[Question], prompts: ChatPrompts) -> list[Row]:
    """Rows of chats: correction prompts, and base prompts with solutions that stand alone or are right attempts.

    Of the right attempts, the first one of each problem.
    """
    built = prompts.correct([(each, Answered(each.attempt_text)) for each, _ in taught])
    rows = []
    for (each, proposal), prompt in zip(taught, built, strict=True):
        if prompt and prompt.messages:
            rows.append(_row(each, "correction", prompt.messages, proposal.response))
        if proposal.solution:
            rows.append(_row(each, "base", each.messages, proposal.solution))
    first = {each.tags["problem"]: each for each in reversed(right)}
    return rows + [_row(each, "base", each.messages, each.attempt_text) for each in first.values()]


def _row(question: Question, kind: str, request: Chat, response: str) -> Row:
    messages = [*request, {"role": "assistant", "content": response}]
    right = question.attempt.correct if question.attempt and kind == "correction" else None
    return {"messages": messages, "kind": kind, "problem": question.tags["problem"], "attempt_correct": right}
