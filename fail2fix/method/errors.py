"""The error for wrong user input, and a context manager that raises it."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Something the user gave is wrong. The message is one line: which key, file or row, what, and what to do."""


READ_ERRORS = (OSError, ValueError, LookupError, TypeError, AttributeError)


@contextmanager
def reading(what: str, *errors: type[Exception], hint: str = "") -> Iterator[None]:
    """Turn `errors` raised inside the block into an `InputError`: ``WHAT (REASON): HINT``, without ": HINT" if empty.

    Without `errors`: `READ_ERRORS`, which damaged files raise. An `InputError` passes unchanged unless it is listed.

    Example::

        with reading(f"{path}: not a parquet file", OSError, pyarrow.ArrowInvalid, hint="prepare it again"):
            rows = pyarrow.parquet.read_table(path).to_pylist()
    """
    caught = errors or READ_ERRORS
    try:
        yield
    except caught as error:
        if isinstance(error, InputError) and InputError not in errors:
            raise
        raise InputError(f"{what} ({reason_of(error)})" + (f": {hint}" if hint else "")) from error


def reason_of(error: Exception) -> str:
    """The message of an error in one line of at most 300 characters, with its type where the message alone says little.

    Examples: ``No such file or directory``, ``KeyError: 'settings'``.
    """
    text = " ".join((getattr(error, "strerror", None) or str(error)).split())[:300]
    return text if text and isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {text}".rstrip(": ")
