"""Everything around a step: resume, validate, save, sync, dump, profile, log, end.

``TrainingLoop`` does what verl's own loop does, by the port's names, and leaves the step itself to ``Fail2FixTrainer``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import open_dict
from tqdm import tqdm
from verl import DataProto
from verl.trainer.ppo.reward import extract_reward
from verl.utils.checkpoint.checkpoint_manager import should_save_ckpt_esi
from verl.utils.skip import SkipManager

from fail2fix.method.ledger import Ledger
from fail2fix.method.ratio import ReplayRatio
from fail2fix.replay.decisions import write_decisions
from fail2fix.run.best import Best
from fail2fix.run.checkpoints import Checkpoints, load_state
from fail2fix.run.data_position import restore_epoch_end
from fail2fix.run.exit_status import TrainingError
from fail2fix.run.faults import SkippedUpdates
from fail2fix.run.folder import FINISHED, MetricsFile, as_json, as_python, folder_of, hold, hold_checkpoints
from fail2fix.run.last_resort import FinishedStep
from fail2fix.run.profiling import plan_profiling
from fail2fix.run.settings import fail2fix_settings
from fail2fix.run.step_sizes import rollouts_a_step
from fail2fix.run.stop import StopRequest
from fail2fix.run.watchdog import Watchdog
from fail2fix.verl_ext.held_out import DUMPS, HeldOutCorrections
from fail2fix.verl_ext.joint_batch import JointBatch
from fail2fix.verl_ext.own_answers import DUMPS as OWN_DUMPS
from fail2fix.verl_ext.port import Summarize, TrainerPort
from fail2fix.verl_ext.requests import Requests
from fail2fix.verl_ext.reward_extras import Extras
from fail2fix.verl_ext.run_length import bound_by_epochs, count_alternating_updates
from fail2fix.verl_ext.sources import AttemptSource
from fail2fix.verl_ext.step import Step
from fail2fix.verl_ext.step_metrics import data_metrics, timing_metrics
from fail2fix.verl_ext.stream import Stream
from fail2fix.verl_ext.trackers import open_trackers
from fail2fix.verl_ext.validation import check_counts, validated_accuracy, validated_extras, validated_verdicts


class TrainingLoop(TrainerPort):
    """verl's trainer with a loop of ours around ``train_step``."""

    ratio: ReplayRatio
    source: AttemptSource
    held_out: HeldOutCorrections | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        bound_by_epochs(self)
        count_alternating_updates(self)
        self.settings = fail2fix_settings(self.config)
        self.ledger: Ledger = Ledger()
        self.checkpoints = Checkpoints.of(self.config)
        self.best = Best(self.settings.checkpoint)
        self.keep_last = self._take_over_retention()
        self.watchdog = Watchdog.of(self.config)
        self.updates = SkippedUpdates(self.settings.faults.max_skipped_updates)
        self.stop = StopRequest(self.run_folder)
        self.stop_reason = ""  # why the run ends before its last step
        self.finished_step: FinishedStep | None = None

    @abstractmethod
    def train_step(self, prompts: DataProto, step: Step) -> JointBatch:
        """One step on B problems."""

    @abstractmethod
    def before_training(self) -> None:
        """Write what needs the starting model's rollouts; the engines are awake."""

    @abstractmethod
    def held_out_answers(self, requests: Requests, samples: int, first: int) -> tuple[Stream, list[str]]:
        """One verified response a row under validation's sampling, and its text (`stream.Answer`)."""

    @property
    def run_folder(self) -> Path:
        return folder_of(self.config)

    def fit(self) -> None:
        """Train: validation first, then steps, then the end of the run."""
        self._begin_run()
        if not self.config.trainer.get("val_only", False):
            for step, prompts in self._steps():
                self._around_step(step, prompts)
        self._end_run()
        if self.updates.too_many:
            raise TrainingError(f"step {self.global_steps}: {self.updates.too_many}")

    def _begin_run(self) -> None:
        """Checkpoint, first weight sync, trackers, validation before training."""
        trains = not self.config.trainer.get("val_only", False)
        self.held_folder = hold(self.run_folder)
        self.held_checkpoints = hold_checkpoints(self.config, self.run_folder)
        self.global_steps = 0
        self.max_steps_duration = 0.0
        self.last_val_metrics: dict[str, Any] | None = None
        self.resumed_metrics: dict[str, Any] | None = None  # of the step that the checkpoint ends with
        self.load_checkpoint()
        self.metrics_file = MetricsFile(self.run_folder, resumed_step=self.global_steps if trains else None)
        self.tracking = open_trackers(self.config, self.run_folder, self.metrics_file.steps)
        self.sync_weights()
        SkipManager.init(self.config)
        self.before_training()
        if trains and self.resumed_metrics is not None:
            self._finish_resumed_step(self.resumed_metrics)
        elif self.config.trainer.get("val_before_train", True) or not trains:
            self.last_val_metrics = self.validate()
            print(f"Initial validation metrics: {as_json(self.last_val_metrics)}")
            self._record(self.last_val_metrics, self.global_steps)
        if trains:
            self._require_room()
        self.stop_reason = self.stop.reason
        self.progress = tqdm(total=self.total_training_steps, initial=self.global_steps, desc="Training Progress")

    def _finish_resumed_step(self, metrics: dict[str, Any]) -> None:
        """Finish the validation and the metrics line of the step that the checkpoint was saved in."""
        step, line = self.global_steps, self.metrics_file.line(self.global_steps)
        if line is not None:
            # The schedule may be another one now: what the line holds tells whether the step was validated.
            if self.best.config.best_metric in line:
                self._note_best(step, line)
            return
        if self._validation_is_due(step, step >= self.last_step):
            self.last_val_metrics = self.validate()
            self._note_best(step, self.last_val_metrics)
            metrics = metrics | self.last_val_metrics
        self._record(metrics, step)

    def _steps(self) -> Iterator[tuple[Step, DataProto]]:
        """Every step still to train, with its B problems."""
        done = self.global_steps // len(self.train_dataloader)
        for epoch in range(done, self.config.trainer.total_epochs):
            for rows in self.train_dataloader:
                self.watchdog.steps = self.last_step
                if self.global_steps >= self.last_step or self.stop_reason:
                    return
                self.global_steps += 1
                SkipManager.set_step(self.global_steps)
                last = self.global_steps >= self.total_training_steps
                plan = plan_profiling(self.config, self.global_steps, last)
                phase = partial(self.watchdog.phase, step=self.global_steps)
                step = Step(self.global_steps, epoch, last, plan, self.ledger, phase)
                yield step, DataProto.from_single_dict(rows)

    def _around_step(self, step: Step, prompts: DataProto) -> None:
        """A step with what verl's loop does around it: profile, save, sync, dump, validate, log."""
        with step.timer("start_profile"):
            self.switch_profilers(on=step.profile.start)
        prompts.meta_info["temperature"] = self.config.actor_rollout_ref.rollout.temperature
        with step.timer("step"):
            with step.timer("train"):
                joint = self.train_step(prompts, step)
            self.ledger.seconds += step.timing["train"] - step.timing.get("update_weights", 0.0)  # added below
            step.metrics |= data_metrics(joint, step)
            state = self.train_dataloader.state_dict(), self.ledger.state_dict(), self.kl_coefficient
            self.finished_step = FinishedStep(step.number, as_json(step.metrics), *state)
            step.last = step.last or step.number >= self.last_step
            self.stop_reason = self.stop.reason or self.updates.too_many
            if folder := self.config.trainer.get("rollout_data_dir", None):
                extras = extract_reward(joint.rows)[1] | {"uid": joint.rows.non_tensor_batch["uid"]}
                self.dump_rollouts(joint.rows, extras, step.timing, folder)
            if step.decisions:
                write_decisions(self.run_folder, step.decisions())
            self._save_if_due(step)
            with step.timer("update_weights"):
                self.sync_weights()
        self._validate_if_due(step)
        with step.timer("stop_profile"):
            self.switch_profilers(off=step.profile.stop, finish=step.profile.finish)
        self.max_steps_duration = max(self.max_steps_duration, step.timing["step"])
        self.ledger.seconds += step.timing["update_weights"]
        step.metrics |= timing_metrics(joint, step, self.resource_pool_manager.get_n_gpus())
        self._record(step.metrics, step.number)
        self.progress.update(1)
        if hasattr(self.train_dataset, "on_batch_end"):
            self.train_dataset.on_batch_end(batch=joint.rows)

    @property
    def last_step(self) -> int:
        """The step that the run ends with: the configured one, or an earlier one that uses up the rollout budget."""
        left = max(0, self.ledger.left(self.settings.budget.rollouts)) / rollouts_a_step(self.config, self.settings)
        return int(min(self.total_training_steps, self.global_steps + left))

    def _require_room(self) -> None:
        """A budget that a stored pool has used up would end the run before it trained anything."""
        if self.global_steps == 0 and self.last_step == 0:
            raise RuntimeError(
                f"fail2fix.budget.rollouts={self.settings.budget.rollouts}: no step fits after the "
                f"{self.ledger.total.rollouts:,} rollouts spent before the first; raise it"
            )

    def _save_if_due(self, step: Step) -> None:
        trainer = self.config.trainer
        if trainer.save_freq <= 0:
            return
        longest, spare = self.max_steps_duration, trainer.esi_redundant_time
        expiring = should_save_ckpt_esi(max_steps_duration=longest, redundant_time=spare)
        if step.last or step.number % trainer.save_freq == 0 or expiring or self.stop_reason:
            if expiring:
                print("Force saving checkpoint: ESI instance expiration approaching.")
            with step.timer("save_checkpoint"):
                self.flush_dumps()
                self.save_checkpoint(step.metrics)

    def _validation_is_due(self, step: int, last: bool) -> bool:
        frequency = self.config.trainer.test_freq
        return frequency > 0 and (last or step % frequency == 0)

    def _validate_if_due(self, step: Step) -> None:
        stopped = bool(self.stop_reason) and self.settings.run.validate_on_stop
        if not self._validation_is_due(step.number, step.last or stopped):
            return
        with step.timer("testing"):
            metrics = self.validate()
        step.metrics |= metrics
        self.last_val_metrics = metrics if step.last else self.last_val_metrics
        self._note_best(step.number, metrics)

    def _record(self, metrics: dict[str, Any], step: int) -> None:
        """Trackers first: a step with a line has reached them."""
        metrics = as_python(metrics | self.ledger.metrics())
        self.tracking.log(data=metrics, step=step)
        self.metrics_file.write(step, metrics)

    def _end_run(self) -> None:
        self.close_dumps()
        self.progress.close()
        print(f"Final validation metrics: {as_json(self.last_val_metrics or {})}")
        if self.stop_reason:
            print(f"fail2fix: stopped after step {self.global_steps}: {self.stop_reason}")
        elif not self.config.trainer.get("val_only", False):
            self._prune()
            (self.run_folder / FINISHED).touch()

    # -------------------------------------------------------------------------------------------- validation

    def validate(self) -> dict[str, Any]:
        """Solve the validation set and, where held-out attempts are frozen, correct them; the dumps are on disk."""
        with self.watchdog.phase("validation"):
            metrics = self.validate_solving()
        if self.held_out is not None:
            dump = self.run_folder / DUMPS / f"{self.global_steps}.jsonl"
            with self.watchdog.phase("held-out corrections"):
                metrics |= self.held_out.evaluate(self.held_out_answers, self._resolve_accuracy, dump)
                if self.held_out.own is not None:
                    dump = self.run_folder / OWN_DUMPS / f"{self.global_steps}.jsonl"
                    metrics |= self.held_out.own.evaluate(self.held_out_answers, dump)
        self.flush_dumps()
        return metrics

    def summarize(self, uids: Sequence[str], extras: Extras, summary_of: Summarize) -> dict[str, Any]:
        """verl's summary of what a user reads; each problem's accuracy is also that of the re-solve policy."""
        majority = "/maj@" in (self.settings.checkpoint.best_metric or "")
        verdicts = validated_verdicts(extras, self.settings.verifier.correct_threshold)
        statuses = extras.get("verify_status")
        self._resolve_accuracy = validated_accuracy(uids, verdicts, statuses)
        return summary_of(validated_extras(extras, majority)) | check_counts(statuses)

    # ------------------------------------------------------------------------------------------- checkpoints

    def _take_over_retention(self) -> int | None:
        """How many checkpoints stay; verl itself, which deletes before it saves, is told to keep all."""
        trainer = self.config.trainer
        asked = 1 if trainer.get("remove_previous_ckpt_in_save", False) else trainer.get("max_actor_ckpt_to_keep", None)
        with open_dict(trainer):
            trainer.max_actor_ckpt_to_keep, trainer.remove_previous_ckpt_in_save = None, False
        return self.settings.checkpoint.keep_last or asked

    def save_checkpoint(self, metrics: dict[str, Any] | None = None) -> None:
        """verl's files and ours, then the commit, then what has to make room.

        A run may end after this and before the step's line is written, so the step's ``metrics`` are saved too.

        Raises:
            CheckpointError: a write failed; the checkpoints before are as they were.
        """
        step = self.global_steps
        with self.checkpoints.writing(step) as folder:
            self.save_files(folder)
            self.save_weights()
            ours = {"step": step, "ledger": self.ledger.state_dict(), "metrics": as_json(metrics or {})}
            ours |= {"best": self.best.state_dict(), "kl_coefficient": self.kl_coefficient}
            ours |= {"skipped_updates": self.updates.in_a_row}
            self.checkpoints.commit(step, self.state_dict() | ours)
        self._prune()

    def _prune(self) -> None:
        if self.keep_last is not None:
            self.checkpoints.prune(self.keep_last, also=[self.best.step])

    def _note_best(self, step: int, metrics: dict[str, Any]) -> None:
        """Only what this run has saved can stay."""
        if step in self.checkpoints.complete() and self.best.note(step, metrics):
            self.checkpoints.name_best(step)

    def state_dict(self) -> dict[str, Any]:
        """What a resumption needs beside verl's checkpoint and the ledger, as JSON values."""
        return {"ratio": self.ratio.state_dict()}

    def save_files(self, checkpoint: Path) -> None:
        """Write what a resumption needs and JSON does not hold."""
        self.source.save(checkpoint)

    def load_state_dict(self, state: dict[str, Any], checkpoint: Path) -> None:
        """Read both; ``checkpoint`` is the folder they came from."""
        self.ratio.load_state_dict(state["ratio"])
        if self.settings.correction.enabled:
            self.source.load(checkpoint)

    def load_checkpoint(self) -> None:
        """Resume from the checkpoint that ``trainer.resume_mode`` names, if any."""
        trainer = self.config.trainer
        # Validation alone may read another run's folder, and writes nothing there.
        newest = self.checkpoints.name_newest() if self.checkpoints.is_own else None
        if self.settings.run.restart and newest is not None:
            trainer.resume_mode = "auto"
        self.load_weights()
        if self.global_steps == 0:
            return
        by_path = trainer.resume_mode == "resume_path"
        folder = Path(trainer.resume_from_path) if by_path else self.checkpoints.folder(self.global_steps)
        own = folder.resolve().parent == self.checkpoints.root.resolve()
        if own and not trainer.get("val_only", False):
            self.checkpoints.set_aside_after(self.global_steps)
        if self.global_steps % len(self.train_dataloader) == 0:
            restore_epoch_end(self.train_dataloader, folder)
        state = load_state(folder)
        if state is None:
            print(f"{folder}: no fail2fix state, a stock verl checkpoint; the replay ratio and the ledger start afresh")
            return
        self.ledger = Ledger.from_state(state["ledger"])
        self.resumed_metrics = state["metrics"]
        self.updates.in_a_row = state["skipped_updates"]
        if own:
            self.best.load_state_dict(state["best"])
        self.kl_coefficient = state["kl_coefficient"]
        self.load_state_dict(state, folder)
