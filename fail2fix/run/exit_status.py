"""Exit statuses of a training run, and the error that carries one.

The status says whether a restart can help, which is all that ``fail2fix.retry`` reads.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of ``python -m fail2fix.train``, with the numbers of sysexits.h where they exist.

    A run that a signal stopped ends with 128 + its number, as in a shell.
    """

    FINISHED = 0
    UNEXPECTED = 1  # an unforeseen error, with its traceback
    BAD_INPUT = 2
    UNHEALTHY = 70  # the training itself failed: the same data and weights would fail again
    NO_SPACE = 74  # a disk or /dev/shm is full
    FAULT = 75  # a process, node or service failed: a restart from the last checkpoint can help


class TrainingError(RuntimeError):
    """The run cannot continue; the message says why and what to do."""

    exit_status = Exit.UNHEALTHY
