"""The trainer: METHOD.md's step on verl's workers.

``train_step`` is the method, top to bottom; each of its lines is a method of this class or a function of
``fail2fix.method``. What surrounds a step (checkpoints, dumps, trackers, profiling) is ``loop.py``'s and
``validation.py``'s.

Legend: B problems, G rollouts each; K attempts, G' corrections each; M mini-batches; R response width.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from verl import DataProto
from verl.trainer.ppo.core_algos import agg_loss
from verl.trainer.ppo.ray_trainer import apply_kl_penalty, compute_advantage
from verl.trainer.ppo.reward import extract_reward
from verl.trainer.ppo.rollout_corr_helper import (
    apply_bypass_mode,
    compute_rollout_correction_and_add_to_batch,
)
from verl.utils import tensordict_utils as tu
from verl.utils.config import omega_conf_to_dataclass
from verl.utils.debug.metrics import calculate_debug_metrics
from verl.utils.metric import reduce_metrics
from verl.utils.py_functional import rename_dict
from verl.workers.utils.padding import left_right_2_no_padding

from fail2fix.method.advantage import (
    ZERO_VARIANCE,
    AdvantageRule,
    CorrectionGroups,
    correction_advantages,
    risk_effect,
)
from fail2fix.method.ledger import INITIAL, Ledger
from fail2fix.method.metrics import (
    changed_share,
    constant_policy_metrics,
    group_metrics,
    replay_metrics,
    stream_metrics,
    transition_metrics,
)
from fail2fix.method.objective import BASE, CORRECTION, feasible_attempts, rows_to_update, stream_sizes
from fail2fix.method.ratio import ReplayRatio
from fail2fix.method.selection import PromptGroup, Selection, distinct_candidates, select_attempts
from fail2fix.run.config import Schedule
from fail2fix.run.faults import check_verified, verification_failure
from fail2fix.run.provenance import provenance
from fail2fix.run.step_sizes import batch_split, mini_batches
from fail2fix.verl_ext.balance import close_base, close_correction, verified
from fail2fix.verl_ext.corrections import Replay, Replays, correction_source, fill_replays
from fail2fix.verl_ext.dynamic_sampling import refilled
from fail2fix.verl_ext.extra_info import fill_extra_info
from fail2fix.verl_ext.held_out import Messages, load_held_out
from fail2fix.verl_ext.loop import Step
from fail2fix.verl_ext.loss import SEQUENCES, STREAM, TOKENS, joint_loss
from fail2fix.verl_ext.rollout import GROUP
from fail2fix.verl_ext.sources import source_class
from fail2fix.verl_ext.streaming import CORRECTION_REQUESTS, Carried, Decided, StreamedStep, Streaming
from fail2fix.verl_ext.streaming import FILE as CARRIED_FILE
from fail2fix.verl_ext.streams import JointBatch, Source, Stream, balanced, join, prompt_groups
from fail2fix.verl_ext.tokenizer import correction_prompt_builder, end_of_turn_ids
from fail2fix.verl_ext.training_prompts import drawn_prompts, first_prompts
from fail2fix.verl_ext.validation import Validation

LEAVE_ONE_OUT = ("rloo", "rloo_vectorized")
# Policy losses whose gradient in a row is proportional to the row's own advantage.
PROPORTIONAL_LOSSES = ("vanilla", "gspo")


class Fail2FixTrainer(Validation):
    """CIPO on verl: solving and correcting in one step. With ``fail2fix.correction.enabled=false``, GRPO."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ratio = ReplayRatio(self.settings.ratio)
        self.source = source_class(self.settings.replay.source)(self.config)
        self.end_of_turn = end_of_turn_ids(self.tokenizer, self.config.actor_rollout_ref.model.path)
        if self.settings.correction.enabled or self.settings.held_out.enabled:
            self.prompt_builder = correction_prompt_builder(self.config, self.tokenizer)
            self.streaming = Streaming(self.settings, self.prompt_builder, self._replayable_groups)

    def init_workers(self) -> None:
        super().init_workers()
        actor = omega_conf_to_dataclass(self.config.actor_rollout_ref.actor)
        weight = self.settings.correction.weight
        self.actor_rollout_wg.set_loss_fn(partial(joint_loss, config=actor, correction_weight=weight))
        self.split = batch_split(self.config, self._get_dp_size(self.actor_rollout_wg, "actor"))

    # ------------------------------------------------------------------------------------------- the method

    def train_step(self, prompts: DataProto, step: Step) -> JointBatch:
        """One step (METHOD.md, "One step"; the numbers are its items)."""
        with step.timer("gen"), self._engines_awake(step):
            if self._streams(step):
                base, replays, correction = self.streamed_rollouts(prompts, step)  # 1 to 4, group by group
            elif self.source.waits_for_base:
                base = self.base_rollouts(prompts, step)  # 1
                replays = self.select_replays(self.source.attempts(base), step)  # 2
                correction = self.correction_rollouts(replays, step)  # 3, and 4 in the reward manager
            else:
                replays = self.select_replays(self.source.attempts(None), step)
                base, correction = self.rollouts_at_once(prompts, replays, step)
        joint = self.join_streams(base, correction, replays, step)
        self.balance_books(joint, step)
        self.log_probs(joint, step)
        self.rewards(joint, step)
        self.advantages(joint, replays, step)  # 5
        self.update_policy(joint, step)  # 6
        self.update_replay_ratio(joint, replays, step)  # 7
        self.source.end_step(base)
        self._end_streaming_step(base, step)
        return joint

    def base_rollouts(self, prompts: DataProto, step: Step) -> Stream:
        """G rollouts of each of the B problems, verified; groups that teach nothing are refilled if so configured."""
        filter_groups = self.config.algorithm.filter_groups
        with step.timer("gen_base"):
            base = self._solve(prompts, step)
            if filter_groups.enable:
                more = partial(self._solve_others, step=step)
                base, counts = refilled(base, more, filter_groups.metric, filter_groups.max_num_gen_batches)
                step.metrics |= counts
        return base

    def select_replays(self, pool: Stream | None, step: Step) -> Replays:
        """At most K attempts and their correction prompts; a K whose rows divide, never padding."""
        wanted = self.settings.correction
        if not wanted.enabled or pool is None:
            return Replays()
        with step.timer("select"):
            groups = self._replayable_groups(pool)
            replays, selection = fill_replays(pool, groups, self.prompt_builder, partial(self._choose, step=step))
        step.metrics |= replay_metrics(selection, wanted.attempts, self.ratio.rho)
        skipped = selection.counts["skipped"]
        step.account("correction").enter(prompts=len(replays) + skipped)
        step.account("correction").leave(no_room=skipped)
        return replays

    def correction_rollouts(self, replays: Replays, step: Step) -> Stream | None:
        """G' corrections of each attempt, verified and shaped; None when nothing is replayed."""
        if not replays:
            return None
        return self._enter_corrections(*self._ask_corrections(replays, step), step)

    def rollouts_at_once(self, prompts: DataProto, replays: Replays, step: Step) -> tuple[Stream, Stream | None]:
        """Both streams' rollouts in the engines together: attempts that exist already need no base rollouts first.

        Base is entered into the books before the corrections, whoever ends first: a budget has to do for its refills.
        """
        if not replays:
            return self.base_rollouts(prompts, step), None
        with ThreadPoolExecutor(max_workers=1) as beside:
            corrections = beside.submit(self._ask_corrections, replays, step)
            base = self.base_rollouts(prompts, step)
            return base, self._enter_corrections(*corrections.result(), step)

    def streamed_rollouts(self, prompts: DataProto, step: Step) -> tuple[Stream, Replays, Stream | None]:
        """Both streams' rollouts, and what is replayed: a group's corrections start as soon as it is verified."""
        wanted, rollouts = self.settings.correction, self.config.actor_rollout_ref.rollout.n
        source = self._problems(prompts, step)
        streamed = StreamedStep(self.streaming, source, rollouts, step.number)
        with step.timer("gen_streamed"):
            streamed.run(self.async_rollout_manager)
        step.timing |= {"gen_base": streamed.base_seconds, "gen_correction": streamed.tail_seconds}
        answers = streamed.base(self.async_rollout_manager)
        base = self._enter(answers, source, rollouts, streamed.base_seconds, step, "base")
        k = feasible_attempts(len(streamed.replays), wanted.rollouts, len(source), self.split)
        chosen, put_back = streamed.take(k, base)
        correction = self._enter_streamed(streamed, chosen, put_back, step)
        selection = streamed.selection(base, chosen, len(put_back), wanted.attempts, self.ratio.rho)
        step.metrics |= replay_metrics(selection, wanted.attempts, self.ratio.rho)
        step.account("correction").enter(prompts=selection.counts["skipped"])
        step.account("correction").leave(no_room=selection.counts["skipped"])
        step.decided = Decided(streamed.admitted, streamed.waiting)
        return base, Replays(chosen), correction

    def join_streams(self, base: Stream, correction: Stream | None, replays: Replays, step: Step) -> JointBatch:
        """Both streams in one batch, and what each of them did."""
        step.metrics |= self._rollout_metrics(base, correction, replays)
        with step.timer("join"):
            balance = self.config.trainer.balance_batch
            joint = join(base, correction, self.split, balance)
            rows = joint.rows
            rows.meta_info["temperature"] = self.config.actor_rollout_ref.rollout.temperature
            rows.meta_info["global_token_num"] = rows.batch["attention_mask"].sum(-1).tolist()
            rows.meta_info["images_seqlens"] = []
        for name, stream in (("base", base), ("correction", correction)):
            if stream is not None:
                check_verified(step.number, name, stream.checks, self.settings.faults)
        if not joint.included.any():
            raise verification_failure(f"step {step.number}: a check failed in every group", base.checks)
        return joint

    def balance_books(self, joint: JointBatch, step: Step) -> None:
        """Nothing got lost on the way here: what went into the step is in the update or is counted as left out."""
        base, correction = step.account("base"), step.account("correction")
        excluded = step.metrics.get("fail2fix/base/sampled_excluded_groups", joint.base.excluded.sum())
        close_base(base, joint, int(step.metrics.get("fail2fix/base/discarded_groups", 0)), int(excluded))
        close_correction(correction, joint)
        for account in (base, correction):
            account.check(step.number)
            step.metrics |= account.metrics()

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

    def advantages(self, joint: JointBatch, replays: Replays, step: Step) -> None:
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
                self._correction_advantages(joint, joint.correction, replays, rewards, step)

    def update_policy(self, joint: JointBatch, step: Step) -> None:
        """M optimiser steps on J_base + lambda * J_corr."""
        batch = joint.rows.batch
        tokens = batch["response_mask"].sum(-1).numpy()
        sequences, stream_tokens = stream_sizes(joint.streams, joint.mini_batch, tokens, joint.included)
        batch[STREAM] = torch.from_numpy(joint.streams)
        batch[SEQUENCES] = torch.from_numpy(sequences).float()
        batch[TOKENS] = torch.from_numpy(stream_tokens).float()
        rows = self._rows_with_gradient(joint, step)
        self.rest = None
        with step.timer("update_actor"):
            output = self._update_actor(rows)
        self.ledger.optimizer_steps += mini_batches(self.config) * self.config.actor_rollout_ref.actor.ppo_epochs
        metrics = output.meta_info["metrics"]
        norms = np.atleast_1d(metrics.get("actor/grad_norm", []))
        step.metrics["fail2fix/update/skipped"] = float(self.updates.count(norms))
        step.metrics |= reduce_metrics(metrics)

    def update_replay_ratio(self, joint: JointBatch, replays: Replays, step: Step) -> None:
        """Retention decides how many correct attempts the next step replays."""
        if not self.settings.correction.enabled:
            return
        kept = measured = 0
        if joint.correction is not None:
            correct = joint.correction.by_group(joint.correction.correct)
            was_correct = replays.correct & ~joint.correction.excluded
            kept, measured = int(correct[was_correct].sum()), int(correct[was_correct].size)
        self.ratio.update(kept, measured)
        if measured:
            step.metrics["fail2fix/replay/retention"] = kept / measured
        if self.ratio.state.retention is not None:
            step.metrics["fail2fix/replay/retention_smoothed"] = self.ratio.state.retention
        step.metrics["fail2fix/replay/retention_n"] = float(measured)
        step.metrics["fail2fix/replay/rho_next"] = self.ratio.rho

    # ------------------------------------------------------------------------------------------- its parts

    def _choose(self, groups: list[PromptGroup], step: Step) -> Selection:
        """The step's attempts from what may be replayed."""
        wanted = self.settings.correction
        base_rows = self.config.data.train_batch_size * self.config.actor_rollout_ref.rollout.n
        available = min(wanted.attempts, len(distinct_candidates(groups)[0]))
        k = feasible_attempts(available, wanted.rollouts, base_rows, self.split)
        chosen = select_attempts(groups, k, self.ratio.rho, self.settings.replay, self.settings.seed, step.number)
        chosen.counts["trimmed"] = available - k
        return chosen

    def _streams(self, step: Step) -> bool:
        """Whether this step's streams overlap: not before a step has shown where to cut, nor where the budget of
        rollouts might not suffice for all that a step can admit."""
        if self.settings.schedule is not Schedule.streaming or not self.settings.correction.enabled:
            return False
        cutoffs, sizes = self.streaming.cutoffs, (self.config.data.train_batch_size, self.settings.correction.rollouts)
        if cutoffs is None:
            return False
        rollouts = self.config.actor_rollout_ref.rollout.n
        most = sizes[0] * rollouts
        most += (len(self.streaming.carried) + sizes[0] * cutoffs.most(rollouts)) * sizes[1]
        return self.ledger.affords(most, self.settings.budget.rollouts)

    def _end_streaming_step(self, base: Stream, step: Step) -> None:
        """What the next step's groups are decided by."""
        wanted, streams = self.settings.correction, self.settings.schedule is Schedule.streaming
        if not wanted.enabled:
            return
        if streams:
            k = feasible_attempts(wanted.attempts, wanted.rollouts, len(base.rows), self.split)
            self.streaming.end_step(base, step.decided, k, self.ratio.rho, step.number)
        if streams or self.streaming.carried:  # what a run carried that streamed waits until one does again
            step.metrics["fail2fix/replay/carried_on"] = float(len(self.streaming.carried))

    def _problems(self, prompts: DataProto, step: Step, first_request: int = 0) -> Source:
        """G rows for each of the step's problems, which get their names."""
        step.account("base").enter(prompts=len(prompts))
        rollouts = self.config.actor_rollout_ref.rollout.n
        uids = [f"{step.number}-{first_request // rollouts + place}" for place in range(len(prompts))]
        prompts.non_tensor_batch["uid"] = np.array(uids, dtype=object)
        fill_extra_info(prompts)
        request = self._get_gen_batch(prompts)
        request.non_tensor_batch[GROUP] = np.array(uids, dtype=object)
        return Source(prompts, request).repeat(rollouts)

    def _solve(self, prompts: DataProto, step: Step, first_request: int = 0, purpose: str = "base") -> Stream:
        """G rollouts of each problem; ``purpose`` names them to the seeds."""
        source = self._problems(prompts, step, first_request)
        rollouts = self.config.actor_rollout_ref.rollout.n
        return self._generate(source, rollouts, first_request, step, stream="base", purpose=purpose)

    def _solve_others(self, problems: int, round_number: int, step: Step) -> Stream | None:
        """G rollouts of each of ``problems`` problems from the whole training set, as far as the budget goes.

        The step's corrections come first: what they need is not spent here.
        """
        rollouts, correction = self.config.actor_rollout_ref.rollout.n, self.settings.correction
        reserved = correction.attempts * correction.rollouts if correction.enabled else 0
        left = self.ledger.left(self.settings.budget.rollouts) - reserved
        problems = int(min(problems, left // rollouts))
        if problems < 1:
            return None
        prompts = drawn_prompts(self.train_dataset, problems, self.settings.seed, "refill", step.number, round_number)
        prompts.meta_info["temperature"] = self.config.actor_rollout_ref.rollout.temperature
        first = self.config.data.train_batch_size * rollouts * round_number
        return self._solve(prompts, step, first)

    def _generate(
        self, source: Source, rollouts: int, first_request: int, step: Step, stream: str, purpose: str = ""
    ) -> Stream:
        """Generate and verify one response a row, and enter it into the ledger."""
        answers, seconds = self._ask(source, first_request, step, purpose or stream)
        return self._enter(answers, source, rollouts, seconds, step, stream)

    def _ask(self, source: Source, first_request: int, step: Step, purpose: str) -> tuple[DataProto, float]:
        """One verified response a row, and the seconds that took."""
        started = time.perf_counter()
        # Request priorities name a request under full determinism: no two of a step may be equal.
        priority = np.arange(first_request, first_request + len(source), dtype=np.int64)
        asked = source.asked(priority, step.number, f"{purpose}:{first_request}")
        return self.async_rollout_manager.generate_sequences(asked), time.perf_counter() - started

    def _ask_corrections(self, replays: Replays, step: Step) -> tuple[Source, DataProto, float]:
        source = correction_source(replays.replays).repeat(self.settings.correction.rollouts)
        with step.timer("gen_correction"):
            return source, *self._ask(source, CORRECTION_REQUESTS, step, "correction")

    def _enter_corrections(self, source: Source, answers: DataProto, seconds: float, step: Step) -> Stream:
        return self._enter(answers, source, self.settings.correction.rollouts, seconds, step, "correction")

    def _enter(
        self, output: DataProto, source: Source, rollouts: int, seconds: float, step: Step, stream: str
    ) -> Stream:
        """Answers as a stream, entered into the step's books and the ledger."""
        timing = output.meta_info.pop("timing")
        prefix = "agent_loop" if stream == "base" else f"agent_loop_{stream}"
        step.timing |= {name.replace("agent_loop", prefix, 1): value for name, value in timing.items()}
        done = Stream(source.answered(output), rollouts, source, self.settings.verifier.correct_threshold)
        step.account(stream).enter(asked=len(source), generated=len(output), verified=verified(done))
        self.ledger.spend(stream, done.cost(seconds), done.problem_keys if stream != "correction" else ())
        if done.cached_tokens is not None:
            step.metrics[f"perf/prefix_cache_hit/{stream}"] = done.cached_tokens.sum() / done.prompt_tokens.sum()
        return done

    def _enter_streamed(
        self, streamed: StreamedStep, chosen: list[Replay], put_back: list[Replay], step: Step
    ) -> Stream | None:
        """The corrections of what is trained on; those of what this step has no place for are entered and left out."""
        replays, rollouts = [*chosen, *put_back], self.settings.correction.rollouts
        account = step.account("correction")
        account.enter(prompts=len(replays))
        account.leave(trimmed=len(put_back), recorded=len(put_back) * rollouts)
        if not replays:
            return None
        asked = correction_source(replays).repeat(rollouts)
        answers = streamed.corrections(self.async_rollout_manager)
        correction = self._enter(answers, asked, rollouts, streamed.tail_seconds, step, "correction")
        return correction.groups_at(np.arange(len(chosen))) if chosen else None

    @contextmanager
    def _engines_awake(self, step: Step) -> Iterator[None]:
        """Both generations happen in here; the engines sleep afterwards until the next weight sync."""
        if step.profile.active:
            self.llm_server_manager.start_profile()
        yield
        self.checkpoint_manager.sleep_replicas()
        if step.profile.active:
            self.llm_server_manager.stop_profile()

    def _replayable_groups(self, pool: Stream) -> list[PromptGroup]:
        """The pool's problems and attempts as selection reads them; a problem needs room for an attempt."""
        firsts = range(0, len(pool.rows), pool.rollouts)
        messages = pool.rows.non_tensor_batch["raw_prompt"]
        room = [self.prompt_builder.fits(list(messages[row]), int(pool.prompt_tokens[row])) for row in firsts]
        return prompt_groups(pool, np.array(room, dtype=bool), self.end_of_turn)

    def _rollout_metrics(self, base: Stream, correction: Stream | None, replays: Replays) -> dict[str, float]:
        metrics = stream_metrics("base", base.summary(self.end_of_turn))
        if correction is None:
            return metrics
        kept = ~correction.excluded
        chosen = replays.kept(kept)
        correct = correction.by_group(correction.correct)[kept]
        after = correction.by_group(np.array(correction.answers, dtype=object))[kept].tolist()
        return (
            metrics
            | stream_metrics("correction", correction.summary(self.end_of_turn))
            | transition_metrics(chosen.correct, correct)
            | constant_policy_metrics(chosen.correct, chosen.pass_rates, correct)
            | changed_share(chosen.answers, after)
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

    def _correction_advantages(
        self, joint: JointBatch, correction: Stream, replays: Replays, rewards: np.ndarray, step: Step
    ) -> None:
        """Overwrite the correction rows' advantages; ``rewards`` (N,) is R~ in natural order."""
        n_base = len(joint.base.rows)
        groups = CorrectionGroups(
            plain=correction.by_group(rewards[n_base:] + correction.risk),
            correct=correction.by_group(correction.correct),
            attempt_plain=replays.rewards(joint.base, rewards[:n_base]),
            attempt_correct=replays.correct,
        )
        result = correction_advantages(groups, self._advantage_rule)
        kept = ~correction.excluded
        step.metrics |= group_metrics("correction", result.zero_variance[kept], int((~kept).sum()))
        step.metrics["fail2fix/correction/advantage_max"] = result.largest(kept)
        step.metrics["fail2fix/risk/effect"] = risk_effect(groups.kept(kept), self._advantage_rule)
        batch = joint.rows.batch
        values = joint.laid_out(np.concatenate([np.zeros(n_base), result.values.ravel()]))
        ours = torch.from_numpy(values).float()[:, None] * batch["response_mask"]
        is_correction = torch.from_numpy(joint.streams == CORRECTION)[:, None]
        batch["advantages"] = torch.where(is_correction, ours, batch["advantages"])
        batch["returns"] = torch.where(is_correction, ours, batch["returns"])

    @property
    def _advantage_rule(self) -> AdvantageRule:
        advantage, risk = self.settings.advantage, self.settings.risk
        leave_one_out = self.config.algorithm.adv_estimator in LEAVE_ONE_OUT
        return AdvantageRule(advantage.scale, advantage.baseline, risk.penalty, risk.reward_scale, leave_one_out)

    def _rows_with_gradient(self, joint: JointBatch, step: Step) -> DataProto:
        """The batch without rows that the update would pass through the model for nothing."""
        batch, actor = joint.rows.batch, self.config.actor_rollout_ref.actor
        needed = (batch["response_mask"].sum(-1) > 0).numpy()
        proportional = actor.policy_loss.loss_mode in PROPORTIONAL_LOSSES
        if proportional and not actor.use_kl_loss and actor.entropy_coeff == 0.0:
            needed &= (batch["advantages"] != 0).any(-1).numpy()
        tokens = batch["attention_mask"].sum(-1).numpy()
        kept = np.arange(len(needed))
        if self.settings.skip_idle_rows and not needed.all():
            kept = rows_to_update(needed, joint.mini_batch, tokens.tolist(), self.split, balanced)
        step.metrics["fail2fix/update/skipped_rows"] = float(len(needed) - len(kept))
        step.metrics["fail2fix/update/skipped_token_share"] = float(1 - tokens[kept].sum() / tokens.sum())
        if len(kept) == len(needed):
            return joint.rows
        rows = joint.rows[kept]
        rows.meta_info = joint.rows.meta_info | {"global_token_num": tokens[kept].tolist()}
        return rows

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

    # ------------------------------------------------------------------------------------------- around training

    def before_training(self) -> None:
        """What the starting model writes: an offline pool, held-out attempts."""
        if self.settings.correction.enabled and not self.config.trainer.get("val_only", False):
            self.source.begin(self)
        if self.settings.held_out.enabled:
            self.held_out = load_held_out(self.config, self, self.prompt_builder, self._replayable_groups)

    @property
    def provenance(self) -> dict[str, object]:
        return provenance(self.config, self.tokenizer)

    def initial_rollouts(self, problems: int) -> Stream:
        """G rollouts each of ``problems`` training problems (``sources.StartingPolicy``)."""
        self._require_start("the offline pool")
        prompts = drawn_prompts(self.train_dataset, problems, self.settings.seed, INITIAL)
        return self._solve_uncharged(prompts, "offline")

    def charge(self, pool: Stream, seconds: float) -> None:
        """A pool costs the run that generates it and the run that finds it the same (``sources.StartingPolicy``)."""
        if INITIAL not in self.ledger.lines:
            self.ledger.spend(INITIAL, pool.cost(seconds), pool.problem_keys)
            self.ledger.seconds += seconds

    def held_out_problems(self, problems: int) -> list[Messages]:
        return [list(row) for row in first_prompts(self.val_dataset, problems).non_tensor_batch["raw_prompt"]]

    def held_out_rollouts(self, problems: int | None) -> Stream:
        """G rollouts each of the first validation problems; not a cost of training."""
        self._require_start("the file of held-out attempts")
        return self._solve_uncharged(first_prompts(self.val_dataset, problems), "held_out_attempts")

    def _solve_uncharged(self, prompts: DataProto, purpose: str) -> Stream:
        """G rollouts of each problem outside any step, which the ledger does not see."""
        spent = self.ledger
        self.ledger = Ledger()
        try:
            return self._solve(prompts, Step.outside(), purpose=purpose)
        finally:
            self.ledger = spent

    def _require_start(self, what: str) -> None:
        if self.global_steps > 0:
            raise RuntimeError(f"step {self.global_steps}: {what} is missing, and only the starting model can write it")

    def state_dict(self) -> dict[str, Any]:
        streams = self.settings.correction.enabled
        return {
            "ratio": self.ratio.state_dict(),
            "streaming": self.streaming.state_dict() if streams else None,
            "carried": len(self.streaming.carried) if streams else 0,
        }

    def save_files(self, checkpoint: Path) -> None:
        self.source.save(checkpoint)
        if self.settings.correction.enabled:
            self.streaming.carried.save(checkpoint / CARRIED_FILE)

    def load_state_dict(self, state: dict[str, Any], checkpoint: Path) -> None:
        self.ratio.load_state_dict(state["ratio"])
        if self.settings.correction.enabled:
            self.source.load(checkpoint)
            self.streaming.load_state_dict(state.get("streaming"))
            self.streaming.carried = Carried.load(checkpoint / CARRIED_FILE, self._replayable_groups, state["carried"])
