"""A run that is killed and started again ends as if it had never been killed, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Bench
from tests.e2e.killing import kill_and_resume, run_alone

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def lagged(bench: Bench) -> tuple[Path, float]:
    return run_alone(bench, "lagged")


def test_a_run_killed_while_saving_goes_on_bit_for_bit(bench: Bench, lagged: tuple[Path, float]) -> None:
    assert kill_and_resume(bench, "lagged", "saving", *lagged, seed=0).different == []


@pytest.mark.slow
@pytest.mark.parametrize("source", ["online", "offline"])
@pytest.mark.parametrize("where", ["anywhere", "saving"])
def test_other_sources_go_on_bit_for_bit(bench: Bench, source: str, where: str) -> None:
    folder, seconds = run_alone(bench, source)
    assert kill_and_resume(bench, source, where, folder, seconds, seed=1).different == []  # type: ignore[arg-type]
