"""Questions and records as the tests want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fail2fix.evaluate.questions import Question


def question(name: str, truth: str = "4", **fields: Any) -> Question:
    messages = [{"role": "user", "content": f"{name}: what is it? Put your final answer within \\boxed{{}}."}]
    return Question(name, "openai/gsm8k", "math", messages, truth, **fields)


def records(
    correct: Sequence[Sequence[bool]], before: Sequence[bool] | None = None, **fields: Any
) -> list[dict[str, Any]]:
    """One a question and sample; `before`: whether each question's attempt was right."""
    return [
        {
            "id": f"q{number}",
            "round": 0,
            "sample": sample,
            "attempt_correct": None if before is None else before[number],
            "seed": 1,
            "prompt": "?",
            "prompt_tokens": 3,
            "response": "\\boxed{4}" if right else "\\boxed{5}",
            "response_ids": None,
            "response_tokens": 10 + sample,
            "finish": "stop",
            "shortened": False,
            "correct": right,
            "status": "ok",
            "pred": "4" if right else "5",
        }
        | fields
        for number, row in enumerate(correct)
        for sample, right in enumerate(row)
    ]
