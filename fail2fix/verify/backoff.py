"""Retry policy of the project: exponential pauses with jitter, for a limited time, on `tenacity`.

An error's kind (`kind_of`) decides:

- service: a service or the network failed. Repeated until `limit_s` seconds after the first failure; a Retry-After
  header is honored.
- code: the calling code is wrong (TypeError, KeyError, ...) or the service refuses the request (HTTP 4xx). Not
  repeated.
- unclear: anything else. `tries` calls in total.

    await AsyncRetrying(**retry_policy(limit_s=300.0))(ask_the_service)
"""

from __future__ import annotations

import email.utils
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from enum import Enum
from typing import Any

from tenacity import RetryCallState, retry_if_exception
from tenacity.wait import wait_random_exponential

LIMIT_S = 300.0  # seconds a service may be down
TRIES = 3
PAUSE = wait_random_exponential(multiplier=0.5, max=30.0)
REPEATED_STATUSES = (408, 425, 429)  # of HTTP 4xx, those that ask for another try

CODE_ERRORS = (
    TypeError, ValueError, LookupError, AttributeError, NameError, ImportError, ArithmeticError, NotImplementedError,
    RecursionError, SyntaxError, FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError,
    PermissionError,
)  # fmt: skip
# Errors of clients by package and base class, since none of them is imported here.
SERVICE_ERRORS = {
    ("aiohttp", "ClientError"), ("asyncio", "TimeoutError"), ("grpc", "RpcError"), ("http", "HTTPException"),
    ("httpx", "TransportError"), ("openai", "APIError"), ("requests", "RequestException"), ("urllib3", "HTTPError"),
    ("wandb", "CommError"),
}  # fmt: skip
# The address is wrong.
ADDRESS_ERRORS = {"InvalidURL", "InvalidSchema", "MissingSchema", "UnsupportedProtocol", "LocationParseError"}


class ErrorKind(Enum):
    """Whether repeating a call can help after an error."""

    service = "service"
    code = "code"
    unclear = "unclear"


def kind_of(error: BaseException) -> ErrorKind:
    """Kind of an error; a service's failure counts even if it was turned into another error."""
    kinds = [_own_kind(cause) for cause in _causes(error)]
    return ErrorKind.service if ErrorKind.service in kinds else kinds[0]


def retry_policy(
    limit_s: float = LIMIT_S, tries: int = TRIES, on_failure: Callable[[BaseException], None] | None = None
) -> dict[str, Any]:
    """Arguments for `tenacity.Retrying` and `tenacity.AsyncRetrying`; the last error is raised unchanged.

    Args:
        limit_s: seconds from the first failure to the last try, for services.
        tries: calls in total, for errors of unclear kind.
        on_failure: called with each error that is followed by a retry.
    """

    def left_s(state: RetryCallState) -> float:
        now = time.monotonic()
        return float(limit_s - (now - vars(state).setdefault("failing_since", now)))

    def again(error: BaseException) -> bool:
        return isinstance(error, Exception) and kind_of(error) is not ErrorKind.code

    def stop(state: RetryCallState) -> bool:
        left = left_s(state)  # also where it does not count: the time runs from the first failure of any kind
        if kind_of(_error(state)) is ErrorKind.service:
            return left <= 0
        return state.attempt_number >= tries

    def wait(state: RetryCallState) -> float:
        pause = PAUSE(state) + retry_after_s(_error(state))
        return min(pause, max(0.0, left_s(state))) if kind_of(_error(state)) is ErrorKind.service else pause

    def before_sleep(state: RetryCallState) -> None:
        if on_failure is not None:
            on_failure(_error(state))

    return {
        "retry": retry_if_exception(again),
        "stop": stop,
        "wait": wait,
        "before_sleep": before_sleep,
        "reraise": True,
    }


def retry_after_s(error: BaseException) -> float:
    """Seconds to wait by a Retry-After header (seconds or a date), or 0."""
    for cause in _causes(error):
        for holder in (cause, getattr(cause, "response", None)):
            headers: Any = getattr(holder, "headers", None)
            given = headers.get("Retry-After") if hasattr(headers, "get") else None
            if given is not None:
                return _seconds(str(given))
    return 0.0


def _seconds(text: str) -> float:
    is_number = text.replace(".", "", 1).isdigit()
    try:
        seconds = float(text) if is_number else email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except ValueError:
        return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def _own_kind(error: BaseException) -> ErrorKind:
    status = _http_status(error)
    if status is not None and status >= 400:
        return ErrorKind.service if status in REPEATED_STATUSES or status >= 500 else ErrorKind.code
    if type(error).__name__ in ADDRESS_ERRORS:
        return ErrorKind.code
    # Before the built-in classes: requests' errors are OSErrors, and some of them ValueErrors too.
    if any((c.__module__.partition(".")[0], c.__name__) in SERVICE_ERRORS for c in type(error).__mro__):
        return ErrorKind.service
    if isinstance(error, json.JSONDecodeError):  # a broken answer, or a broken reader
        return ErrorKind.unclear
    if isinstance(error, CODE_ERRORS):
        return ErrorKind.code
    # Python 3.10's time-outs of futures are no OSErrors.
    return ErrorKind.service if isinstance(error, OSError | FutureTimeoutError) else ErrorKind.unclear


def _http_status(error: BaseException) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and 100 <= value <= 599:
                return int(value)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, then the errors it was raised from or while handling."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _error(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    assert error is not None, "tenacity asks about failed calls only"
    return error
