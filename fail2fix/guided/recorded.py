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
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from fail2fix.evaluate.prompts import Answered, ChatPrompts, Completion, Engine, Note, Prompt, Request
from fail2fix.evaluate.questions import Question
from fail2fix.evaluate.settings import Settings, request_seed
from fail2fix.method.errors import reading


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
        prompts = ChatPrompts(self.settings).correct([(each, Answered(each.attempt_text)) for each in questions])
        seeds = [request_seed(self.settings, self.name, each.id, sample, 0) for each in questions]
        keys = [prompt and self._key(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
        lengths = [len(json.dumps(prompt.messages)) for prompt in prompts if prompt]
        # A token has at least one character.
        longest = self.settings.sampling[self.name].max_tokens + max(lengths, default=0)
        missing = {key: place for place, key in enumerate(keys) if key and key not in self.answers.known}
        todo = list(missing.values())
        while group := todo[: self._room(longest)]:
            todo = todo[len(group) :]
            self._ask_group([(questions[at], seeds[at], str(keys[at])) for at in group], sample, len(todo))
        return [self.answers.known.get(key) if key else None for key in keys]

    def _room(self, longest: int) -> int:
        """How many requests of at most `longest` tokens are next."""
        if self.most_tokens is None:
            return self.settings.batch
        return max(0, min(self.settings.batch, (self.most_tokens - self.answers.tokens) // longest))

    def _ask_group(self, group: Sequence[tuple[Question, int | None, str]], sample: int, left: int) -> None:
        prompts = self._engine.prompts.correct([(each, Answered(each.attempt_text)) for each, _, _ in group])
        asked = [
            Request(prompt, self.settings.sampling[self.name], seed, key)
            for prompt, (_, seed, key) in zip(prompts, group, strict=True)
            if prompt
        ]
        for request, completion in zip(asked, self._engine.generate(asked, f"answers {sample + 1}"), strict=True):
            self._note(request, completion)
        tokens = self.answers.tokens
        print(f"answers {sample + 1}: {len(asked):,} asked, {left:,} left; {tokens:,} tokens in all", flush=True)

    def _note(self, request: Request, completion: Completion) -> None:
        self.answers.add(request.key, completion)

    def _key(self, prompt: Prompt, seed: int | None) -> str:
        sampling = asdict(self.settings.sampling[self.name])
        how = sampling | {"samples": 1, "seed": seed, "template": self.settings.template}
        words = json.dumps([self.model, prompt.messages, how], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()[:32]
