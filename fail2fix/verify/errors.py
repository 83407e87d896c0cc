"""Error of a malformed ground truth."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class GroundTruthError(ValueError):
    """A ground truth that no answer can be judged against. The message is one line and names the field."""


@contextmanager
def malformed(complaint: str, *errors: type[Exception]) -> Iterator[None]:
    """Raise `GroundTruthError` with `complaint` in front where the block raises one of `errors`."""
    try:
        yield
    except errors as error:
        raise GroundTruthError(f"{complaint}: {error}") from None


def problem_of(ground_truth: str, parse: Callable[[str], object]) -> str:
    """What `parse` finds wrong with a ground truth; "" if nothing."""
    try:
        parse(ground_truth)
    except GroundTruthError as error:
        return str(error)
    return ""
