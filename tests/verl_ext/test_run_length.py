"""How many steps a run has: an explicit number of epochs or steps works, and whichever ends first is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from fail2fix.method.config import CorrectionConfig
from fail2fix.method.ledger import Cost, Ledger
from fail2fix.run.config import BudgetConfig, Fail2FixConfig
from fail2fix.verl_ext.loop import TrainingLoop
from fail2fix.verl_ext.run_length import UNBOUNDED_EPOCHS, bound_by_epochs, count_alternating_updates, settle_length
from tests.verl_ext.test_contract import config


class Trainer:
    """What verl's trainer knows of its length: 12 steps an epoch."""

    def __init__(self, given: Any) -> None:
        self.config, self.train_dataloader = given, range(12)
        given.actor_rollout_ref.actor.optim.total_training_steps = -1
        asked = given.trainer.total_training_steps
        self.total_training_steps = asked or len(self.train_dataloader) * given.trainer.total_epochs


@pytest.mark.parametrize(
    ("given", "epochs", "steps", "last"),
    [
        ([], 10, 10, 10),
        (["trainer.total_training_steps=700"], 700, 700, 700),
        (["trainer.total_epochs=3"], 3, None, 36),
        (["trainer.total_epochs=100"], 100, None, 1200),
        (["trainer.total_epochs=3", "trainer.total_training_steps=50"], 3, 50, 36),
        (["trainer.total_epochs=3", "trainer.total_training_steps=20"], 3, 20, 20),
        (["trainer.total_training_steps=null"], UNBOUNDED_EPOCHS, None, 12 * UNBOUNDED_EPOCHS),
    ],
)
def test_epochs_and_steps(
    given: list[str], epochs: int, steps: int | None, last: int, capsys: pytest.CaptureFixture[str]
) -> None:
    made = config(*given, name="quickstart")
    settle_length(made)
    trainer: Any = Trainer(made)
    bound_by_epochs(trainer)
    raw = OmegaConf.to_container(made, resolve=False)["trainer"]  # type: ignore[index,call-overload]
    assert (raw["total_epochs"], raw["total_training_steps"], trainer.total_training_steps) == (epochs, steps, last)
    cut = steps is not None and last < steps
    assert ("ends the run after step 36" in capsys.readouterr().out) is cut
    if cut:
        assert made.actor_rollout_ref.actor.optim.total_training_steps == last


@pytest.mark.parametrize(
    ("name", "override", "updates"),
    [
        ("thinktwice", "fail2fix.seed=0", 2),
        ("thinktwice", "fail2fix.correction.alternate=false", 1),
        ("thinktwice", "fail2fix.correction.enabled=false", 1),
        ("cipo", "fail2fix.seed=0", 1),
    ],
)
@pytest.mark.parametrize("epochs", [None, 2])
def test_a_schedule_is_as_long_as_the_updates_of_a_run(
    name: str, override: str, updates: int, epochs: int | None
) -> None:
    made = config(override, "trainer.total_training_steps=50", f"trainer.total_epochs={epochs or 50}", name=name)
    settle_length(made)
    trainer: Any = Trainer(made)
    optim = made.actor_rollout_ref.actor.optim
    optim.total_training_steps = trainer.total_training_steps  # as verl does
    bound_by_epochs(trainer)
    count_alternating_updates(trainer)
    assert optim.total_training_steps == updates * trainer.total_training_steps == updates * (24 if epochs else 50)


@pytest.mark.parametrize(
    ("budget", "spent", "done", "last"),
    [
        (None, 0, 3, 10),
        (1000, 0, 0, 10),
        (100, 0, 0, 5),
        (100, 45, 2, 4),
        (100, 90, 5, 5),
        (100, 120, 5, 5),
        (10, 0, 0, 0),
    ],
)
def test_a_budget_of_rollouts_may_end_a_run_earlier(budget: int | None, spent: int, done: int, last: int) -> None:
    """A step has 4 x 2 base rollouts and 2 x 6 corrections; a refill may spend more."""
    given = {"data": {"train_batch_size": 4}, "actor_rollout_ref": {"rollout": {"n": 2}}}
    settings = Fail2FixConfig(correction=CorrectionConfig(attempts=2, rollouts=6), budget=BudgetConfig(rollouts=budget))
    run: Any = SimpleNamespace(
        config=OmegaConf.create(given),
        settings=settings,
        ledger=Ledger({"base": Cost(rollouts=spent)}),
        total_training_steps=10,
        global_steps=done,
    )
    assert TrainingLoop.last_step.fget(run) == last  # type: ignore[attr-defined]
