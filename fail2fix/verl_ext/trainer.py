"""The trainer: METHOD.md's step on verl's workers.

``train_step`` is the method, top to bottom; each of its lines is a method of this class or a function of
``fail2fix.core``. Everything else is what verl's own loop does around a step (checkpoints, validation, dumps,
trackers, profiling), called from verl's own pieces.

Legend: B problems, G rollouts each; K attempts, G' corrections each; M mini-batches; R response width.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pprint import pprint
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from tqdm import tqdm
from verl import DataProto
from verl.trainer.ppo.core_algos import agg_loss
from verl.trainer.ppo.metric_utils import (
    compute_data_metrics,
    compute_throughout_metrics,
    compute_timing_metrics,
    compute_variance_proxy_metrics,
)
from verl.trainer.ppo.ray_trainer import RayPPOTrainer, apply_kl_penalty, compute_advantage
from verl.trainer.ppo.reward import extract_reward
from verl.trainer.ppo.rollout_corr_helper import (
    apply_bypass_mode,
    compute_rollout_correction_and_add_to_batch,
)
from verl.utils import tensordict_utils as tu
from verl.utils.checkpoint.checkpoint_manager import should_save_ckpt_esi
from verl.utils.config import omega_conf_to_dataclass
from verl.utils.debug import marked_timer
from verl.utils.debug.metrics import calculate_debug_metrics
from verl.utils.metric import reduce_metrics
from verl.utils.py_functional import rename_dict
from verl.utils.skip import SkipManager
from verl.utils.tracking import Tracking
from verl.workers.utils.padding import left_right_2_no_padding

from fail2fix.core.advantage import ZERO_VARIANCE, correction_advantages, risk_effect
from fail2fix.core.metrics import (
    changed_share,
    constant_policy_metrics,
    group_metrics,
    replay_metrics,
    stream_metrics,
    transition_metrics,
)
from fail2fix.core.objective import BASE, CORRECTION, feasible_attempts, stream_sizes
from fail2fix.core.ratio import ReplayRatio
from fail2fix.core.selection import PromptGroup, Selection, distinct_candidates, select_attempts
from fail2fix.verl_ext.checkpoint_state import load_state, save_state
from fail2fix.verl_ext.corrections import Replay, correction_source, fill_replays
from fail2fix.verl_ext.loss import SEQUENCES, STREAM, TOKENS, joint_loss
from fail2fix.verl_ext.profiling import ProfilePlan, plan_profiling
from fail2fix.verl_ext.run_folder import MetricsFile
from fail2fix.verl_ext.settings import fail2fix_settings
from fail2fix.verl_ext.sizes import batch_split, mini_batches
from fail2fix.verl_ext.streams import JointBatch, Source, Stream, join, prompt_groups
from fail2fix.verl_ext.tokenizer import correction_prompt_builder, end_of_turn_ids

# What verl's compute_data_metrics reads.
DATA_METRICS_TENSORS = (
    "prompts", "responses", "attention_mask", "response_mask",
    "token_level_scores", "token_level_rewards", "advantages", "returns",
)  # fmt: skip
DATA_METRICS_COLUMNS = ("__num_turns__", "tool_call_counts")


@dataclass
class Step:
    """One step's number, what it measured, and how long its parts took."""

    number: int
    epoch: int
    last: bool
    profile: ProfilePlan
    metrics: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, float] = field(default_factory=dict)

    def timer(self, name: str) -> AbstractContextManager[None]:
        return marked_timer(name, self.timing)


class Fail2FixTrainer(RayPPOTrainer):
    """CIPO on verl: solving and correcting in one step. With ``fail2fix.correction.enabled=false``, GRPO."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settings = fail2fix_settings(self.config)
        self.ratio = ReplayRatio(self.settings.ratio)
        if self.settings.correction.enabled:
            self.prompt_builder = correction_prompt_builder(self.config, self.tokenizer)
        self.end_of_turn = end_of_turn_ids(self.tokenizer, self.config.actor_rollout_ref.model.path)

    def init_workers(self) -> None:
        super().init_workers()
        actor = omega_conf_to_dataclass(self.config.actor_rollout_ref.actor)
        weight = self.settings.correction.weight
        self.actor_rollout_wg.set_loss_fn(partial(joint_loss, config=actor, correction_weight=weight))
        self.split = batch_split(self.config, self._get_dp_size(self.actor_rollout_wg, "actor"))

    # ------------------------------------------------------------------------------------------- the method

    def fit(self) -> None:
        """Train: validation first, then steps, then the end of the run."""
        self._begin_run()
        if not self.config.trainer.get("val_only", False):
            for step, prompts in self._steps():
                self._around_step(step, prompts)
        self._end_run()

    def train_step(self, prompts: DataProto, step: Step) -> JointBatch:
        """One step (METHOD.md, "One step"; the numbers are its items)."""
        with step.timer("gen"), self._engines_awake(step):
            base = self.base_rollouts(prompts, step)  # 1
            replays = self.select_replays(base, step)  # 2
            correction = self.correction_rollouts(base, replays, step)  # 3, and 4 in the reward manager
        joint = self.join_streams(base, correction, replays, step)
        self.log_probs(joint, step)
        self.rewards(joint, step)
        self.advantages(joint, step)  # 5
        self.update_policy(joint, step)  # 6
        self.update_replay_ratio(joint, step)  # 7
        return joint

    def base_rollouts(self, prompts: DataProto, step: Step) -> Stream:
        """G rollouts of each of the B problems, verified."""
        prompts.non_tensor_batch["uid"] = np.array([str(uuid.uuid4()) for _ in range(len(prompts))], dtype=object)
        request = self._get_gen_batch(prompts)
        rollouts = self.config.actor_rollout_ref.rollout.n
        source = Source(prompts.repeat(rollouts, interleave=True), request.repeat(rollouts, interleave=True))
        with step.timer("gen_base"):
            return self._generate(source, rollouts, first_request=0, step=step, stream="base")

    def select_replays(self, base: Stream, step: Step) -> list[Replay]:
        """At most K attempts and their correction prompts; a K whose rows divide, never padding."""
        wanted = self.settings.correction
        if not wanted.enabled:
            return []
        with step.timer("select"):
            groups = prompt_groups(base, self._has_room(base), self.end_of_turn)
            choose = partial(self._choose, base_rows=len(base.rows), step=step)
            replays, selection = fill_replays(base, groups, self.prompt_builder, choose)
        step.metrics |= replay_metrics(selection, wanted.attempts, self.ratio.rho)
        return replays

    def correction_rollouts(self, base: Stream, replays: list[Replay], step: Step) -> Stream | None:
        """G' corrections of each attempt, verified and shaped; None when nothing is replayed."""
        if not replays:
            return None
        rollouts = self.settings.correction.rollouts
        source = correction_source(base, replays).repeat(rollouts)
        with step.timer("gen_correction"):
            return self._generate(source, rollouts, first_request=len(base.rows), step=step, stream="correction")

    def join_streams(self, base: Stream, correction: Stream | None, replays: list[Replay], step: Step) -> JointBatch:
        """Both streams in one batch, and what each of them did."""
        step.metrics |= self._rollout_metrics(base, correction, replays)
        with step.timer("join"):
            balance = self.config.trainer.balance_batch
            joint = join(base, correction, [r.attempt for r in replays], self.split, balance)
            rows = joint.rows
            rows.meta_info["temperature"] = self.config.actor_rollout_ref.rollout.temperature
            rows.meta_info["global_token_num"] = rows.batch["attention_mask"].sum(-1).tolist()
            rows.meta_info["images_seqlens"] = []
        if not joint.included.any():
            raise RuntimeError(
                f"step {step.number}: the reward function failed on every group, after its retries; see its log"
            )
        return joint

    def log_probs(self, joint: JointBatch, step: Step) -> None:
        """log pi_old and, for KL, log pi_ref of every response token."""
        corrected = self.config.algorithm.get("rollout_correction")
        if corrected and corrected.get("bypass_mode", False):
            policy_loss = self.config.actor_rollout_ref.actor.policy_loss
            apply_bypass_mode(batch=joint.rows, rollout_corr_config=corrected, policy_loss_config=policy_loss)
        else:
            with step.timer("old_log_prob"):
                old, mfu = self._compute_old_log_prob(joint.rows)
            step.metrics |= self._entropy_metrics(joint, old.batch.pop("entropys")) | {"perf/mfu/actor_infer": mfu}
            joint.rows = joint.rows.union(old)
            if "rollout_log_probs" in joint.rows.batch:
                step.metrics |= calculate_debug_metrics(joint.rows)
        if self.use_reference_policy:
            with step.timer("ref"):
                joint.rows = joint.rows.union(self._compute_ref_log_prob(joint.rows))

    def rewards(self, joint: JointBatch, step: Step) -> None:
        """R~ a token: the manager's shaped reward, KL in the reward if configured; rollout correction's weights."""
        scores, _ = extract_reward(joint.rows)
        joint.rows.batch["token_level_scores"] = scores
        joint.rows.batch["token_level_rewards"] = scores
        algorithm = self.config.algorithm
        if algorithm.use_kl_in_reward:
            joint.rows, metrics = apply_kl_penalty(joint.rows, self.kl_ctrl_in_reward, algorithm.kl_penalty)
            step.metrics |= metrics
        corrected = algorithm.get("rollout_correction")
        bypass = corrected is not None and corrected.get("bypass_mode", False)
        if corrected is not None and "rollout_log_probs" in joint.rows.batch and not bypass:
            joint.rows, metrics = compute_rollout_correction_and_add_to_batch(joint.rows, corrected)
            step.metrics |= metrics

    def advantages(self, joint: JointBatch, step: Step) -> None:
        """Per group, never across groups or streams: verl's estimator for the base stream, ours for corrections."""
        algorithm = self.config.algorithm
        with step.timer("adv"):
            joint.rows = compute_advantage(
                joint.rows,
                adv_estimator=algorithm.adv_estimator,
                gamma=algorithm.gamma,
                lam=algorithm.lam,
                num_repeat=self.config.actor_rollout_ref.rollout.n,
                norm_adv_by_std_in_grpo=algorithm.get("norm_adv_by_std_in_grpo", True),
                config=algorithm,
            )
            rewards = joint.natural(joint.rows.batch["token_level_rewards"].sum(-1).double().numpy())
            base = joint.base.by_group(rewards[: len(joint.base.rows)])
            kept = ~joint.base.excluded
            step.metrics |= group_metrics("base", base.std(axis=1, ddof=1)[kept] < ZERO_VARIANCE, int((~kept).sum()))
            if joint.correction is not None:
                self._correction_advantages(joint, joint.correction, rewards, step)

    def update_policy(self, joint: JointBatch, step: Step) -> None:
        """M optimiser steps on J_base + lambda * J_corr."""
        batch = joint.rows.batch
        tokens = batch["response_mask"].sum(-1).numpy()
        sequences, stream_tokens = stream_sizes(joint.streams, joint.mini_batch, tokens, joint.included)
        batch[STREAM] = torch.from_numpy(joint.streams)
        batch[SEQUENCES] = torch.from_numpy(sequences).float()
        batch[TOKENS] = torch.from_numpy(stream_tokens).float()
        with step.timer("update_actor"):
            output = self._update_actor(joint.rows)
        step.metrics |= reduce_metrics(output.meta_info["metrics"])

    def update_replay_ratio(self, joint: JointBatch, step: Step) -> None:
        """Retention decides how many correct attempts the next step replays."""
        if not self.settings.correction.enabled:
            return
        kept = measured = 0
        if joint.correction is not None:
            correct = joint.correction.by_group(joint.correction.correct)
            was_correct = np.array([a.correct for a in joint.attempts]) & ~joint.correction.excluded
            kept, measured = int(correct[was_correct].sum()), int(correct[was_correct].size)
        self.ratio.update(kept, measured)
        if measured:
            step.metrics["fail2fix/replay/retention"] = kept / measured
        if self.ratio.state.retention is not None:
            step.metrics["fail2fix/replay/retention_smoothed"] = self.ratio.state.retention
        step.metrics["fail2fix/replay/retention_n"] = float(measured)
        step.metrics["fail2fix/replay/rho_next"] = self.ratio.rho

    # ------------------------------------------------------------------------------------------- its parts

    def _choose(self, groups: list[PromptGroup], base_rows: int, step: Step) -> Selection:
        """The step's attempts from what may be replayed."""
        wanted = self.settings.correction
        available = min(wanted.attempts, len(distinct_candidates(groups)[0]))
        k = feasible_attempts(available, wanted.rollouts, base_rows, self.split)
        chosen = select_attempts(groups, k, self.ratio.rho, self.settings.replay, self.settings.seed, step.number)
        chosen.counts["trimmed"] = available - k
        return chosen

    def _generate(self, source: Source, rollouts: int, first_request: int, step: Step, stream: str) -> Stream:
        """Generate and verify one response a row."""
        # Request priorities name a request under full determinism: no two of a step may be equal.
        priority = np.arange(first_request, first_request + len(source), dtype=np.int64)
        output = self.async_rollout_manager.generate_sequences(source.asked(priority, step.number))
        timing = output.meta_info.pop("timing")
        prefix = "agent_loop" if stream == "base" else f"agent_loop_{stream}"
        step.timing |= {name.replace("agent_loop", prefix, 1): value for name, value in timing.items()}
        return Stream(source.answered(output), rollouts, source, self.settings.verifier.correct_threshold)

    @contextmanager
    def _engines_awake(self, step: Step) -> Iterator[None]:
        """Both generations happen in here; the engines sleep afterwards until the next weight sync."""
        if step.profile.active:
            self.llm_server_manager.start_profile()
        yield
        self.checkpoint_manager.sleep_replicas()
        if step.profile.active:
            self.llm_server_manager.stop_profile()

    def _has_room(self, base: Stream) -> np.ndarray:
        firsts = range(0, len(base.rows), base.rollouts)
        messages = base.rows.non_tensor_batch["raw_prompt"]
        room = [self.prompt_builder.fits(list(messages[row]), int(base.prompt_tokens[row])) for row in firsts]
        return np.array(room, dtype=bool)

    def _rollout_metrics(self, base: Stream, correction: Stream | None, replays: list[Replay]) -> dict[str, float]:
        metrics = stream_metrics("base", base.summary(self.end_of_turn))
        if correction is None:
            return metrics
        kept = ~correction.excluded
        attempts = np.array([r.attempt.correct for r in replays])[kept]
        correct = correction.by_group(correction.correct)[kept]
        pass_rate = base.by_group(base.correct).mean(axis=1)
        problems = np.array([r.attempt.group for r in replays])[kept]
        answers = base.answers
        before = [answers[base.row_of(r.attempt)] for r, keep in zip(replays, kept, strict=True) if keep]
        after = correction.by_group(np.array(correction.answers, dtype=object))[kept].tolist()
        return (
            metrics
            | stream_metrics("correction", correction.summary(self.end_of_turn))
            | transition_metrics(attempts, correct)
            | constant_policy_metrics(attempts, pass_rate[problems], correct)
            | changed_share(before, after)
        )

    def _entropy_metrics(self, joint: JointBatch, entropy: torch.Tensor) -> dict[str, float]:
        actor, mask = self.config.actor_rollout_ref.actor, joint.rows.batch["response_mask"]
        aggregate = partial(agg_loss, loss_agg_mode=actor.loss_agg_mode, loss_scale_factor=actor.loss_scale_factor)
        metrics = {"actor/entropy": aggregate(entropy, mask).item()}
        included = torch.from_numpy(joint.included)
        for name, stream in (("base", BASE), ("correction", CORRECTION)):
            rows = torch.from_numpy(joint.streams == stream) & included
            if rows.any():
                metrics[f"fail2fix/{name}/entropy"] = aggregate(entropy[rows], mask[rows]).item()
        return metrics

    def _correction_advantages(self, joint: JointBatch, correction: Stream, rewards: np.ndarray, step: Step) -> None:
        """Overwrite the correction rows' advantages; ``rewards`` (N,) is R~ in natural order."""
        settings, n_base = self.settings.advantage, len(joint.base.rows)
        shaped = correction.by_group(rewards[n_base:])
        plain = shaped + correction.by_group(correction.risk)
        attempt = rewards[joint.attempt_rows]
        result = correction_advantages(shaped, plain, attempt, settings.scale, settings.baseline)
        kept = ~correction.excluded
        step.metrics |= group_metrics("correction", result.zero_variance[kept], int((~kept).sum()))
        step.metrics["fail2fix/risk/effect"] = risk_effect(
            shaped[kept], plain[kept], attempt[kept], settings.scale, settings.baseline
        )
        batch = joint.rows.batch
        values = joint.laid_out(np.concatenate([np.zeros(n_base), result.values.ravel()]))
        ours = torch.from_numpy(values).float()[:, None] * batch["response_mask"]
        is_correction = torch.from_numpy(joint.streams == CORRECTION)[:, None]
        batch["advantages"] = torch.where(is_correction, ours, batch["advantages"])
        batch["returns"] = torch.where(is_correction, ours, batch["returns"])

    def _update_actor(self, batch: DataProto) -> DataProto:
        """verl's update with M mini-batches of any size, where verl fixes their size to the base stream's."""
        actor, rollout = self.config.actor_rollout_ref.actor, self.config.actor_rollout_ref.rollout
        batch.meta_info |= {"multi_turn": rollout.multi_turn.enable, "temperature": rollout.temperature}
        data = left_right_2_no_padding(batch.to_tensordict())
        steps = mini_batches(self.config)
        tu.assign_non_tensor(
            data,
            calculate_entropy=actor.calculate_entropy or actor.entropy_coeff != 0.0,
            distillation_use_topk=False,
            distillation_only=False,
            global_batch_size=len(batch) // steps,
            num_mini_batch=steps,
            epochs=actor.ppo_epochs,
            seed=actor.data_loader_seed,
            dataloader_kwargs={"shuffle": actor.shuffle},
            compute_loss=True,
        )
        metrics = tu.get(self.actor_rollout_wg.update_actor(data), "metrics")
        ours = {name: metrics.pop(name) for name in list(metrics) if name.startswith("fail2fix/")}
        metrics = rename_dict(metrics, "actor/")
        metrics["perf/mfu/actor"] = metrics.pop("actor/mfu")
        return DataProto.from_single_dict(data={}, meta_info={"metrics": metrics | ours})

    # ------------------------------------------------------------------------------------------- around a step

    def _begin_run(self) -> None:
        """Checkpoint, first weight sync, trackers, validation before training."""
        if self._dump_executor._shutdown:
            self._init_dump_executor()
        trainer = self.config.trainer
        self.tracking = Tracking(
            project_name=trainer.project_name,
            experiment_name=trainer.experiment_name,
            default_backend=trainer.logger,
            config=OmegaConf.to_container(self.config, resolve=True),
        )
        self.global_steps = 0
        self.max_steps_duration = 0.0
        self.last_val_metrics: dict[str, Any] | None = None
        self._load_checkpoint()
        run = self.settings.run
        folder = os.path.join(run.root, trainer.experiment_name, run.name or "")
        trains = not trainer.get("val_only", False)
        self.metrics_file = MetricsFile(folder, resumed_step=self.global_steps if trains else None)
        self.checkpoint_manager.update_weights(self.global_steps)
        SkipManager.init(self.config)
        if trainer.get("val_before_train", True) or not trains:
            self.last_val_metrics = self._validate()
            pprint(f"Initial validation metrics: {self.last_val_metrics}")
            self._record(self.last_val_metrics, self.global_steps)
        self.progress = tqdm(total=self.total_training_steps, initial=self.global_steps, desc="Training Progress")

    def _steps(self) -> Iterator[tuple[Step, DataProto]]:
        """Every step still to train, with its B problems."""
        epochs = range(self.global_steps // len(self.train_dataloader), self.config.trainer.total_epochs)
        for epoch in epochs:
            for rows in self.train_dataloader:
                if self.global_steps >= self.total_training_steps:
                    return
                self.global_steps += 1
                SkipManager.set_step(self.global_steps)
                last = self.global_steps >= self.total_training_steps
                plan = plan_profiling(self.config, self.global_steps, last)
                yield Step(self.global_steps, epoch, last, plan), DataProto.from_single_dict(rows)

    def _around_step(self, step: Step, prompts: DataProto) -> None:
        """A step with what verl's loop does around it: profile, save, sync, dump, validate, log."""
        with step.timer("start_profile"):
            self._start_profiling(step.profile.start)
        prompts.meta_info["temperature"] = self.config.actor_rollout_ref.rollout.temperature
        with step.timer("step"):
            joint = self.train_step(prompts, step)
            self._save_if_due(step)
            with step.timer("update_weights"):
                self.checkpoint_manager.update_weights(step.number)
            self._dump_rollouts(joint, step)
        self._validate_if_due(step)
        with step.timer("stop_profile"):
            self._stop_profiling(step.profile.stop, run_command=step.profile.finish)
        self.max_steps_duration = max(self.max_steps_duration, step.timing["step"])
        self._log_step(joint, step)
        if hasattr(self.train_dataset, "on_batch_end"):
            self.train_dataset.on_batch_end(batch=joint.rows)

    def _save_if_due(self, step: Step) -> None:
        trainer = self.config.trainer
        if trainer.save_freq <= 0:
            return
        expiring = should_save_ckpt_esi(
            max_steps_duration=self.max_steps_duration, redundant_time=trainer.esi_redundant_time
        )
        if step.last or step.number % trainer.save_freq == 0 or expiring:
            if expiring:
                print("Force saving checkpoint: ESI instance expiration approaching.")
            with step.timer("save_checkpoint"):
                self._save_checkpoint()

    def _dump_rollouts(self, joint: JointBatch, step: Step) -> None:
        folder = self.config.trainer.get("rollout_data_dir", None)
        if folder:
            _, extras = extract_reward(joint.rows)
            extras = extras | {"uid": joint.rows.non_tensor_batch["uid"]}
            self._log_rollout_data(joint.rows, extras, step.timing, folder)

    def _validate_if_due(self, step: Step) -> None:
        frequency = self.config.trainer.test_freq
        if frequency > 0 and (step.last or step.number % frequency == 0):
            with step.timer("testing"):
                metrics = self._validate()
            step.metrics |= metrics
            self.last_val_metrics = metrics if step.last else self.last_val_metrics

    def _log_step(self, joint: JointBatch, step: Step) -> None:
        """verl's metrics and ours. verl's data metrics describe the base stream, so that they compare with GRPO."""
        base = joint.base_rows(DATA_METRICS_TENSORS, DATA_METRICS_COLUMNS)
        step.metrics |= {"training/global_step": step.number, "training/epoch": step.epoch}
        step.metrics |= compute_data_metrics(batch=base, use_critic=False)
        step.metrics |= compute_timing_metrics(batch=joint.rows, timing_raw=step.timing)
        devices = self.resource_pool_manager.get_n_gpus()
        step.metrics |= compute_throughout_metrics(joint.rows, step.timing, n_gpus=devices)
        step.metrics |= compute_variance_proxy_metrics(joint.rows, step.metrics.get("actor/grad_norm"))
        self._record(step.metrics, step.number)
        self.progress.update(1)

    def _record(self, metrics: dict[str, Any], step: int) -> None:
        self.tracking.log(data=metrics, step=step)
        self.metrics_file.write(step, metrics)

    def _end_run(self) -> None:
        self._shutdown_dump_executor()
        self.progress.close()
        pprint(f"Final validation metrics: {self.last_val_metrics}")

    # ------------------------------------------------------------------------------------------- checkpoints

    def _save_checkpoint(self) -> None:
        """Ours first: verl's tracker file, written last, then names a checkpoint that has both."""
        folder = os.path.join(self.config.trainer.default_local_dir, f"global_step_{self.global_steps}")
        save_state(folder, {"step": self.global_steps, "ratio": self.ratio.state_dict()})
        super()._save_checkpoint()

    def _load_checkpoint(self) -> None:
        super()._load_checkpoint()
        if self.global_steps == 0:
            return
        trainer = self.config.trainer
        folder = os.path.join(trainer.default_local_dir, f"global_step_{self.global_steps}")
        state = load_state(trainer.resume_from_path if trainer.resume_mode == "resume_path" else folder)
        if state is None:
            print(f"{folder}: no fail2fix state, a stock verl checkpoint; the replay ratio starts at its initial value")
        else:
            self.ratio.load_state_dict(state["ratio"])
