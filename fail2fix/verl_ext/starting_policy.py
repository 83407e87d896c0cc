"""What the starting model writes before the first step: an offline pool, held-out attempts."""

from __future__ import annotations

from fail2fix.method.ledger import INITIAL, Cost, Ledger
from fail2fix.run.provenance import provenance
from fail2fix.run.settings import fail2fix_settings
from fail2fix.verl_ext.generation import Generation, drawn_prompts, first_prompts
from fail2fix.verl_ext.port import TrainerPort
from fail2fix.verl_ext.step import Step
from fail2fix.verl_ext.stream import Stream

Messages = list[dict[str, str]]


class StartingRollouts:
    """Rollouts of the trainer's policy before its first step (`sources.StartingPolicy`).

    Args:
        trainer: whose policy, data sets and config.
        generation: asks its engines.
        ledger: the run's.
    """

    def __init__(self, trainer: TrainerPort, generation: Generation, ledger: Ledger) -> None:
        self._trainer, self._generation, self._ledger = trainer, generation, ledger

    @property
    def provenance(self) -> dict[str, object]:
        return provenance(self._trainer.config, self._trainer.tokenizer)

    def initial_rollouts(self, problems: int) -> Stream:
        """G rollouts each of ``problems`` training problems."""
        self._require_start("the offline pool")
        trainer = self._trainer
        prompts = drawn_prompts(trainer.train_dataset, problems, fail2fix_settings(trainer.config).seed, INITIAL)
        return self._generation.solve_problems(prompts, Step.outside(), purpose="offline")

    def charge(self, pool: Stream, seconds: float) -> None:
        """Charge a pool: it costs the run that generates it and the run that finds it the same."""
        if INITIAL not in self._ledger.lines:
            self._ledger.spend(INITIAL, Cost.of(pool.rollouts, seconds), pool.rollouts.problems)
            self._ledger.seconds += seconds

    def held_out_problems(self, problems: int) -> list[Messages]:
        """The chat messages of the first validation problems."""
        prompts = first_prompts(self._trainer.val_dataset, problems)
        return [list(row) for row in prompts.non_tensor_batch["raw_prompt"]]

    def held_out_rollouts(self, problems: int | None) -> Stream:
        """G rollouts each of the first validation problems; not a cost of training."""
        self._require_start("the file of held-out attempts")
        prompts = first_prompts(self._trainer.val_dataset, problems)
        return self._generation.solve_problems(prompts, Step.outside(), purpose="held_out_attempts")

    def _require_start(self, what: str) -> None:
        if (step := self._trainer.global_steps) > 0:
            raise RuntimeError(f"step {step}: {what} is missing, and only the starting model can write it")
