"""Ask for corrections of attempts, each request once: answers are in a file by content, and within a budget.

    {"key": "9f0c...", "response": "...", "response_tokens": 61, "prompt_tokens": 140, "finish": "stop"}

A key is a hash of model, messages and sampling, so the file serves other runs, places and orders of the same requests.
A kill loses the answers of a service that are on their way, or the running batch of an engine in this process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType

from fail2fix.evaluate.prompts import Answered, ChatPrompts, Completion, Engine, Note, Prompt, Request
from fail2fix.evaluate.questions import Question
from fail2fix.evaluate.settings import Settings
from fail2fix.method.errors import reading
from fail2fix.method.seeds import derived_seed


@dataclass(frozen=True)
class Budget:
    """Limits of all answers in the file together, as options of the command line."""

    most_requests: int | None = field(default=None, metadata={"type": int, "metavar": "N", "help": "answers in all"})
    most_tokens: int | None = field(
        default=None, metadata={"type": int, "metavar": "N", "help": "tokens of prompts and answers in all"}
    )

    def room(self, answers: Answers, longest: int) -> int:
        """How many more requests of at most `longest` tokens there is room for."""
        limits = [self.most_requests - len(answers.known)] if self.most_requests is not None else []
        limits += [(self.most_tokens - answers.tokens) // longest] if self.most_tokens is not None else []
        return max(0, min(limits, default=2**31))


class Answers:
    """The file of answers; a `with` block closes it. A line that a kill left incomplete is dropped.

    Raises `InputError`: a line that is no answer.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        self._file.seek(0)
        text = self._file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._file.truncate(len(whole))
        self.known: dict[str, Completion] = {}
        for number, line in enumerate(whole.splitlines(), 1):
            with reading(f"{path}, line {number}: no recorded answer", hint="delete the line"):
                fields = json.loads(line)
                key = fields.pop("key")
                self.known[key] = Completion(**fields)

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    @property
    def tokens(self) -> int:
        """Tokens of prompts and answers, as their engines counted them."""
        return sum(each.prompt_tokens + each.response_tokens for each in self.known.values())

    def add(self, key: str, completion: Completion) -> None:
        """Write an answer, unless it is there."""
        if key not in self.known:
            self.known[key] = completion
            fields = {name: value for name, value in asdict(completion).items() if name != "response_ids"}
            self._file.write(json.dumps({"key": key, **fields}).encode() + b"\n")
            self._file.flush()


class Recorded:
    """Asks one model within a budget.

    `model`: what identifies its answers. `open_engine`: called for the first request whose answer is not in the file.
    """

    def __init__(
        self,
        settings: Settings,
        model: str,
        answers: Answers,
        budget: Budget,
        open_engine: Callable[[Settings, Note], Engine],
    ) -> None:
        self._settings, self._model, self._answers, self._budget = settings, model, answers, budget
        ((self._name, self._sampling),) = settings.sampling.items()
        self._open_engine = open_engine
        self._engine: Engine | None = None
        self._key_of: dict[int, str] = {}
        """{id of a request that is out: its key}"""
        self._prompts = ChatPrompts(settings)

    def ask(self, questions: Sequence[Question], sample: int) -> list[Completion | None]:
        """The answer of this number to each request for a correction; None: no prompt, or beyond the budget."""
        prompts = self._prompts.correct([(each, Answered(each.attempt_text)) for each in questions])
        seeds = [self._seed(each, sample) for each in questions]
        keys = [prompt and self._key(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
        lengths = [len(json.dumps(prompt.messages)) for prompt in prompts if prompt]
        longest = self._sampling.max_tokens + max(lengths, default=0)  # a token has at least one character
        missing = {key: place for place, key in enumerate(keys) if key and key not in self._answers.known}
        todo = list(missing.values())
        while group := todo[: min(self._settings.batch, self._budget.room(self._answers, longest))]:
            todo = todo[len(group) :]
            self._ask_group([(questions[at], seeds[at], str(keys[at])) for at in group], sample, len(todo))
        return [self._answers.known.get(key) if key else None for key in keys]

    def _ask_group(self, group: Sequence[tuple[Question, int | None, str]], sample: int, left: int) -> None:
        engine = self._engine = self._engine or self._open_engine(self._settings, self._note)
        prompts = engine.prompts.correct([(question, Answered(question.attempt_text)) for question, _, _ in group])
        asked = [
            (Request(prompt, self._sampling, seed), key)
            for prompt, (_, seed, key) in zip(prompts, group, strict=True)
            if prompt
        ]
        self._key_of = {id(request): key for request, key in asked}
        requests = [request for request, _ in asked]
        for request, completion in zip(requests, engine.generate(requests, f"answers {sample + 1}"), strict=True):
            self._note(request, completion)
        tokens = self._answers.tokens
        print(f"answers {sample + 1}: {len(asked):,} asked, {left:,} left; {tokens:,} tokens in all", flush=True)

    def _note(self, request: Request, completion: Completion) -> None:
        self._answers.add(self._key_of[id(request)], completion)

    def _seed(self, question: Question, sample: int) -> int | None:
        greedy = self._sampling.temperature == 0
        return None if greedy else derived_seed(self._settings.seed, self._name, question.id, sample)

    def _key(self, prompt: Prompt, seed: int | None) -> str:
        how = asdict(self._sampling) | {"samples": 1, "seed": seed, "template": self._settings.template}
        words = json.dumps([self._model, prompt.messages, how], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()[:32]
