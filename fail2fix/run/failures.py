"""Explain an error that ended the training: one line for people, an exit status for scripts.

Ray wraps an error once for every process it passed through; the cause is the innermost one.
"""

from __future__ import annotations

import asyncio
import errno
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ray.exceptions as ray_errors

from fail2fix.method.errors import InputError
from fail2fix.run.exit_status import Exit, TrainingError

LONGEST = 400  # characters of an error's own message
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DIED = (
    ray_errors.RayActorError, ray_errors.WorkerCrashedError, ray_errors.LocalRayletDiedError,
    ray_errors.NodeDiedError, ray_errors.OwnerDiedError, ray_errors.ObjectLostError, ray_errors.RaySystemError,
    ray_errors.RpcError, ray_errors.RuntimeEnvSetupError, ray_errors.TaskPlacementGroupRemoved,
    ray_errors.ActorPlacementGroupRemoved, ray_errors.ActorUnschedulableError,
)  # fmt: skip
# Errors of libraries that are not imported here, by class name.
FAULTS_BY_NAME = {
    "EngineDeadError": "a vLLM engine died",
    "EngineGenerateError": "a vLLM engine failed",
    "OutOfMemoryError": "out of memory",
    "AcceleratorError": "a GPU failed",
    "DistBackendError": "communication between ranks failed",
    "DistNetworkError": "communication between ranks failed",
    "DistStoreError": "communication between ranks failed",
}
# Errors known by their message only: torch's file writer and CUDA raise plain RuntimeErrors.
MESSAGES = {
    "No space left on device": (Exit.NO_SPACE, "no space left"),
    "PytorchStreamWriter failed": (Exit.NO_SPACE, "a checkpoint file could not be written"),
    "Engine core initialization failed": (Exit.UNEXPECTED, "a vLLM engine did not start, its lines above say why"),
    "unexpected pos": (Exit.NO_SPACE, "a checkpoint file could not be written"),
    "CUDA out of memory": (Exit.FAULT, "out of memory"),
    "NCCL error": (Exit.FAULT, "communication between ranks failed"),
    "CUDA error": (Exit.FAULT, "a GPU failed"),
    "Connection closed by peer": (Exit.FAULT, "communication between ranks failed"),
}
SHARED_MEMORY = Path("/dev/shm")
SCARCE_BYTES = 256 * 2**20  # a vLLM engine asks for 160 MiB when it starts
LARGER = "give the machine a larger /dev/shm (docker --shm-size)"


@dataclass(frozen=True)
class Failure:
    """A message of one line, and the exit status of the process."""

    line: str
    status: int


def failure_of(error: BaseException) -> Failure:
    """Explain the error of a run."""
    causes = list(_causes(error))
    found = next((known for cause in reversed(causes) if (known := _known(cause))), None)
    if found is None:
        return Failure(f"unexpected {type(causes[-1]).__name__}: {_message(causes[-1])}", Exit.UNEXPECTED)
    free = shutil.disk_usage(SHARED_MEMORY).free
    if found.status in (Exit.FAULT, Exit.UNEXPECTED) and free < SCARCE_BYTES:  # a process dies of it without saying so
        return Failure(f"/dev/shm has only {free >> 20} MiB left: {LARGER}; {found.line}", Exit.NO_SPACE)
    return found


def _known(error: BaseException) -> Failure | None:
    """The failure that one error of a chain stands for; None if it is not a known error."""
    message = _message(error)
    if isinstance(error, InputError):
        return Failure(message, Exit.BAD_INPUT)
    if isinstance(error, TrainingError):
        return Failure(message, error.exit_status)
    if isinstance(error, ray_errors.ObjectStoreFullError | ray_errors.OutOfDiskError):
        return Failure(f"Ray's object store is full: {LARGER}", Exit.NO_SPACE)
    if isinstance(error, DIED):
        return Failure(f"a process of the run died: {_actor(error) or message}", Exit.FAULT)
    if isinstance(error, OSError) and error.errno in FULL:
        return Failure(f"no space left: {message}", Exit.NO_SPACE)
    if isinstance(error, ConnectionError | TimeoutError | asyncio.TimeoutError):
        return Failure(f"a service did not answer: {type(error).__name__}: {message}", Exit.FAULT)
    if what := next((FAULTS_BY_NAME[t.__name__] for t in type(error).__mro__ if t.__name__ in FAULTS_BY_NAME), None):
        return Failure(f"{what}: {message}", Exit.FAULT)
    # A wrapper's message contains every process's traceback, so only unwrapped errors are searched.
    if not isinstance(error, ray_errors.RayTaskError):
        for sign, (status, what) in MESSAGES.items():
            if sign in str(error):
                return Failure(f"{what}: {message}", status)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, innermost last."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        wrapped = getattr(current, "cause", None)
        current = wrapped if isinstance(wrapped, BaseException) else current.__cause__


def _actor(error: BaseException) -> str:
    """The actor that died, from Ray's message of many lines; empty if it names none."""
    said = dict(re.findall(r"^\s*(class_name|pid|ip): (\S+)$", str(error), re.M))
    if "class_name" not in said:
        return ""
    name = said["class_name"].rpartition(".")[2]
    return f"{name} (pid {said.get('pid', '?')} on {said.get('ip', '?')}); Ray's lines above say more"


def _message(error: BaseException) -> str:
    """An error's own message in one line, without the tracebacks that Ray puts before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, ray_errors.RayTaskError) and lines:
        lines = lines[-1:]
    if len(error.args) > 1 and all(isinstance(part, str) for part in error.args):
        lines = list(dict.fromkeys(error.args))  # pickling repeats them
    text = " ".join(lines) or "no message"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
