"""One evaluation from its plan to its records: answer a batch, write it, judge it while the next is answered.

Knows: the order of things. Must not know: any engine, set or verifier. Whatever has a file is not done again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from fail2fix.evaluate.engine import Completion, Engine, Request
from fail2fix.evaluate.judging import Judge, Verdicts
from fail2fix.evaluate.plan import Batch, Questions, Slot, plan_batches
from fail2fix.evaluate.prompts import Answered, Prompt
from fail2fix.evaluate.questions import Question
from fail2fix.evaluate.settings import Settings, request_seed
from fail2fix.evaluate.store import Rows, Store

NOTHING = Completion("", 0, 0, "refused")


class Evaluation:
    """`open_engine` is called when a first batch has to be answered: judging alone needs none."""

    def __init__(
        self, settings: Settings, questions: Questions, store: Store, judge: Judge, open_engine: Callable[[], Engine]
    ) -> None:
        self._settings, self._questions, self._store, self._judge = settings, questions, store, judge
        self._open_engine = open_engine
        self._engine: Engine | None = None
        self._batches = plan_batches(questions, settings)

    def run(self) -> dict[str, Rows]:
        """Answer and judge what has no file yet; the records of each benchmark, question by question in each round.

        Raises:
            InputError: an engine or verifier that cannot run here, or a bad ground truth.
        """
        judged: deque[tuple[Batch, Future[Verdicts]]] = deque()
        for batch in self._batches:
            answers = self._store.answers(batch.number) or self._answer(batch)
            if self._store.verdicts(batch.number) is None:
                judged.append((batch, self._judge.submit(self._to_judge(batch, answers))))
            while judged and judged[0][1].done():
                self._settle(*judged.popleft())
        for each in judged:
            self._settle(*each)
        return self._records()

    def describe_engine(self) -> dict[str, Any] | None:
        """What the engine says of itself; None if nothing had to be answered."""
        return self._engine.describe() if self._engine else None

    def _settle(self, batch: Batch, verdicts: Future[Verdicts]) -> None:
        self._store.write_verdicts(batch, verdicts.result())

    def _question(self, slot: Slot) -> Question:
        return self._questions[slot.benchmark][slot.question]

    # Answering

    def _answer(self, batch: Batch) -> Rows:
        self._engine = self._engine or self._open_engine()
        engine = self._engine
        prompts = self._prompts(batch, engine)
        asked = [place for place, prompt in enumerate(prompts) if prompt is not None]
        requests = [self._request(batch, place, prompts[place]) for place in asked]
        label = f"batch {batch.number + 1} of {len(self._batches)}"
        completions = dict(zip(asked, engine.generate(requests, label) if requests else [], strict=True))
        rows = [
            _row(prompt, engine, self._seed(batch, place), completions.get(place))
            for place, prompt in enumerate(prompts)
        ]
        self._store.write_answers(batch, rows)
        return rows

    def _request(self, batch: Batch, place: int, prompt: Prompt | None) -> Request:
        assert prompt is not None
        slot = batch.slots[place]
        return Request(prompt, self._settings.sampling[slot.benchmark], self._seed(batch, place))

    def _seed(self, batch: Batch, place: int) -> int | None:
        slot = batch.slots[place]
        return request_seed(self._settings, slot.benchmark, self._question(slot).id, slot.sample, batch.round)

    def _prompts(self, batch: Batch, engine: Engine) -> list[Prompt | None]:
        attempts = list(self._attempts(batch))
        corrected = [place for place, attempt in enumerate(attempts) if attempt is not None]
        pairs = [(self._question(batch.slots[place]), attempts[place]) for place in corrected]
        built = dict(zip(corrected, engine.prompts.correct(pairs), strict=True))  # type: ignore[arg-type]
        return [
            built[place] if place in built else engine.prompts.solve(self._question(slot))
            for place, slot in enumerate(batch.slots)
        ]

    def _attempts(self, batch: Batch) -> Iterator[Answered | None]:
        """What each answer of a batch corrects: the answer before it, the set's own attempt, or nothing."""
        if batch.before is not None:
            for row in self._store.answers(batch.before) or []:
                yield Answered(row["response"], row["response_ids"])
            return
        for slot in batch.slots:
            attempt = self._question(slot).attempt
            yield None if attempt is None else Answered(attempt.text)

    # Judging

    def _to_judge(self, batch: Batch, answers: Rows) -> list[tuple[Question, str | None]]:
        return [
            (self._question(slot), row["response"] if row["finish"] in ("stop", "length") else None)
            for slot, row in zip(batch.slots, answers, strict=True)
        ]

    # Records

    def _records(self) -> dict[str, Rows]:
        records: dict[str, Rows] = {name: [] for name in self._questions}
        verdicts: dict[int, Rows] = {}
        for batch in self._batches:
            verdicts[batch.number] = self._store.verdicts(batch.number) or []
            answers = self._store.answers(batch.number) or []
            for place, slot in enumerate(batch.slots):
                question = self._question(slot)
                before = None if question.attempt is None else question.attempt.correct
                if batch.before is not None:
                    before = verdicts[batch.before][place]["correct"]
                where = {"id": question.id, "round": batch.round, "sample": slot.sample, "attempt_correct": before}
                records[slot.benchmark].append(where | answers[place] | verdicts[batch.number][place])
        return records


def _row(prompt: Prompt | None, engine: Engine, seed: int | None, completion: Completion | None) -> dict[str, Any]:
    """An answer as it is written; one that could not be asked for has an empty prompt and is "skipped"."""
    done = completion or NOTHING
    return {
        "seed": seed,
        "prompt": "" if prompt is None else engine.prompts.text(prompt),
        "prompt_tokens": done.prompt_tokens,
        "response": done.text,
        "response_ids": done.ids,
        "response_tokens": done.tokens,
        "finish": done.finish if prompt is not None else "skipped",
        "shortened": prompt is not None and prompt.shortened,
    }
