"""Validation: verl's own, and beside it the corrections of held-out attempts where there are any.

verl joins the reward extras of a validation's batches by name and summarizes every number with a bootstrap. Here each
row brings its own extras in one column (`rollout.ROW_EXTRAS`), so that batches and rows may differ in them. The dumps
hold them all; verl's summary gets what a user reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from fail2fix.method.verdict import reaches
from fail2fix.verl_ext.held_out import DUMPS, HeldOutCorrections, validated_accuracy
from fail2fix.verl_ext.loop import TrainingLoop
from fail2fix.verl_ext.rollout import ROW_EXTRAS
from fail2fix.verl_ext.streams import Source, Stream

Extras = dict[str, list[Any]]

# Extras of our reward manager that a validation's summary leaves out: in a validation they are constants or copies.
# `pred` would add verl's majority votes (maj@k), which cost twice as much as the rest of the summary.
OURS = frozenset({"pred", "verdict", "plain_reward", "shaped_reward", "attempt_correct", "verifier_calls"})
COUNTED = {
    "no_answer": "verifier_no_answer",
    "timeout": "verifier_timeouts",
    "over_limit": "verifier_over_limit",
    "error": "verifier_errors",
}


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

    def _dump_generations(
        self, inputs: Any, outputs: Any, gts: Any, scores: Any, reward_extra_infos_dict: Any, dump_path: Any
    ) -> None:
        """verl's dump of rollouts or of a validation, with every reward extra of every row."""
        super()._dump_generations(inputs, outputs, gts, scores, extras_by_name(reward_extra_infos_dict), dump_path)

    def _val_metrics_update(
        self, data_sources: Any, sample_uids: Any, reward_extra_infos_dict: Any, sample_turns: Any
    ) -> Any:
        """verl's summary of a validation; each problem's accuracy is also the re-solve policy's."""
        extras = extras_by_name(reward_extra_infos_dict)
        statuses = extras.get("verify_status")
        verdicts = validated_verdicts(extras, self.settings.verifier.correct_threshold)
        self._resolve_accuracy = validated_accuracy(sample_uids, verdicts, statuses)
        majority = "/maj@" in (self.settings.checkpoint.best_metric or "")
        summary = super()._val_metrics_update(
            data_sources, sample_uids, validated_extras(extras, majority), sample_turns
        )
        return summary | check_counts(statuses)

    def _validation_answers(self, source: Source, samples: int) -> tuple[Stream, list[str]]:
        """One response a row under validation's sampling, and its text."""
        sampling = self.config.actor_rollout_ref.rollout.val_kwargs
        source.request.meta_info |= {"validate": True, "do_sample": sampling.do_sample}
        asked = source.asked(np.arange(len(source)), self.global_steps, "held_out")
        output = self.async_rollout_manager.generate_sequences(asked)
        output.meta_info.pop("timing")
        answers = Stream(source.answered(output), samples, source, self.settings.verifier.correct_threshold)
        return answers, self.tokenizer.batch_decode(answers.rows.batch["responses"], skip_special_tokens=True)


def extras_by_name(extras: Mapping[str, list[Any]]) -> Extras:
    """verl's rewards and reward extras as one list a name, None where a row has no such extra.

    An extra named ``reward`` gives way to verl's own.
    """
    rows: list[dict[str, Any]] | None = extras.get(ROW_EXTRAS)
    if rows is None:
        return dict(extras)
    names = sorted({name for row in rows for name in row} - {"reward"})
    return {"reward": extras["reward"]} | {name: [row.get(name) for row in rows] for name in names}


def validated_extras(extras: Extras, majority: bool = False) -> Extras:
    """What verl summarizes under ``val-*``: the reward and the numbers that the reward function returned.

    Args:
        extras: one list a name, None where a row has no value.
        majority: keep our reward manager's ``pred``, so that verl takes majority votes. Another manager's always stays.
    """
    hidden = OURS if "shaped_reward" in extras else frozenset()
    hidden -= {"pred"} if majority else set()
    return {
        name: values
        for name, values in extras.items()
        if name not in hidden and (name == "pred" or all(value is None or isinstance(value, Real) for value in values))
    }


def validated_verdicts(extras: Extras, correct_threshold: float) -> list[bool]:
    """Each row's verdict: the reward manager's, else a full ``acc`` beside a score, else a reward of the threshold."""
    absent = [None] * len(extras["reward"])
    given = (extras.get(name, absent) for name in ("verdict", "acc", "score"))
    verdicts = []
    for reward, verdict, acc, score in zip(extras["reward"], *given, strict=True):
        if verdict is not None:
            verdicts.append(float(verdict) == 1)
        elif acc is not None and score is not None:
            verdicts.append(reaches(float(acc)))
        else:
            verdicts.append(reaches(reward, correct_threshold))
    return verdicts


def check_counts(statuses: Sequence[str | None] | None) -> dict[str, float]:
    """How many checks of a validation did not end in ``ok``, by status; nothing where no status is given."""
    if statuses is None:
        return {}
    return {f"fail2fix/validation/{name}": float(statuses.count(status)) for status, name in COUNTED.items()}
