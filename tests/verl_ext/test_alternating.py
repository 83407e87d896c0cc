"""A step with two updates: the order of what happens, and a step without corrections."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from fail2fix.method.ledger import Ledger
from fail2fix.verl_ext.alternating import alternating_step
from fail2fix.verl_ext.replays import Replays
from fail2fix.verl_ext.step import Step


class Recorded:
    """A trainer that only says what it is asked for. A joint batch is the tuple of its streams."""

    def __init__(self, corrections: list[str]) -> None:
        self.corrections, self.learned, self.calls = corrections, [], []  # type: ignore[var-annotated]
        self.source = SimpleNamespace(attempts=lambda base: (base, "pool"), end_step=lambda base: self._note("end"))

    def _note(self, call: str) -> None:
        self.calls.append(call)

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: self._note(name)

    def engines_awake(self, step: Step) -> Any:
        return nullcontext()

    def base_rollouts(self, prompts: str, step: Step) -> str:
        self._note("solve")
        return "base"

    def select_replays(self, pool: Any, step: Step) -> str:
        assert pool == ("base", "pool")
        self._note("select")
        return "replays"

    def correction_rollouts(self, replays: str, step: Step) -> list[str]:
        self._note("correct")
        return self.corrections

    def join_streams(self, streams: list[str], step: Step) -> tuple[str, ...]:
        return tuple(streams)

    def learn(self, joint: tuple[str, ...], replays: Any, step: Step, only: int | None = None) -> None:
        self._note("learn")
        self.learned.append((joint, replays, only))


def run(corrections: list[str]) -> tuple[Recorded, Any]:
    trainer, profile = Recorded(corrections), SimpleNamespace()
    given: Any = trainer
    return trainer, alternating_step(given, "prompts", Step(1, 0, False, profile, Ledger()))  # type: ignore[arg-type]


def test_corrections_are_asked_for_after_the_engines_have_the_weights_of_the_first_update() -> None:
    trainer, joint = run(["correction"])
    first = ["solve", "learn", "sync_weights", "select", "correct", "note_corrections"]
    assert trainer.calls == [*first, "check_accounting", "learn", "update_replay_ratio", "end"]
    assert trainer.learned == [(("base",), Replays(), None), (("base", "correction"), "replays", 1)]
    assert joint == ("base", "correction")


@pytest.mark.parametrize("corrections", [[], ["correction"]])
def test_a_step_returns_a_batch_that_was_learned(corrections: list[str]) -> None:
    """Its rewards and advantages are what a step's metrics read."""
    trainer, joint = run(corrections)
    assert any(joint is learned for learned, _, _ in trainer.learned)
    assert len(trainer.learned) == 1 + len(corrections)
