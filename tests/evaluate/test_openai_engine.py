"""An endpoint that is busy or down for a while answers every request in the end."""

from __future__ import annotations

import time

import pytest

from fail2fix.evaluate.benchmarks import Sampling
from fail2fix.evaluate.openai_engine import OpenAIEngine
from fail2fix.evaluate.prompts import Request
from fail2fix.evaluate.settings import Settings
from fail2fix.method.errors import InputError
from tests.evaluate.rows import question
from tests.services import Service, down, serving
from tests.tiers import heavy_where

pytestmark = pytest.mark.usefixtures("quick_pauses")
ANSWER = {
    "id": "1", "object": "chat.completion", "created": 0, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "It is 4."}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}  # fmt: skip


def ask(service: Service, times: int) -> list[str]:
    engine = OpenAIEngine(Settings("m", {"gsm8k": Sampling()}, engine="openai", endpoint=service.url + "v1"))
    prompt = engine.prompts.solve(question("q"))
    assert prompt is not None
    return [answer.response for answer in engine.generate([Request(prompt, Sampling(), None)] * times, "test")]


@pytest.mark.parametrize("status", heavy_where([429, 503], [503]))
def test_a_busy_endpoint_is_asked_again(status: int) -> None:
    with serving(status, for_s=0.5, answer=ANSWER) as service:
        assert ask(service, 80) == ["It is 4."] * 80
    assert len(service.asked) > 80


def test_an_endpoint_that_starts_late_is_waited_for() -> None:
    with down(for_s=0.5, answer=ANSWER) as service:
        assert ask(service, 4) == ["It is 4."] * 4


def test_a_refused_key_ends_the_evaluation_at_once() -> None:
    started = time.monotonic()
    with serving(401, for_s=600) as service, pytest.raises(InputError, match="AuthenticationError"):
        ask(service, 2)
    assert time.monotonic() - started < 60
