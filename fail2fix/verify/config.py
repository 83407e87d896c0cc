"""Typed keys of the verifiers with their defaults: `fail2fix.verifier`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Channel(Enum):
    """Place where a prompt asks for the answer: a box, an answer line, or (``auto``) either."""

    auto = "auto"
    boxed = "boxed"
    answer_line = "answer_line"


class CodeBackendName(Enum):
    """Place where programs run: bubblewrap sandboxes on this machine, or SandboxFusion's HTTP service."""

    local = "local"
    sandbox_fusion = "sandbox_fusion"


@dataclass
class CodeConfig:
    """The verifier of programs."""

    backend: CodeBackendName = CodeBackendName.local
    endpoint: str = ""  # of sandbox_fusion: http://host:port
    workers: int = 2  # sandboxes, or requests, at a time in each reward worker
    test_s: float = 6.0  # seconds of one test
    total_s: float = 30.0  # seconds of all tests of a program
    memory_mb: int = 1024  # of each process


@dataclass
class VerifierConfig:
    """Our verifiers, which judge runs without their own reward function, and the threshold of a correct reward.

    ``sources``: data source -> the verifier of its rows: math, code, text, or the dotted path of your own
    `fail2fix.verify.verifier.Verifier`. It has precedence over the list of `fail2fix.verify.registry`.

    ``retry_s``: seconds for which a failing service (connection errors, HTTP 429 and 5xx) is asked again, with growing
    pauses, from the first failure; at most half of the watchdog's limit. ``retries``: repetitions after other failures
    that are not errors in the reward function's code: a dead worker or sandbox, a call longer than ``call_s``.
    """

    correct_threshold: float = 1.0
    workers: int = 2  # processes in each reward worker
    deadline_s: float = 3.0  # CPU seconds one check may take before its process is killed
    channel: Channel = Channel.auto  # where the prompt asks for the answer
    allow_echoes: bool = False  # accept answers that restate an expression of the problem (fail2fix.data.echoes)
    retry_s: float = 300.0  # seconds to ask a failing service again; 0: never
    retries: int = 2  # of other failures, not of a wrong answer
    call_s: float = 600.0  # seconds a call of the run's own reward function may take before it counts as failed
    sources: dict[str, str] = field(default_factory=dict)
    code: CodeConfig = field(default_factory=CodeConfig)
