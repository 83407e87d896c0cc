"""A training file of chains, and services that answer it: students who err, and teachers of all kinds."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fail2fix.data.rows import read_parquet
from fail2fix.data.tasks import chain
from fail2fix.method.templates.diagnosis import HEADING
from tests.evaluate.test_openai_engine import ANSWER

Answer = Callable[[Any], Mapping[str, Any] | bytes]
QUESTION = re.compile(r"Add step by step, one sum per line: [0-9 +]+[0-9]")


def training_file(folder: Path, problems: int = 12) -> Path:
    chain.main([str(folder), "--train", str(problems), "--held-out", "4"])
    return folder / "train.parquet"


def completion(content: Any, **usage: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    tokens = {"prompt_tokens": 30, "completion_tokens": 20, "total_tokens": 50} | usage
    return {**ANSWER, "choices": [{"index": 0, "finish_reason": "stop", "message": message}], "usage": tokens}


def question_of(request: Any) -> str:
    found = QUESTION.search(request["messages"][0]["content"])
    assert found
    return found[0]


def student(request: Any) -> dict[str, Any]:
    """Right for one seed in three, else a near miss."""
    seed, question = request["seed"], question_of(request)
    right = seed % 3 == 0
    return completion(chain.worked_solution(question) if right else chain.corrupt(question, random.Random(seed)))


def teacher(request: Any) -> dict[str, Any]:
    """Names a line and corrects it."""
    return completion(f"One of your sums is off.\n\n{HEADING}\n{chain.worked_solution(question_of(request))}")


class Count:
    """An answer that counts its calls; the first `broken` of them are answered by `otherwise`."""

    def __init__(self, answer: Answer, broken: int = 0, otherwise: Answer = lambda request: b"{}") -> None:
        self._answer, self._broken, self._otherwise = answer, broken, otherwise
        self._lock = threading.Lock()
        self.calls = 0

    def __call__(self, request: Any) -> Mapping[str, Any] | bytes:
        with self._lock:
            self.calls += 1
            broken = self.calls <= self._broken
        return (self._otherwise if broken else self._answer)(request)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return read_parquet(path, str(path), "")
