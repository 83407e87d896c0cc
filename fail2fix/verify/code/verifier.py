"""Verifier of programs: reads a program from a response and runs it against the tests of a ground truth.

verifier = CodeVerifier(LocalBackend(workers=2))
verdict = await verifier.verify("```python\\ndef add(a, b): return a + b\\n```", row["ground_truth"])
verifier.close()
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from fail2fix.method.errors import InputError
from fail2fix.verify.code.backend import CodeBackend, SandboxUnavailableError
from fail2fix.verify.code.fusion import FusionBackend
from fail2fix.verify.code.ground_truth import Limits, parse_ground_truth
from fail2fix.verify.code.local import LocalBackend
from fail2fix.verify.code.program_text import find_program
from fail2fix.verify.config import CodeBackendName, VerifierConfig
from fail2fix.verify.errors import problem_of
from fail2fix.verify.verifier import Verdict

BACKEND = "fail2fix.verifier.code.backend"


class CodeVerifier:
    """Judges responses that hold a program, in the sandboxes of `backend`, which it owns."""

    def __init__(self, backend: CodeBackend) -> None:
        self._backend = backend

    async def verify(self, response: str, ground_truth: str | Mapping[str, Any]) -> Verdict:
        """Judge the program in `response`. Never raises for anything in `response`.

        Raises:
            GroundTruthError: the row's ground truth is malformed.
            RuntimeError: the verifier is closed.
        """
        tests = parse_ground_truth(ground_truth)
        program = find_program(response, tests.block)
        if not program:
            return Verdict(False, "", "no_answer")
        outcome = await self._backend.run(program, tests)
        return Verdict(outcome.correct, program, outcome.status)

    def describe(self, verifiers: int = 1) -> str:
        """The isolation of programs in one line. `verifiers`: number of processes that open such a verifier."""
        return f"programs run in {self._backend.describe(verifiers)}"

    def close(self) -> None:
        self._backend.close()


def open_verifier(settings: VerifierConfig) -> CodeVerifier:
    """The verifier with the back-end of ``fail2fix.verifier.code``.

    Raises:
        InputError: the back-end cannot run here; says what to install or switch on.
    """
    code = settings.code
    limits = Limits(test_s=code.test_s, total_s=code.total_s, memory_mb=code.memory_mb)
    if code.backend is CodeBackendName.sandbox_fusion:
        if find_spec("sandbox_fusion") is None:
            raise InputError(f"{BACKEND}=sandbox_fusion: its client is missing: pip install sandbox-fusion==0.3.7")
        return CodeVerifier(FusionBackend(code.endpoint, code.workers, limits, settings.retry_s))
    try:
        return CodeVerifier(LocalBackend(code.workers, limits, retries=settings.retries))
    except SandboxUnavailableError as error:
        raise InputError(f"{BACKEND}=local: {error}") from error


def ground_truth_problem(ground_truth: str) -> str:
    return problem_of(ground_truth, parse_ground_truth)
