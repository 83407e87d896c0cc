"""Which errors are repeated, how long, and how soon."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
import urllib.error
from collections.abc import Callable
from email.utils import formatdate

import aiohttp
import httpx
import openai
import pytest
import requests
from tenacity import AsyncRetrying, Retrying

from fail2fix.verify.backoff import ErrorKind, kind_of, retry_after_s, retry_policy
from tests.services import down, serving

REQUEST = httpx.Request("POST", "http://judge/")


def answered(status: int, headers: dict[str, str] | None = None) -> dict[str, Exception]:
    """What each client raises for an HTTP status."""
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers or {})
    theirs = httpx.Response(status, headers=headers, request=REQUEST)
    return {
        "requests": requests.HTTPError(response=response),
        "httpx": httpx.HTTPStatusError("", request=REQUEST, response=theirs),
        "openai": openai.APIStatusError("", response=theirs, body=None),
        "urllib": urllib.error.HTTPError("http://judge/", status, "", headers or {}, None),  # type: ignore[arg-type]
        "aiohttp": aiohttp.ClientResponseError(None, (), status=status, headers=headers),  # type: ignore[arg-type]
    }


@pytest.mark.parametrize("client", answered(500))
@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "service"), (500, "service"), (502, "service"), (503, "service"), (408, "service"),
     (400, "code"), (401, "code"), (404, "code"), (422, "code")],
)  # fmt: skip
def test_an_http_status_decides_whichever_client_says_it(client: str, status: int, kind: str) -> None:
    assert kind_of(answered(status)[client]) is ErrorKind(kind)


SERVICE = [
    ConnectionError(), ConnectionRefusedError(), TimeoutError(), OSError(113, "No route to host"),
    asyncio.TimeoutError(), requests.ConnectionError(), requests.Timeout(), requests.exceptions.ChunkedEncodingError(),
    requests.exceptions.JSONDecodeError("", "", 0), httpx.ConnectError(""), httpx.ReadTimeout(""),
    openai.APIConnectionError(request=REQUEST), openai.APITimeoutError(REQUEST), aiohttp.ServerDisconnectedError(),
    aiohttp.ClientPayloadError(), http.client.IncompleteRead(b""), urllib.error.URLError("refused"),
]  # fmt: skip
CODE = [
    TypeError(), KeyError("x"), ValueError(), AttributeError(), IndexError(), NameError(), ImportError(),
    ModuleNotFoundError(), ZeroDivisionError(), NotImplementedError(), UnicodeDecodeError("utf-8", b"", 0, 1, ""),
    FileNotFoundError(), PermissionError(), requests.exceptions.MissingSchema(),
    httpx.UnsupportedProtocol(""), aiohttp.InvalidURL("x"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "kind"),
    [*((e, ErrorKind.service) for e in SERVICE), *((e, ErrorKind.code) for e in CODE),
     (RuntimeError(), ErrorKind.unclear), (Exception(), ErrorKind.unclear), (AssertionError(), ErrorKind.unclear),
     (json.JSONDecodeError("", "", 0), ErrorKind.unclear)],
    ids=lambda each: each.value if isinstance(each, ErrorKind) else f"{type(each).__module__}.{type(each).__name__}",
)  # fmt: skip
def test_kinds(error: Exception, kind: ErrorKind) -> None:
    assert kind_of(error) is kind


def test_a_service_shows_through_the_error_it_was_turned_into() -> None:
    def judge(cause: Exception) -> None:
        try:
            raise cause
        except Exception as error:
            raise ValueError("the judge gave no answer") from error

    for cause, kind in ((requests.ConnectionError(), ErrorKind.service), (KeyError("x"), ErrorKind.code)):
        with pytest.raises(ValueError, match="no answer") as raised:
            judge(cause)
        assert kind_of(raised.value) is kind


@pytest.mark.parametrize("client", answered(429))
def test_retry_after_is_read_in_seconds_and_as_a_date(client: str) -> None:
    assert retry_after_s(answered(429, {"Retry-After": "7"})[client]) == 7
    date = formatdate(time.time() + 60, usegmt=True)
    assert 50 < retry_after_s(answered(429, {"Retry-After": date})[client]) <= 60


@pytest.mark.parametrize("given", ["", "soon", "nan", "inf", "-5", "1e999", "Thu, 99 Foo 2026"])
def test_a_senseless_retry_after_is_none(given: str) -> None:
    assert retry_after_s(answered(429, {"Retry-After": given})["requests"]) == 0
    assert retry_after_s(ConnectionError()) == 0


def failing(error: Exception, times: int = 10**9) -> tuple[Callable[[], str], list[float]]:
    """A function that raises at its first calls, and when it was called."""
    calls: list[float] = []

    def call() -> str:
        calls.append(time.monotonic())
        if len(calls) <= times:
            raise error
        return "done"

    return call, calls


def test_errors_of_the_code_are_never_repeated_and_unclear_ones_a_few_times() -> None:
    for error, wanted in ((KeyError("x"), 1), (RuntimeError(), 3)):
        call, calls = failing(error)
        with pytest.raises(type(error)):
            Retrying(**retry_policy(60, tries=3))(call)
        assert len(calls) == wanted


def test_the_time_is_limited_and_counts_from_the_first_failure() -> None:
    def late() -> None:
        time.sleep(0.0 if calls else 0.5)  # waiting for a place, say
        calls.append(time.monotonic())
        raise ConnectionError("down")

    calls: list[float] = []
    with pytest.raises(ConnectionError, match="down"):
        Retrying(**retry_policy(0.5))(late)
    assert len(calls) >= 2
    assert 0.45 < calls[-1] - calls[0] < 0.95


def test_no_time_means_one_call() -> None:
    call, calls = failing(ConnectionError())
    with pytest.raises(ConnectionError):
        Retrying(**retry_policy(0))(call)
    assert len(calls) == 1


def test_pauses_grow_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that many callers neither flood a service nor come back at once."""
    pauses: list[list[float]] = []
    for _ in range(50):
        slept: list[float] = []
        call, _ = failing(ConnectionError(), times=8)
        policy = retry_policy(10_000) | {"sleep": slept.append}
        assert Retrying(**policy)(call) == "done"
        pauses.append(slept)
    means = [sum(column) / len(pauses) for column in zip(*pauses, strict=True)]
    assert means[0] < 0.5 < means[3] < means[6] <= 30
    assert len({slept[6] for slept in pauses}) == len(pauses)


def test_callers_that_wait_do_not_wait_in_line() -> None:
    """Every row of a step may be in a pause at once."""

    async def all_at_once() -> float:
        started = time.monotonic()
        calls = [failing(ConnectionError(), times=2)[0] for _ in range(2000)]
        assert await asyncio.gather(*[AsyncRetrying(**retry_policy(60))(call) for call in calls]) == ["done"] * 2000
        return time.monotonic() - started

    assert asyncio.run(all_at_once()) < 20


def test_a_service_that_comes_back_is_reached(quick_pauses: None) -> None:
    with down(for_s=0.3) as service:
        answer = Retrying(**retry_policy(30))(lambda: requests.post(service.url, timeout=5).json())
    assert answer == {"score": 1.0}


def test_a_service_is_not_asked_before_the_time_it_names(quick_pauses: None) -> None:
    def ask() -> float:
        answer = requests.post(service.url, timeout=5)
        answer.raise_for_status()
        return float(answer.json()["score"])

    with serving(503, for_s=0.3, headers={"Retry-After": "0.5"}) as service:
        assert Retrying(**retry_policy(30))(ask) == 1.0
    assert len(service.asked) == 2
    assert service.asked[1] - service.asked[0] >= 0.5
