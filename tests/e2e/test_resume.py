"""A run that is killed and started again ends as if it had never been killed, bit for bit."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Bench
from tests.e2e.support.killing import kill_and_resume, run_alone

pytestmark = pytest.mark.e2e


@pytest.mark.slow
@pytest.mark.parametrize("source", ["online", "offline", "lagged"])
def test_killed_runs_go_on_bit_for_bit(bench: Bench, source: str) -> None:
    alone = run_alone(bench, source)
    for where in ("anywhere", "saving"):
        assert kill_and_resume(bench, source, where, *alone, seed=1).different == []
