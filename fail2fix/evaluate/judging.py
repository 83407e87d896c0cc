r"""Judge answers in a thread beside the engine: one batch is judged while the next one is answered.

The reward of a task family judges its own rows, a verifier all others.

A critique calls an attempt right or wrong. As in CriticBench's own scoring, *wrong* is the positive class of F1. An
answer with neither word is wrong, and misses a wrong attempt.

>>> said(r"Step 2 adds instead of multiplying. \boxed{wrong}"), f1([False, True, True], [False, False, None])
(False, 0.5)
"""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from fail2fix.data.tasks.family import family_of, is_family
from fail2fix.evaluate.questions import Question
from fail2fix.method.errors import reading
from fail2fix.verify.answer_text import find_answer
from fail2fix.verify.config import VerifierConfig
from fail2fix.verify.errors import GroundTruthError
from fail2fix.verify.registry import open_verifier, verifier_of
from fail2fix.verify.verifier import Verifier

RIGHT, WRONG = "right", "wrong"
CALLS = {RIGHT: True, WRONG: False}
AT_A_TIME = 256
"""Answers handed to the verifiers at a time; the verifiers have their own queues."""

Verdicts = list[dict[str, Any]]
Answer = tuple[Question, str | None]
"""A question and its answer; None: no answer, which is wrong."""

_NOTHING = {"correct": False, "status": "no_answer", "pred": ""}


class Judge:
    """Background judge; a `with` block ends its thread and the verifiers' processes."""

    def __init__(self, settings: VerifierConfig) -> None:
        self._settings = settings
        self._open: dict[str, Verifier] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="judge", daemon=True)

    def __enter__(self) -> "Judge":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        for verifier in self._open.values():
            verifier.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def require(self, questions: Sequence[Question]) -> None:
        """Open the verifiers that these questions need.

        Raises `InputError`: one cannot run here; what to install or set.
        """
        for source in dict.fromkeys(each.data_source for each in questions if each.task != "critique"):
            if self._has_own_reward(source):
                family_of(source)
                continue
            name = verifier_of(source, self._settings)
            if name not in self._open:
                self._open[name] = open_verifier(name, self._settings)

    def submit(self, answers: Sequence[Answer]) -> Future[Verdicts]:
        """Judge a batch; its verdicts come in its order. The future raises `InputError` for a bad ground truth."""
        return asyncio.run_coroutine_threadsafe(self._all(answers), self._loop)

    async def _all(self, answers: Sequence[Answer]) -> Verdicts:
        gate = asyncio.Semaphore(AT_A_TIME)
        return await asyncio.gather(*(self._one(question, text, gate) for question, text in answers))

    async def _one(self, question: Question, text: str | None, gate: asyncio.Semaphore) -> dict[str, Any]:
        if text is None:
            return _NOTHING
        if question.task == "critique":  # right if it calls a right attempt right, or a wrong one wrong
            call = said(text)
            if call is None or question.attempt is None:
                return _NOTHING
            return {"correct": call == question.attempt.correct, "status": "ok", "pred": RIGHT if call else WRONG}
        if self._has_own_reward(question.data_source):
            return _family_verdict(question, text)
        verifier = self._open[verifier_of(question.data_source, self._settings)]
        place = f"{question.data_source}, id {question.id}: bad ground truth"
        with reading(place, GroundTruthError, hint="prepare it again"):
            async with gate:
                verdict = await verifier.verify(text, question.ground_truth)
        return {"correct": verdict.correct, "status": verdict.status, "pred": verdict.pred}

    def _has_own_reward(self, data_source: str) -> bool:
        return data_source not in self._settings.sources and is_family(data_source)


def _family_verdict(question: Question, text: str) -> dict[str, Any]:
    """The verdict of a task family's own reward, as in training."""
    place = f"{question.data_source}, id {question.id}: not judged by its family"
    with reading(place, hint="write the set again"):
        found = family_of(question.data_source).compute_score(question.data_source, text, question.ground_truth)
        pred = str(found.get("pred", text))
        return {"correct": found["acc"] == 1.0, "status": "ok" if pred else "no_answer", "pred": pred}


def said(response: str) -> bool | None:
    """Whether a response calls the attempt right; None: it does not say."""
    answer = find_answer(response, "boxed")
    word = answer.text.replace("\\text", "").strip(" {}.").lower()
    return CALLS.get(word) if not answer.others and not answer.hedged else None


def f1(labels: Sequence[bool], calls: Sequence[bool | None]) -> float:
    """F1 of the wrong label, 0 where no wrong attempt was called so. `labels`: whether each attempt is right."""
    hits = sum(not label and call is False for label, call in zip(labels, calls, strict=True))
    called, wrong = sum(call is False for call in calls), sum(not label for label in labels)
    return 2 * hits / (called + wrong) if hits else 0.0
