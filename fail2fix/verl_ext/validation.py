"""Validation: verl's own, and beside it the corrections of held-out attempts where there are any."""

from __future__ import annotations

from typing import Any

import numpy as np

from fail2fix.verl_ext.held_out import DUMPS, HeldOutCorrections, validated_accuracy
from fail2fix.verl_ext.loop import TrainingLoop
from fail2fix.verl_ext.streams import Source, Stream


class Validation(TrainingLoop):
    """The loop, with corrections of ``held_out``'s attempts in every validation."""

    held_out: HeldOutCorrections | None = None

    def _validate(self, merged: bool = False) -> Any:
        """verl's validation, and the held-out corrections."""
        with self.watchdog.phase("validation"):
            metrics = super()._validate(merged)
        if self.held_out is None or merged:
            return metrics
        dump = self.run_folder / DUMPS / f"{self.global_steps}.jsonl"
        with self.watchdog.phase("held-out corrections"):
            return metrics | self.held_out.evaluate(self._validation_answers, self._resolve_accuracy, dump)

    def _val_metrics_update(
        self, data_sources: Any, sample_uids: Any, reward_extra_infos_dict: Any, sample_turns: Any
    ) -> Any:
        """verl's summary of a validation; each problem's accuracy is also the re-solve policy's."""
        threshold = self.settings.verifier.correct_threshold
        rewards = reward_extra_infos_dict["reward"]
        verdicts = reward_extra_infos_dict.get("verdict") or [reward >= threshold for reward in rewards]
        statuses = reward_extra_infos_dict.get("verify_status")
        self._resolve_accuracy = validated_accuracy(sample_uids, verdicts, statuses)
        return super()._val_metrics_update(data_sources, sample_uids, reward_extra_infos_dict, sample_turns)

    def _validation_answers(self, source: Source, samples: int) -> tuple[Stream, list[str]]:
        """One response a row under validation's sampling, and its text."""
        sampling = self.config.actor_rollout_ref.rollout.val_kwargs
        source.request.meta_info |= {"validate": True, "do_sample": sampling.do_sample}
        asked = source.asked(np.arange(len(source)), self.global_steps, "held_out")
        output = self.async_rollout_manager.generate_sequences(asked)
        output.meta_info.pop("timing")
        answers = Stream(source.answered(output), samples, source, self.settings.verifier.correct_threshold)
        return answers, self.tokenizer.batch_decode(answers.rows.batch["responses"], skip_special_tokens=True)
