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
from fail2fix.guided.teacher import read_answer
from fail2fix.method.templates import Words

Source = Literal["own", "worked", "teacher"]
Ask = Callable[[Sequence[Question], int], list[Completion | None]]


@dataclass(frozen=True)
class Proposal:
    """A response to imitate, and its solution where that stands alone."""

    response: str
    solution: str = ""


Taught = list[tuple[Question, Proposal]]


def correct(
    wrong: Sequence[Question], source: Source, words: Words, judge: Judge, ask: Ask, samples: int
) -> tuple[Taught, Counter[str]]:
    """The first accepted correction of each attempt, of at most `samples`; how the proposals ended."""
    found: dict[str, Proposal] = {}
    ended: Counter[str] = Counter()
    for sample in range(1 if source == "worked" else samples):
        left = [each for each in wrong if each.id not in found]
        if source == "worked":
            usable = [(each, _worked(each, words)) for each in left]
        else:
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


def _worked(question: Question, words: Words) -> Proposal:
    solution = family_of(question.data_source).worked_solution(question.messages[-1]["content"])
    return Proposal(words.written(first_difference(question.attempt_text, solution), solution), solution)


def _proposed(answer: Completion, source: Source, words: Words) -> Proposal | None:
    """What an answer proposes; None if it is incomplete or, of a teacher, lacks diagnosis or solution."""
    if answer.finish != "stop" or not answer.response.strip():
        return None
    if source == "own":
        return Proposal(answer.response)
    found = read_answer(answer.response)
    return Proposal(words.written(*found), found[1]) if found else None


def kept(right: Sequence[Question], words: Words) -> Taught:
    """Right attempts with the response that lets them stand."""
    return [(each, Proposal(words.written("", each.attempt_text))) for each in right]


def correction_rows(taught: Taught, prompts: ChatPrompts) -> list[Row]:
    """Rows of chats: the correction prompt, and the base prompt with the solution if that stands alone."""
    rows = []
    built = prompts.correct([(each, Answered(each.attempt_text)) for each, _ in taught])
    for (each, proposal), prompt in zip(taught, built, strict=True):
        if prompt and prompt.messages:
            rows.append(_row(each, "correction", prompt.messages, proposal.response))
        if proposal.solution:
            rows.append(_row(each, "base", each.messages, proposal.solution))
    return rows


def base_rows(right: Sequence[Question]) -> list[Row]:
    """Rows of chats: the first right attempt of each problem, as a base prompt."""
    first = {each.tags["problem"]: each for each in reversed(right)}
    return [_row(each, "base", each.messages, each.attempt_text) for each in first.values()]


def _row(question: Question, kind: str, request: Chat, response: str) -> Row:
    messages = [*request, {"role": "assistant", "content": response}]
    right = question.attempt.correct if question.attempt and kind == "correction" else None
    return {"messages": messages, "kind": kind, "problem": question.tags["problem"], "attempt_correct": right}
