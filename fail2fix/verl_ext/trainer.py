"""The trainer: METHOD.md's step on verl's workers.

``train_step`` is the method, top to bottom; each of its lines is a method of this class, which calls functions of
``fail2fix.method``. What surrounds a step (checkpoints, dumps, trackers, profiling, validation) is in ``loop.py``.

Legend: B problems, G rollouts each; K attempts, G' corrections each; M mini-batches; R response width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from verl import DataProto
from verl.trainer.ppo.core_algos import agg_loss
from verl.trainer.ppo.ray_trainer import apply_kl_penalty, compute_advantage
from verl.trainer.ppo.reward import extract_reward
from verl.trainer.ppo.rollout_corr_helper import apply_bypass_mode, compute_rollout_correction_and_add_to_batch
from verl.utils.config import omega_conf_to_dataclass
from verl.utils.debug.metrics import calculate_debug_metrics
from verl.utils.metric import reduce_metrics

from fail2fix.method.advantage import ZERO_VARIANCE, AdvantageRule, CorrectionGroups, advantage_estimator, risk_effect
from fail2fix.method.metrics import correction_metrics, group_metrics, replay_metrics, stream_metrics
from fail2fix.method.objective import feasible_attempts
from fail2fix.method.ratio import ReplayRatio
from fail2fix.method.rollouts import BASE, CORRECTION, Bools, Floats, Ints
from fail2fix.method.selection import PromptGroup, Selection, select_fitting, selection_rule
from fail2fix.run.faults import check_verified, verification_failure
from fail2fix.run.settings import shares_prefixes
from fail2fix.run.step_sizes import batch_split, mini_batches, rows_beside_corrections
from fail2fix.verl_ext.alternating import alternating_step
from fail2fix.verl_ext.decisions import recorded_step
from fail2fix.verl_ext.dynamic_sampling import discarded, refilled, solve_others
from fail2fix.verl_ext.generation import Generation
from fail2fix.verl_ext.held_out import load_held_out
from fail2fix.verl_ext.joint_batch import JointBatch, join
from fail2fix.verl_ext.loop import TrainingLoop
from fail2fix.verl_ext.loss import PROPORTIONAL_LOSSES, joint_loss
from fail2fix.verl_ext.own_log_probs import OWN, collected, update_gives_log_probs
from fail2fix.verl_ext.replays import Replays, choose_replays
from fail2fix.verl_ext.requests import Requests
from fail2fix.verl_ext.sources import source_class
from fail2fix.verl_ext.starting_policy import StartingRollouts
from fail2fix.verl_ext.step import Step
from fail2fix.verl_ext.stream import Reading, Stream
from fail2fix.verl_ext.tokenizer import correction_prompt_builder, end_of_turn_ids

LEAVE_ONE_OUT = ("rloo", "rloo_vectorized")


class Fail2FixTrainer(TrainingLoop):
    """CIPO on verl: solving and correcting in one step. With ``fail2fix.correction.enabled=false``, GRPO."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings, rollout, algorithm = self.settings, self.config.actor_rollout_ref.rollout, self.config.algorithm
        end_of_turn = end_of_turn_ids(self.tokenizer, self.config.actor_rollout_ref.model.path)
        self.reading = Reading(end_of_turn, settings.verifier.correct_threshold)
        self.generation = Generation(self, self.reading, rollout.n, settings.correction.rollouts)
        self.ratio = ReplayRatio(settings.ratio)
        self.select_attempts = selection_rule(settings.replay)
        self.estimate = advantage_estimator(settings.advantage)
        leave_one_out = algorithm.adv_estimator in LEAVE_ONE_OUT
        self.advantage_rule = AdvantageRule.of(settings.advantage, settings.risk, leave_one_out)
        self.source = source_class(settings.replay)(self.config)
        self.source.end_of_turn = end_of_turn
        if settings.correction.enabled or settings.held_out.enabled:
            self.prompt_builder = correction_prompt_builder(self.config, self.tokenizer)

    def init_workers(self) -> None:
        super().init_workers()
        actor = omega_conf_to_dataclass(self.config.actor_rollout_ref.actor)
        weights = {BASE: 1.0, CORRECTION: self.settings.correction.weight}
        self.set_loss(partial(joint_loss, config=actor, weights=weights))
        self.split = batch_split(self.config, self.data_parallel_ranks())
        self.update_gives_log_probs = update_gives_log_probs(self.config)
        self.base_rows = rows_beside_corrections(self.config, self.settings)

    # ------------------------------------------------------------------------------------------- the method

    def train_step(self, prompts: DataProto, step: Step) -> JointBatch:
        """One step (METHOD.md, "One step"; the numbers are its items)."""
        if self.settings.correction.enabled and self.settings.correction.alternate:
            return alternating_step(self, prompts, step)
        with step.timer("gen"), self.engines_awake(step):
            if self.source.waits_for_base:
                base = self.base_rollouts(prompts, step)  # 1
                replays = self.select_replays(self.source.attempts(base), step)  # 2
                streams = [base] + self.correction_rollouts(replays, step)  # 3, and 4 in the reward manager
            else:
                replays = self.select_replays(self.source.attempts(None), step)
                streams = self.rollouts_at_once(prompts, replays, step)
            self.note_corrections(replays, streams[1:], step)
        joint = self.join_streams(streams, step)
        self.check_accounting(joint, step)
        self.learn(joint, replays, step)  # 5 and 6
        self.update_replay_ratio(step)  # 7
        self.source.end_step(joint.base)
        return joint

    def learn(self, joint: JointBatch, replays: Replays, step: Step, only: int | None = None) -> None:
        """Items 5 and 6, of all streams or of the one at this place."""
        self.log_probs(joint, step)
        self.rewards(joint, step)
        self.advantages(joint, replays, step)
        self.note_decisions(joint, replays, step)
        self.update_policy(joint, step, only)

    def base_rollouts(self, prompts: DataProto, step: Step) -> Stream:
        """G rollouts of each of the B problems, verified; groups that teach nothing are refilled if so configured."""
        filter_groups = self.config.algorithm.filter_groups
        with step.timer("gen_base"):
            base = self.generation.solve_problems(prompts, step)
            counts: dict[str, float] = {}
            if filter_groups.enable:
                more = partial(solve_others, self, self.generation, step)
                base, counts = refilled(base, more, filter_groups.metric, filter_groups.max_num_gen_batches)
        step.metrics |= counts
        step.accounts[BASE].leave(**discarded(base, counts))
        return base

    def select_replays(self, pool: Stream | None, step: Step) -> Replays:
        """At most K attempts and their correction prompts; a K whose rows divide, never padding."""
        if not self.settings.correction.enabled or pool is None:
            return Replays()
        with step.timer("select"):
            replays, selection = choose_replays(pool, self.prompt_builder, partial(self._choose, step=step))
        step.metrics |= replay_metrics(selection, self.settings.correction.attempts, self.ratio.rho)
        skipped = selection.counts["skipped"]
        step.accounts[CORRECTION].enter(prompts=len(replays) + skipped)
        step.accounts[CORRECTION].leave(no_room=skipped)
        return replays

    def correction_rollouts(self, replays: Replays, step: Step) -> list[Stream]:
        """The stream of G' corrections of each attempt, verified and shaped; none when nothing is replayed."""
        if not replays:
            return []
        return [self.generation.enter(CORRECTION, self.generation.ask_corrections(replays, step), step)]

    def note_corrections(self, replays: Replays, corrections: Sequence[Stream], step: Step) -> None:
        """What the corrections did to the chosen attempts."""
        for stream in corrections:
            step.metrics |= correction_metrics(replays.correct, replays.pass_rates, replays.answers, stream.rollouts)
            step.retention = replays.retention(stream)

    def rollouts_at_once(self, prompts: DataProto, replays: Replays, step: Step) -> list[Stream]:
        """Both streams' rollouts in the engines together: attempts that exist already need no base rollouts first.

        The base stream is entered first, even if corrections finish earlier: refills are charged to the same budget.
        """
        if not replays:
            return [self.base_rollouts(prompts, step)]
        with ThreadPoolExecutor(max_workers=1) as beside:
            corrections = beside.submit(self.generation.ask_corrections, replays, step)
            base = self.base_rollouts(prompts, step)
            return [base, self.generation.enter(CORRECTION, corrections.result(), step)]

    def join_streams(self, streams: Sequence[Stream], step: Step) -> JointBatch:
        """All streams in one batch, and what each of them did."""
        for stream in streams:
            check_verified(step.number, stream.name, stream.rollouts, self.settings.faults)
            step.metrics |= stream_metrics(stream.name, stream.rollouts)
        with step.timer("join"):
            joint = join(streams, self.split, self.config.trainer.balance_batch, shares_prefixes(self.config))
        joint.rows.meta_info["temperature"] = self.config.actor_rollout_ref.rollout.temperature
        if not joint.included.any():
            raise verification_failure(f"step {step.number}: a check failed in every group", joint.base.rollouts)
        return joint

    def check_accounting(self, joint: JointBatch, step: Step) -> None:
        """Every prompt and rollout that entered the step is in the update or counted as left out."""
        uids = joint.rows.non_tensor_batch["uid"]  # counted in the batch itself, not in the streams
        for place, stream in enumerate(joint.streams):
            its = joint.stream_of == place
            step.accounts[stream.name].leave(
                recorded=int(its.sum()),
                trained=len(set(uids[its & joint.included])),
                failed=int(stream.rollouts.excluded.sum()),
            )
        for name in (BASE, CORRECTION):
            step.accounts[name].check(step.number)
            step.metrics |= step.accounts[name].metrics()

    def log_probs(self, joint: JointBatch, step: Step) -> None:
        """log pi_old, unless the update itself gives it, and, for KL, log pi_ref of every response token."""
        corrected, policy = self.config.algorithm.get("rollout_correction"), self.config.actor_rollout_ref.actor
        if corrected and corrected.get("bypass_mode", False):
            apply_bypass_mode(joint.rows, corrected, policy.policy_loss)
        elif not self.update_gives_log_probs:
            with step.timer("old_log_prob"):
                old, step.metrics["perf/mfu/actor_infer"] = self.old_log_probs(joint.rows)
            joint.rows = joint.rows.union(old)
            step.metrics |= self._policy_metrics(joint.rows, np.arange(len(joint.rows)), joint)
        if self.use_reference_policy:
            with step.timer("ref"):
                joint.rows = joint.rows.union(self.reference_log_probs(joint.rows))

    def rewards(self, joint: JointBatch, step: Step) -> None:
        """R~ a token: the manager's shaped reward, KL in the reward if configured; rollout correction's weights."""
        scores, _ = extract_reward(joint.rows)
        joint.rows.batch["token_level_scores"] = scores
        joint.rows.batch["token_level_rewards"] = scores
        algorithm = self.config.algorithm
        if algorithm.use_kl_in_reward:
            joint.rows, metrics = apply_kl_penalty(joint.rows, self.kl_ctrl_in_reward, algorithm.kl_penalty)
            step.metrics |= metrics
        if not self.update_gives_log_probs:
            joint.rows = self._rollout_corrected(joint.rows, step)

    def advantages(self, joint: JointBatch, replays: Replays, step: Step) -> None:
        """Per group, never across groups or streams: verl's estimator for the base stream, ours for corrections.

        verl's runs over all rows; the correction rows are then replaced.
        """
        algorithm, read = self.config.algorithm, joint.base.rollouts
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
            rewards = joint.rewards()
            flat = {BASE: read.by_group(rewards[0]).std(axis=1, ddof=1) < ZERO_VARIANCE}
            if joint.correction is not None:
                flat[CORRECTION] = self._correction_advantages(joint, joint.correction, replays, rewards, step)
        for stream in joint.streams:
            step.metrics |= group_metrics(stream.name, flat[stream.name], stream.rollouts.excluded)

    def note_decisions(self, joint: JointBatch, replays: Replays, step: Step) -> None:
        """Keep what was chosen and which advantages it got, for the dump that `fail2fix.replay` reads."""
        if self.settings.correction.enabled:
            own = self.settings, self.advantage_rule, self.ratio.state, self.split, self.base_rows
            step.decisions = partial(recorded_step, joint, replays, step, *own)

    def update_policy(self, joint: JointBatch, step: Step, only: int | None = None) -> None:
        """M optimizer steps on J_base + lambda * J_corr."""
        actor = self.config.actor_rollout_ref.actor
        proportional = actor.policy_loss.loss_mode in PROPORTIONAL_LOSSES
        only_advantage = proportional and not actor.use_kl_loss and actor.entropy_coeff == 0.0
        rows, places, skipped = joint.for_update(self.split, only_advantage, self.settings.skip_idle_rows, only)
        self.finished_step = None  # from here on the weights belong to no finished step
        with step.timer("update_actor"):
            metrics = joint.measured(self.update(rows, mini_batches(self.config)), only)
        step.ledger.optimizer_steps += mini_batches(self.config) * actor.ppo_epochs
        norms = np.atleast_1d(metrics.get("actor/grad_norm", []))
        skipped_before = step.metrics.get("fail2fix/update/skipped", 0.0)
        step.metrics["fail2fix/update/skipped"] = skipped_before + self.updates.count(norms)
        if own := metrics.pop(OWN, None):
            rows = collected(own, rows)
            step.metrics |= self._policy_metrics(rows, places, joint)
            self._rollout_corrected(rows, step)
        step.metrics |= skipped | reduce_metrics(metrics)

    def update_replay_ratio(self, step: Step) -> None:
        """Retention decides how many correct attempts the next step replays."""
        if self.settings.correction.enabled:
            step.metrics |= self.ratio.update(*step.retention)

    # ------------------------------------------------------------------------------------------- its parts

    def _choose(self, groups: list[PromptGroup], step: Step) -> Selection:
        """The step's attempts from what may be replayed."""
        self.ratio.follow(groups)
        wanted, chance = self.settings.correction, (self.settings.replay, self.settings.seed, step.number)
        fits = partial(feasible_attempts, rollouts=wanted.rollouts, base_rows=self.base_rows, split=self.split)
        return select_fitting(groups, wanted.attempts, fits, self.select_attempts, self.ratio.rho, *chance)

    def _policy_metrics(self, rows: DataProto, places: Ints, joint: JointBatch) -> dict[str, float]:
        """Entropies (nats, as the loss aggregates) and agreement with the engines; the rows are at these ``places``."""
        actor = self.config.actor_rollout_ref.actor
        mean = partial(agg_loss, loss_agg_mode=actor.loss_agg_mode, loss_scale_factor=actor.loss_scale_factor)
        entropy, mask = rows.batch.pop("entropys"), rows.batch["response_mask"]
        metrics = {"actor/entropy": mean(entropy, mask).item()}
        for place, stream in enumerate(joint.streams):
            its = torch.from_numpy(((joint.stream_of == place) & joint.included)[places])
            if its.any():
                metrics[f"fail2fix/{stream.name}/entropy"] = mean(entropy[its], mask[its]).item()
        return metrics | (calculate_debug_metrics(rows) if "rollout_log_probs" in rows.batch else {})

    def _rollout_corrected(self, rows: DataProto, step: Step) -> DataProto:
        """The rows with rollout correction's weights, if configured; its metrics."""
        corrected = self.config.algorithm.get("rollout_correction")
        if corrected is None or corrected.get("bypass_mode", False) or "rollout_log_probs" not in rows.batch:
            return rows
        rows, metrics = compute_rollout_correction_and_add_to_batch(rows, corrected)
        step.metrics |= metrics
        return rows

    @contextmanager
    def engines_awake(self, step: Step) -> Iterator[None]:
        """All generation happens in here; the engines sleep afterwards until the next weight sync."""
        if step.profile.active:
            self.profile_engines(on=True)
        yield
        self.sleep_engines()
        if step.profile.active:
            self.profile_engines(on=False)

    def _correction_advantages(
        self, joint: JointBatch, correction: Stream, replays: Replays, rewards: Sequence[Floats], step: Step
    ) -> Bools:
        """Replace the correction rows' advantages, and say which groups teach nothing (K,).

        ``rewards``: R~ of each stream's rows in natural order.
        """
        read, rule = correction.rollouts, self.advantage_rule
        groups = CorrectionGroups(
            plain=read.by_group(rewards[1] + read.taken),
            correct=read.by_group(read.correct),
            attempt_plain=replays.rewards(joint.base, rewards[0]),
            attempt_correct=replays.correct,
            taken=read.by_group(read.taken) if self.settings.risk.beyond_broken else None,
        )
        kept = ~read.excluded
        taught, values, flat = groups.kept(kept), np.zeros(groups.plain.shape), np.ones(len(kept), dtype=bool)
        if kept.any():
            result = self.estimate(taught, rule)
            values[kept], flat[kept] = result.values, result.zero_variance
        step.metrics["fail2fix/correction/advantage_max"] = float(np.abs(values).max())
        step.metrics["fail2fix/risk/effect"] = risk_effect(taught, rule, self.estimate)
        joint.replace_advantages(1, values.ravel())
        return flat

    # ------------------------------------------------------------------------------------------- around training

    def before_training(self) -> None:
        """Write what needs the starting model: an offline pool, held-out attempts."""
        starting = StartingRollouts(self, self.generation, self.ledger)
        if self.settings.correction.enabled and not self.config.trainer.get("val_only", False):
            self.source.begin(starting)
        if self.settings.held_out.enabled:
            self.held_out = load_held_out(self.config, starting, self.prompt_builder, self.reading.end_of_turn)

    def held_out_answers(self, requests: Requests, samples: int, first: int) -> tuple[Stream, list[str]]:
        do_sample = self.config.actor_rollout_ref.rollout.val_kwargs.do_sample
        answers = self.generation.ask_held_out(requests, samples, self.global_steps, do_sample, first)
        return answers, self.tokenizer.batch_decode(answers.rows.batch["responses"], skip_special_tokens=True)
