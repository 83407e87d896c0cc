"""Run an evaluation: answer a batch, write it, judge it while the next is answered. Existing files are kept."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass

from fail2fix.evaluate.judging import Judge, Verdicts
from fail2fix.evaluate.prompts import Answered, Completion, Engine, Prompt, Request
from fail2fix.evaluate.questions import Question
from fail2fix.evaluate.settings import Settings, request_seed
from fail2fix.evaluate.store import Rows, Store
from fail2fix.method.templates import words_of

NOTHING = Completion("", 0, 0, "skipped")
"""Stands for the answer where there is no prompt."""
Questions = Mapping[str, Sequence[Question]]
"""{benchmark: its questions}."""


@dataclass(frozen=True)
class Slot:
    """One answer: its benchmark, question and sample."""

    benchmark: str
    question: int
    sample: int


@dataclass(frozen=True)
class Batch:
    """Answers that are written and judged together.

    A batch mixes benchmarks, so that small sets keep an engine busy. One of a later round corrects exactly the answers
    of one batch of the round before. `number` names its files; `before`: the batch corrected, None in round 0.
    """

    number: int
    round: int
    slots: tuple[Slot, ...]
    before: int | None


def all_slots(questions: Questions, settings: Settings) -> Iterator[Slot]:
    """Every answer of a round; a question's samples are adjacent, so that they share its prefix."""
    for name, asked in questions.items():
        for index in range(len(asked)):
            for sample in range(settings.sampling[name].samples):
                yield Slot(name, index, sample)


def plan_batches(questions: Questions, settings: Settings) -> list[Batch]:
    """The batches of all rounds, in the order of answering."""
    slots = list(all_slots(questions, settings))
    chunks = [tuple(slots[start : start + settings.batch]) for start in range(0, len(slots), settings.batch)]
    return [
        Batch(round_ * len(chunks) + place, round_, chunk, (round_ - 1) * len(chunks) + place if round_ else None)
        for round_ in range(settings.rounds + 1)
        for place, chunk in enumerate(chunks)
    ]


class Evaluation:
    """`open_engine` is called for the first batch without answers: judging alone needs no engine."""

    def __init__(
        self, settings: Settings, questions: Questions, store: Store, judge: Judge, open_engine: Callable[[], Engine]
    ) -> None:
        self._settings, self._questions, self._store, self._judge = settings, questions, store, judge
        self._open_engine = open_engine
        self._words = words_of(settings.correction)
        self.engine: Engine | None = None
        """None while nothing had to be answered."""
        self._batches = plan_batches(questions, settings)

    def run(self) -> dict[str, Rows]:
        """Answer and judge batches without a file; the records of each benchmark, question by question in each round.

        Raises `InputError`: an engine or verifier that cannot run here, or a bad ground truth.
        """
        judged: deque[tuple[Batch, Future[Verdicts]]] = deque()
        for batch in self._batches:
            answers = self._store.read(batch.number, "answers") or self._answer(batch)
            if self._store.read(batch.number, "verdicts") is None:
                judged.append((batch, self._judge.submit(self._judged(batch, answers))))
            last = batch is self._batches[-1]
            while judged and (last or judged[0][1].done()):
                done, verdicts = judged.popleft()
                self._store.write(done.number, "verdicts", verdicts.result())
        return self._records()

    def _judged(self, batch: Batch, answers: Rows) -> list[tuple[Question, str | None]]:
        """Each answer's question, and the text that the verifier reads: of a correction, the one its template names."""
        judged = []
        for slot, row, attempt in zip(batch.slots, answers, self._attempts(batch), strict=True):
            question, text = self._question(slot), row["response"] if row["finish"] in ("stop", "length") else None
            if attempt and text is not None and question.task != "critique":
                text = self._words.judged(text, attempt.text)
            judged.append((question, text))
        return judged

    def _question(self, slot: Slot) -> Question:
        return self._questions[slot.benchmark][slot.question]

    def _answer(self, batch: Batch) -> Rows:
        engine = self.engine = self.engine or self._open_engine()
        prompts = self._prompts(batch, engine)
        seeds, requests = [], []
        for slot, prompt in zip(batch.slots, prompts, strict=True):
            question = self._question(slot)
            seeds.append(request_seed(self._settings, slot.benchmark, question.id, slot.sample, batch.round))
            if prompt is not None:
                requests.append(Request(prompt, self._settings.sampling[slot.benchmark], seeds[-1]))
        label = f"batch {batch.number + 1} of {len(self._batches)}"
        completions = iter(engine.generate(requests, label) if requests else [])
        rows = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            text, shortened = (engine.prompts.text(prompt), prompt.shortened) if prompt else ("", False)
            done = next(completions) if prompt else NOTHING
            rows.append({"seed": seed, "prompt": text, "shortened": shortened} | asdict(done))
        self._store.write(batch.number, "answers", rows)
        return rows

    def _prompts(self, batch: Batch, engine: Engine) -> list[Prompt | None]:
        """One prompt a slot: the question's, or a correction of its attempt; None where there can be none."""
        asked = list(zip(map(self._question, batch.slots), self._attempts(batch), strict=True))
        built = iter(engine.prompts.correct([(question, attempt) for question, attempt in asked if attempt]))
        return [next(built) if attempt else engine.prompts.solve(question) for question, attempt in asked]

    def _attempts(self, batch: Batch) -> Iterator[Answered | None]:
        """The attempt that each answer of a batch corrects: the answer before it, the set's own attempt, or none."""
        if batch.before is not None:
            rows = self._store.read(batch.before, "answers") or []
            for row, (_, text) in zip(rows, self._judged(self._batches[batch.before], rows), strict=True):
                own = text is None or text == row["response"]  # else what the template's verifier reads
                yield Answered(row["response"], row["response_ids"]) if own else Answered(str(text))
            return
        for slot in batch.slots:
            attempt = self._question(slot).attempt
            yield None if attempt is None else Answered(attempt.text)

    def _records(self) -> dict[str, Rows]:
        records: dict[str, Rows] = {name: [] for name in self._questions}
        verdicts = {batch.number: self._store.read(batch.number, "verdicts") or [] for batch in self._batches}
        for batch in self._batches:
            answers = self._store.read(batch.number, "answers") or []
            for place, slot in enumerate(batch.slots):
                question = self._question(slot)
                before = question.attempt.correct if question.attempt else None
                if batch.before is not None:
                    before = verdicts[batch.before][place]["correct"]
                where = {"id": question.id, "round": batch.round, "sample": slot.sample, "attempt_correct": before}
                records[slot.benchmark].append(where | answers[place] | verdicts[batch.number][place])
        return records
