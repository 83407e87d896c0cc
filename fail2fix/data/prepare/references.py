"""Keep problems whose tests accept the reference program and refuse an attempt labeled wrong.

Knows: the code verifier's sandbox, in which every program runs. Must not know: any one set, files.
"""

import asyncio
import os
from collections.abc import Sequence

from fail2fix.console.progress import Done, stage
from fail2fix.data.prepare.cleaning import Dropped
from fail2fix.data.sets.spec import Problem
from fail2fix.method.errors import InputError
from fail2fix.verify.code.backend import CodeBackend, Outcome, SandboxUnavailableError
from fail2fix.verify.code.ground_truth import parse_ground_truth
from fail2fix.verify.code.local import LocalBackend
from fail2fix.verify.code.program_text import find_program

Run = tuple[str, str]
"""A program and its ground truth."""


def sandbox(name: str, workers: int = 0) -> LocalBackend:
    """Sandboxes for the set called `name`: `workers` at a time, by default one per processor.

    Raises:
        InputError: sandboxes cannot be made here; says what to install or switch on.
    """
    try:
        return LocalBackend(workers or os.cpu_count() or 1)
    except SandboxUnavailableError as error:
        raise InputError(f"{name}: its reference programs must be run: {error}") from error


def confirmed(problems: Sequence[Problem], backend: CodeBackend, dropped: Dropped) -> list[Problem]:
    """Problems whose tests can be trusted, in their order; the others are counted by reason."""
    runs = sorted({run for each in problems for run in _runs(each) if run[0]})
    with stage("programs against their tests", len(runs)) as done:
        found = asyncio.run(_outcomes(runs, backend, done))
    outcomes = dict(zip(runs, found, strict=True))
    return dropped.without(problems, lambda each: _doubt(each, outcomes))


def _runs(each: Problem) -> tuple[Run, Run]:
    """The reference and the attempt labeled wrong, with the problem's tests; a missing program is ""."""
    wrong = find_program(each.attempt.text) if each.attempt and not each.attempt.correct else ""
    return (each.reference, each.answer), (wrong, each.answer)


async def _outcomes(runs: Sequence[Run], backend: CodeBackend, done: Done) -> list[Outcome]:
    """The outcome of each run."""
    at_a_time = asyncio.Semaphore(4 * (os.cpu_count() or 1))

    async def outcome(run: Run) -> Outcome:
        async with at_a_time:
            found = await backend.run(run[0], parse_ground_truth(run[1]))
        done()
        return found

    return await asyncio.gather(*map(outcome, runs))


def _doubt(each: Problem, outcomes: dict[Run, Outcome]) -> str:
    """Why the problem's tests cannot be trusted; "" if they can be."""
    reference, attempt = map(outcomes.get, _runs(each))
    if reference is None:
        return "it has no reference program"
    if "error" in (reference.status, attempt.status if attempt else ""):
        return "no sandbox could be had for its programs"
    if reference.status == "timeout":
        return "its reference ran into a limit of time, memory or output"
    if not reference.correct:
        return "its reference fails its tests"
    if attempt and attempt.correct:
        return "its wrong attempt passes its tests"
    return ""
