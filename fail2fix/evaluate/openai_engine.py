"""Any OpenAI-compatible endpoint: chat messages, a seed a request, many requests at a time.

The key comes from OPENAI_API_KEY and is never printed. A request to a busy service is retried
(`fail2fix.verify.backoff`); a lasting failure ends the evaluation, and the same command resumes it.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from tenacity import AsyncRetrying

from fail2fix.console.secret_text import MIN_SECRET_CHARS
from fail2fix.evaluate.prompts import ChatPrompts, Completion, Finish, Note, Request
from fail2fix.evaluate.settings import Settings
from fail2fix.method.errors import InputError
from fail2fix.verify.backoff import LIMIT_S, retry_policy

CONCURRENT = 64
TIMEOUT_S = 3600.0  # of a whole answer
MOST_BYTES = 2**24  # of an answer's body; what is longer is cut, and so no answer
KEY = "OPENAI_API_KEY"
GARBAGE = (ValueError, RecursionError)  # of a body that is no JSON, or brackets or digits without end
MOST_TOKENS = 2**31 - 1  # a service may claim any number


def well_formed(text: str) -> str:
    """`text` with a replacement for each lone surrogate, which JSON can hold and UTF-8 files cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def without_key(text: str) -> str:
    """A service's message in one line, without the key that some services repeat."""
    return " ".join(_hidden(text).split())


def _hidden(text: str) -> str:
    """A service's text without the key; a short key is none (`MIN_SECRET_CHARS`)."""
    key = os.environ.get(KEY, "")
    return text.replace(key, "***") if len(key) >= MIN_SECRET_CHARS else text


def completion_of(answer: Any) -> Completion:
    """What a service answered; "refused" if that is no chat completion: a service may send anything."""
    found = Completion("", 0, 0, "refused")
    with suppress(AttributeError, LookupError, TypeError, ValueError, OverflowError):
        choice, usage = answer.choices[0], answer.usage
        finish: Finish = "length" if choice.finish_reason == "length" else "stop"
        tokens = [usage.completion_tokens, usage.prompt_tokens] if usage else [0, 0]
        written, read = (min(max(int(number or 0), 0), MOST_TOKENS) for number in tokens)
        text = _hidden(well_formed(choice.message.content or ""))
        found = Completion(text, written, read, finish)
    return found


def bounded_client() -> Any:
    """An HTTP client of the endpoint's library that reads at most `MOST_BYTES` of a body, errors included."""
    from openai import DefaultAsyncHttpxClient

    class Bounded(DefaultAsyncHttpxClient):
        async def send(self, request: Any, **given: Any) -> Any:
            response = await super().send(request, **given | {"stream": True})
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece[: MOST_BYTES - len(body)]
                if len(body) == MOST_BYTES:
                    break
            await response.aclose()
            # The body is decoded already, and perhaps cut.
            headers = [(n, v) for n, v in response.headers.items() if n not in ("content-encoding", "content-length")]
            return type(response)(response.status_code, headers=headers, content=bytes(body), request=request)

    return Bounded(timeout=TIMEOUT_S)


class OpenAIEngine:
    """Client of an endpoint; `note` is called after each answer. Raises `InputError`: the client package is missing."""

    def __init__(self, settings: Settings, note: Note = lambda request, completion: None) -> None:
        if find_spec("openai") is None:
            raise InputError("--endpoint: its client is missing: pip install openai")
        self._settings, self._note = settings, note
        self.prompts = ChatPrompts(settings)

    def generate(self, requests: Sequence[Request], label: str) -> list[Completion]:
        """Raises `InputError` where the service cannot be reached or wants another key or model."""
        import openai

        try:
            return asyncio.run(self._all(requests, label))
        except (openai.OpenAIError, asyncio.TimeoutError) as error:
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
        http = bounded_client()
        # The first error ends all requests and is told; asyncio would print those that end beside it.
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with AsyncOpenAI(
            base_url=endpoint, api_key=key, max_retries=0, timeout=TIMEOUT_S, http_client=http
        ) as client:
            return list(await tqdm.gather(*(self._noted(client, gate, each) for each in requests), desc=label))

    async def _noted(self, client: Any, gate: asyncio.Semaphore, request: Request) -> Completion:
        # The pauses are outside the gate, so that they hold no other request back.
        completion: Completion = await AsyncRetrying(**retry_policy(LIMIT_S))(self._ask, client, gate, request)
        self._note(request, completion)  # not repeated: a full disk must not ask again
        return completion

    async def _ask(self, client: Any, gate: asyncio.Semaphore, request: Request) -> Completion:
        import openai

        given = request.sampling
        extra = {"chat_template_kwargs": self._settings.template} if self._settings.template else {}
        answer: Any = None
        with suppress(openai.BadRequestError, *GARBAGE):
            async with gate:
                asked = client.chat.completions.create(
                    model=self._settings.model,
                    messages=request.prompt.messages,
                    temperature=given.temperature,
                    top_p=given.top_p,
                    max_tokens=given.max_tokens,
                    seed=request.seed,
                    extra_body=extra,
                )
                answer = await asyncio.wait_for(asked, TIMEOUT_S)  # the client's own limit is of each read
        return completion_of(answer)

    def describe(self) -> dict[str, Any]:
        return {"name": "openai", "endpoint": self._settings.endpoint}
