"""Sandboxes for the tests that need one, and the rows of the public sets."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fail2fix.verify.code.backend import Outcome, SandboxUnavailableError
from fail2fix.verify.code.ground_truth import Limits, parse_ground_truth
from fail2fix.verify.code.local import LocalBackend

TEST_S = 4.0
"""Wall-clock seconds a test may take: shared cores need the slack."""

Run = Callable[[str, dict[str, Any]], Outcome]


@pytest.fixture(scope="session")
def backend() -> Iterator[LocalBackend]:
    try:
        backend = LocalBackend(workers=1, limits=Limits(test_s=TEST_S, total_s=2 * TEST_S, memory_mb=512))
    except SandboxUnavailableError as error:
        pytest.skip(f"no sandbox here: {error}")
    yield backend
    backend.close()


@pytest.fixture
def run(backend: LocalBackend) -> Run:
    return lambda program, ground_truth: asyncio.run(backend.run(program, parse_ground_truth(ground_truth)))
