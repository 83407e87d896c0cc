"""The verifiers' keys, typed, with their defaults: `fail2fix.verifier`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Channel(Enum):
    """Where a prompt asks for the answer: in a box, on a line of its own, or (``auto``) wherever one is found."""

    auto = "auto"
    boxed = "boxed"
    answer_line = "answer_line"


class CodeBackendName(Enum):
    """Where programs run: bubblewrap sandboxes on this machine, or SandboxFusion's HTTP service."""

    local = "local"
    sandbox_fusion = "sandbox_fusion"


@dataclass
class CodeConfig:
    """The verifier of programs; a row's ground truth may ask for less time and memory, never for more."""

    backend: CodeBackendName = CodeBackendName.local
    endpoint: str = ""  # of sandbox_fusion: http://host:port
    workers: int = 2  # sandboxes, or requests, at a time in each reward worker
    test_s: float = 6.0  # seconds of one test
    total_s: float = 30.0  # seconds of all tests of a program
    memory_mb: int = 1024  # of each process


@dataclass
class VerifierConfig:
    """Our verifiers, which judge where the run has no reward function of its own, and what counts as correct there.

    ``sources``: which verifier judges the rows of a data source, by name (`fail2fix.verify.registry`); it adds to the
    registry's own list and outweighs it.

    ``retry_s`` and ``retries`` bound how a failed check is repeated (`fail2fix.verify.backoff`). ``retry_s``:
    seconds for which a service that is down or overloaded (connection errors, HTTP 429 and 5xx) is asked again with
    growing pauses, counted from the first failure; at most half of the watchdog's limit. ``retries``: repetitions
    after anything else that is not an error of the reward function's code: a worker or sandbox that died, a call
    beyond ``call_s``.
    """

    correct_threshold: float = 1.0
    workers: int = 2  # processes in each reward worker
    deadline_s: float = 3.0  # seconds one check may take before its process is killed
    channel: Channel = Channel.auto  # where the prompt asks for the answer
    retry_s: float = 300.0  # seconds to ask a failing service again; 0: never
    retries: int = 2  # of other failures, not of a wrong answer
    call_s: float = 600.0  # seconds a call of the run's own reward function may take before it counts as failed
    sources: dict[str, str] = field(default_factory=dict)
    code: CodeConfig = field(default_factory=CodeConfig)
