"""Ask for corrections of attempts, each request once: answers are in a file by content, and within a budget.

    {"key": "9f0c...", "response": "...", "response_tokens": 61, "prompt_tokens": 140, "finish": "stop"}

A key is a hash of model, messages and sampling, so the file serves other runs, places and orders of the same requests.
A kill loses the answers of a service that are on their way, or the running batch of an engine in this process.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from fail2fix.evaluate.prompts import Answered, ChatPrompts, Completion, Engine, Note, Prompt, Request
from fail2fix.evaluate.questions import Question
from fail2fix.evaluate.settings import Settings, request_seed
from fail2fix.method.errors import reading

Asked = tuple[tuple[Question, Answered], Request]
"""An attempt to be corrected, and the request in the form of an endpoint."""


class Answers:
    """The file of answers. A line that a kill left incomplete is dropped.

    Raises `InputError`: a line that is no answer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.known: dict[str, Completion] = {}
        text = path.read_bytes() if path.is_file() else b""
        whole = text[: text.rfind(b"\n") + 1]
        if whole != text:
            os.truncate(path, len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            with reading(f"{path}, line {number}: no recorded answer", hint="delete the line"):
                fields = json.loads(line)
                key = fields.pop("key")
                self.known[key] = Completion(**fields)

    @property
    def tokens(self) -> int:
        """Tokens of prompts and answers, as their engines counted them."""
        return sum(each.prompt_tokens + each.response_tokens for each in self.known.values())

    def add(self, key: str, completion: Completion) -> None:
        """Write an answer, unless it is there."""
        if key not in self.known:
            self.known[key] = completion
            fields = {name: value for name, value in asdict(completion).items() if name != "response_ids"}
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(json.dumps({"key": key, **fields}).encode() + b"\n")


@dataclass(frozen=True)
class Recorded:
    """Asks one model, until all answers in the file have `most_tokens`, prompts included (None: no limit).

    `model`: what identifies its answers. `name`: of their sampling in `settings`. `open_engine`: called for the first
    request whose answer is not in the file.
    """

    settings: Settings
    model: str
    name: str
    answers: Answers
    most_tokens: int | None
    open_engine: Callable[[Settings, Note], Engine]

    @cached_property
    def _engine(self) -> Engine:
        return self.open_engine(self.settings, self._note)

    def ask(self, questions: Sequence[Question], sample: int) -> list[Completion | None]:
        """The answer of this number to each request for a correction; None: no prompt, or beyond the budget."""
        pairs = [(each, Answered(each.attempt_text)) for each in questions]
        prompts = ChatPrompts(self.settings).correct(pairs)
        requests = [
            self._request(prompt, each, sample) if prompt else None
            for each, prompt in zip(questions, prompts, strict=True)
        ]
        missing = {
            request.key: (pair, request)
            for pair, request in zip(pairs, requests, strict=True)
            if request and request.key not in self.answers.known
        }
        todo = list(missing.values())
        while group := todo[: self._room(todo)]:
            todo = todo[len(group) :]
            self._ask_group(group, sample, len(todo))
        return [self.answers.known.get(request.key) if request else None for request in requests]

    def _request(self, prompt: Prompt, question: Question, sample: int) -> Request:
        sampling = self.settings.sampling[self.name]
        seed = request_seed(self.settings, self.name, question.id, sample, 0)
        how = asdict(sampling) | {"samples": 1, "seed": seed, "template": self.settings.template}
        words = json.dumps([self.model, prompt.messages, how], sort_keys=True)
        return Request(prompt, sampling, seed, hashlib.sha256(words.encode()).hexdigest()[:32])

    def _room(self, todo: Sequence[Asked]) -> int:
        """How many of these requests are asked next."""
        if self.most_tokens is None or not todo:
            return self.settings.batch
        # A token has at least one character.
        longest = max(len(json.dumps(each.prompt.messages)) + each.sampling.max_tokens for _, each in todo)
        return max(0, min(self.settings.batch, (self.most_tokens - self.answers.tokens) // longest))

    def _ask_group(self, group: Sequence[Asked], sample: int, left: int) -> None:
        prompts = self._engine.prompts.correct([pair for pair, _ in group])
        asked = [replace(each, prompt=prompt) for prompt, (_, each) in zip(prompts, group, strict=True) if prompt]
        for request, completion in zip(asked, self._engine.generate(asked, f"answers {sample + 1}"), strict=True):
            self._note(request, completion)
        tokens = self.answers.tokens
        print(f"answers {sample + 1}: {len(asked):,} asked, {left:,} left; {tokens:,} tokens in all", flush=True)

    def _note(self, request: Request, completion: Completion) -> None:
        self.answers.add(request.key, completion)
