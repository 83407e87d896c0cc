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
from fail2fix.evaluate.engine import Completion
from fail2fix.evaluate.judging import Judge
from fail2fix.evaluate.prompts import Answered, ChatPrompts
from fail2fix.evaluate.questions import Question
from fail2fix.guided.chats import Chat, first_difference
from fail2fix.guided.teacher import read_answer
from fail2fix.method.templates import Words

Source = Literal["own", "worked", "teacher"]
Ask = Callable[[Sequence[Question], int], list[Completion | None]]


@dataclass(frozen=True)
class Proposal:
    """A response to imitate, and its solution where that stands alone."""

    response: str
    solution: str = ""


@dataclass(frozen=True)
class Taught:
    """One attempt with an accepted response. `request`: the correction prompt as chat messages."""

    question: Question
    request: Chat
    proposal: Proposal

    def rows(self) -> list[Row]:
        """The chat, and one of the solution alone if there is one."""
        correct = self.question.attempt is not None and self.question.attempt.correct
        found = [chat_row(self.question, "correction", self.request, self.proposal.response, correct)]
        if self.proposal.solution:
            found.append(chat_row(self.question, "base", self.question.messages, self.proposal.solution))
        return found


def chat_row(question: Question, kind: str, request: Chat, response: str, correct: bool | None = None) -> Row:
    """A row of `fail2fix.guided.chats`."""
    messages = [*request, {"role": "assistant", "content": response}]
    return {"messages": messages, "kind": kind, "problem": question.tags["problem"], "attempt_correct": correct}


def worked(question: Question, words: Words) -> Proposal:
    """The family's worked solution. Raises `InputError`: no family wrote the question."""
    solution = family_of(question.data_source).worked_solution(question.messages[-1]["content"])
    return Proposal(words.written(first_difference(_attempt(question), solution), solution), solution)


def of_answer(completion: Completion, source: Source, words: Words) -> Proposal | None:
    """What an answer proposes; None if it is incomplete or, of a teacher, lacks diagnosis or solution."""
    if completion.finish != "stop" or not completion.response.strip():
        return None
    if source == "own":
        return Proposal(completion.response)
    found = read_answer(completion.response)
    return Proposal(words.written(*found), found[1]) if found else None


def requests(questions: Sequence[Question], prompts: ChatPrompts) -> list[tuple[Question, Chat]]:
    """Attempts with their correction prompts, those left out that have none."""
    built = prompts.correct([(each, Answered(_attempt(each))) for each in questions])
    return [
        (each, prompt.messages) for each, prompt in zip(questions, built, strict=True) if prompt and prompt.messages
    ]


def keep_right(cases: Sequence[tuple[Question, Chat]], words: Words, wanted: int) -> list[Taught]:
    """Right attempts whose response lets them stand."""
    return [Taught(*case, Proposal(words.written("", _attempt(case[0])))) for case in cases[:wanted]]


def correct_wrong(
    cases: Sequence[tuple[Question, Chat]], source: Source, words: Words, judge: Judge, ask: Ask, samples: int
) -> tuple[list[Taught], Counter[str]]:
    """The first accepted correction of each wrong attempt, of at most `samples`; how the proposals ended."""
    found: dict[str, Taught] = {}
    ended: Counter[str] = Counter()
    for sample in range(samples if source != "worked" else 1):
        left = [case for case in cases if case[0].id not in found]
        proposals = _proposals([question for question, _ in left], source, words, ask, sample, ended)
        usable = [(case, each) for case, each in zip(left, proposals, strict=True) if each]
        texts = [(case[0], words.judged(each.response, _attempt(case[0]))) for case, each in usable]
        for (case, each), verdict in zip(usable, judge.submit(texts).result(), strict=True):
            ended["accepted" if verdict["correct"] else "rejected"] += 1
            if verdict["correct"]:
                found[case[0].id] = Taught(*case, each)
    return [found[question.id] for question, _ in cases if question.id in found], ended


def _proposals(
    questions: Sequence[Question], source: Source, words: Words, ask: Ask, sample: int, ended: Counter[str]
) -> list[Proposal | None]:
    if source == "worked":
        return [worked(question, words) for question in questions]
    answers = ask(questions, sample)
    found = [of_answer(answer, source, words) if answer else None for answer in answers]
    ended["not asked"] += answers.count(None)
    ended["unreadable"] += found.count(None) - answers.count(None)
    return found


def _attempt(question: Question) -> str:
    return question.attempt.text if question.attempt else ""
