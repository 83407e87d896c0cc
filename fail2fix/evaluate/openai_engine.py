"""Any OpenAI-compatible endpoint: chat messages, a seed a request, many requests at a time.

The key comes from OPENAI_API_KEY and is never printed. A request to a busy service is retried
(`fail2fix.verify.backoff`); a lasting failure ends the evaluation, and the same command resumes it.
"""

import asyncio
import os
from collections.abc import Awaitable, Sequence
from importlib.util import find_spec
from typing import Any

from tenacity import AsyncRetrying

from fail2fix.evaluate.prompts import ChatPrompts, Completion, Finish, Request
from fail2fix.evaluate.settings import Settings
from fail2fix.method.errors import InputError
from fail2fix.verify.backoff import LIMIT_S, retry_policy

CONCURRENT = 64
TIMEOUT_S = 3600.0
KEY = "OPENAI_API_KEY"


def well_formed(text: str) -> str:
    """`text` with a replacement for each lone surrogate, which JSON can hold and UTF-8 files cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def without_key(text: str) -> str:
    """A service's message in one line, without the key that some services repeat."""
    return " ".join(text.split()).replace(os.environ.get(KEY) or "\0", "***")


class OpenAIEngine:
    """Client of an endpoint. Raises `InputError` where the client package is missing."""

    def __init__(self, settings: Settings) -> None:
        if find_spec("openai") is None:
            raise InputError("--endpoint: its client is missing: pip install openai")
        self._settings = settings
        self.prompts = ChatPrompts(settings)

    def generate(self, requests: Sequence[Request], label: str) -> list[Completion]:
        """Raises `InputError` where the service cannot be reached or wants another key or model."""
        import openai

        try:
            return asyncio.run(self._all(requests, label))
        except openai.OpenAIError as error:
            raise InputError(
                f"--endpoint {self._settings.endpoint}: {type(error).__name__}: {without_key(str(error))[:300]}; "
                f"check the address, --model and {KEY}; the same command resumes the evaluation"
            ) from error

    async def _all(self, requests: Sequence[Request], label: str) -> list[Completion]:
        from openai import AsyncOpenAI
        from tqdm.asyncio import tqdm

        gate = asyncio.Semaphore(CONCURRENT)
        key = os.environ.get(KEY, "none")  # a service without keys takes any
        endpoint = self._settings.endpoint
        async with AsyncOpenAI(base_url=endpoint, api_key=key, max_retries=0, timeout=TIMEOUT_S) as client:
            # The pauses are outside the gate, so that they hold no other request back.
            calls: list[Awaitable[Completion]] = [
                AsyncRetrying(**retry_policy(LIMIT_S))(self._ask, client, gate, each) for each in requests
            ]
            return list(await tqdm.gather(*calls, desc=label))

    async def _ask(self, client: Any, gate: asyncio.Semaphore, request: Request) -> Completion:
        import openai

        given = request.sampling
        extra = {"chat_template_kwargs": self._settings.template} if self._settings.template else {}
        try:
            async with gate:
                answer = await client.chat.completions.create(
                    model=self._settings.model,
                    messages=request.prompt.messages,
                    temperature=given.temperature,
                    top_p=given.top_p,
                    max_tokens=given.max_tokens,
                    seed=request.seed,
                    extra_body=extra,
                )
        except openai.BadRequestError:
            return Completion("", 0, 0, "refused")
        choice, usage = answer.choices[0], answer.usage
        finish: Finish = "length" if choice.finish_reason == "length" else "stop"
        tokens, prompt_tokens = (usage.completion_tokens, usage.prompt_tokens) if usage else (0, 0)
        return Completion(well_formed(choice.message.content or ""), tokens, prompt_tokens, finish)

    def describe(self) -> dict[str, Any]:
        return {"name": "openai", "endpoint": self._settings.endpoint}
