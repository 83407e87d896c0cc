"""Errors as Ray brings them to the driver: one line, and a status that says whether a restart can help."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest
import ray.exceptions as ray_errors

from fail2fix.method.errors import InputError
from fail2fix.run import failures
from fail2fix.run.exit_status import Exit, TrainingError
from fail2fix.run.failures import failure_of
from fail2fix.run.faults import VerifierError


class EngineDeadError(Exception):
    """vLLM's error of this name."""


def through_ray(error: Exception, processes: int = 2) -> Exception:
    """The error after it came through so many processes."""
    for _ in range(processes):
        trace = f"Traceback (most recent call last):\n  File x\nRuntimeError: CUDA error in an old line\n{error!r}"
        error = ray_errors.RayTaskError("f", trace, error).as_instanceof_cause()
    return error


CASES = {
    "bad input": (InputError("data.x=1: no"), Exit.BAD_INPUT, "data.x=1: no"),
    "diverged": (TrainingError("NaN"), Exit.UNHEALTHY, "NaN"),
    "verifier": (VerifierError("down"), Exit.FAULT, "down"),
    "disk": (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x/model.pt"), Exit.NO_SPACE, "/x/model.pt"),
    "torch's writer": (
        RuntimeError("[enforce fail] . PytorchStreamWriter failed writing file"),
        Exit.NO_SPACE,
        "written",
    ),
    "object store": (ray_errors.ObjectStoreFullError("full"), Exit.NO_SPACE, "--shm-size"),
    "actor": (ray_errors.ActorDiedError(), Exit.FAULT, "a process of the run died"),
    "worker": (ray_errors.WorkerCrashedError(), Exit.FAULT, "a process of the run died"),
    "node": (ray_errors.NodeDiedError("node 1"), Exit.FAULT, "node 1"),
    "engine": (EngineDeadError("gone"), Exit.FAULT, "vLLM engine died"),
    "GPU memory": (RuntimeError("CUDA out of memory. Tried to allocate"), Exit.FAULT, "out of memory"),
    "host memory": (ray_errors.OutOfMemoryError("killed"), Exit.FAULT, "out of memory"),
    "service": (ConnectionRefusedError("localhost:8080"), Exit.FAULT, "localhost:8080"),
    "ours": (KeyError("uid"), Exit.UNEXPECTED, "unexpected KeyError"),
}


@pytest.mark.parametrize("processes", [0, 1, 3])
@pytest.mark.parametrize("case", CASES)
def test_every_error_has_a_line_and_a_status(case: str, processes: int) -> None:
    error, status, words = CASES[case]
    failure = failure_of(through_ray(error, processes))
    assert failure.status == status
    assert words in failure.line
    assert "\n" not in failure.line


def test_the_innermost_error_that_says_something_counts() -> None:
    """A dead engine surfaces as an error of whoever asked it."""
    asked = RuntimeError("generation failed")
    asked.__cause__ = EngineDeadError("gone")
    assert failure_of(through_ray(asked)).status == Exit.FAULT


def test_another_process_error_in_a_traceback_decides_nothing() -> None:
    assert failure_of(through_ray(ValueError("shape"), 2)).status == Exit.UNEXPECTED


DIED = """The actor died unexpectedly before finishing this task.
\tclass_name: create_colocated_worker_cls.<locals>.WorkerDict
\tactor_id: bb7e06dc4074121fbafb113d01000000
\tpid: 27347
\tip: 192.0.2.2
The actor is dead because its worker process has died."""


def test_a_process_that_died_beside_a_full_shared_memory_died_of_it(tmp_path: Path, monkeypatch: Any) -> None:
    """Any file system serves as /dev/shm; here none of it is free enough."""
    monkeypatch.setattr(failures, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(failures, "SCARCE_BYTES", 2**62)
    failure = failure_of(through_ray(ray_errors.WorkerCrashedError()))
    assert failure.status == Exit.NO_SPACE
    assert re.match(r"/dev/shm has only \d+ MiB left: .*a process of the run died", failure.line)
    assert failure_of(InputError("x")).status == Exit.BAD_INPUT


def test_a_dead_actor_is_called_by_its_class() -> None:
    said = failure_of(through_ray(ray_errors.RayActorError(None, DIED))).line
    assert said.startswith("a process of the run died: WorkerDict (pid 27347 on 192.0.2.2)")


def test_words_that_came_several_times_are_said_once() -> None:
    said = failure_of(EngineDeadError("gone", "gone", "gone")).line
    assert said == "a vLLM engine died: gone"


def test_an_error_that_is_its_own_cause_ends() -> None:
    error = ValueError("round")
    error.__cause__ = error
    assert failure_of(error).status == Exit.UNEXPECTED
