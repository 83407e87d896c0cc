"""A training file of chains, and services that answer it: students who err, and teachers of all kinds."""

from __future__ import annotations

import gzip
import json
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
from tests.services import Reply

Answer = Callable[[Any], Mapping[str, Any] | bytes | Reply]
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

    def __call__(self, request: Any) -> Mapping[str, Any] | bytes | Reply:
        with self._lock:
            self.calls += 1
            broken = self.calls <= self._broken
        return (self._otherwise if broken else self._answer)(request)


def lies(request: Any) -> dict[str, Any]:
    return completion(f"The verifier is wrong.\n\n{HEADING}\n12345")


def claims_that_it_is_right(request: Any) -> dict[str, Any]:
    return completion("The attempt is right.")


def solves_in_the_diagnosis(request: Any) -> dict[str, Any]:
    """The right answer, where the verifier does not look for one."""
    return completion(f"{chain.worked_solution(question_of(request))}\n\n{HEADING}\nSee above.")


def huge(request: Any) -> dict[str, Any]:
    """A good answer with twenty megabytes of something else in its object."""
    return teacher(request) | {"more": "x" * 2 * 10**7}


def truncated(request: Any) -> bytes:
    return json.dumps(teacher(request)).encode()[:-9]


def in_text(request: Any) -> Reply:
    """A good answer that calls itself a page."""
    return Reply([json.dumps(teacher(request)).encode()], {"Content-Type": "text/html"})


def bomb(request: Any) -> Reply:
    """Twenty megabytes in twenty kilobytes."""
    return Reply([gzip.compress(json.dumps(huge(request)).encode())], {"Content-Encoding": "gzip"})


GARBAGE: dict[str, Answer] = {
    "html": lambda request: Reply([b"<html>502</html>"], {"Content-Type": "text/html"}),
    "html as json": lambda request: b"<html>502</html>",
    "nothing": lambda request: b"",
    "bytes": lambda request: b'{"a": "\xff"}',
    "no json": lambda request: b"{'choices': [}",
    "truncated": truncated,
    "huge": huge,
    "bomb": bomb,
    "brackets": lambda request: b"[" * 10**6,
    "digits": lambda request: b'{"usage": ' + b"9" * 10**4 + b"}",
    "no choices": lambda request: {"choices": []},
    "null choices": lambda request: {"choices": None},
    "a list": lambda request: completion([1, 2]),
    "null": lambda request: completion(None),
    "a number": lambda request: b"7",
    "no heading": lambda request: completion("It is 7."),
    "only a heading": lambda request: completion(f"{HEADING}\n{chain.worked_solution(question_of(request))}"),
    "usage": lambda request: completion("It is 7.", completion_tokens="many"),
    "surrogate": lambda request: completion("\ud800" + HEADING),
    "lies": lies,
    "claims": claims_that_it_is_right,
    "in the diagnosis": solves_in_the_diagnosis,
}


def rows_of(path: Path) -> list[dict[str, Any]]:
    return read_parquet(path, str(path), "")
