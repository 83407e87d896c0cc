"""verl behind names of ours. Every private name of verl that we call or override stands in this file.

Another version of verl, or its other trainer, needs another port with the same public names, and nothing else of ours
changes. ``TrainerPort`` is verl's trainer on the driver; ``EnginesPort`` and ``RequestsPort`` are its agent loop, which
asks the engines: the manager beside the trainer, and the workers. `compat` derives from this file what is checked at
start-up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayTaskError
from verl import DataProto
from verl.experimental.agent_loop.agent_loop import AgentLoopManager, AgentLoopOutput, AgentLoopWorker
from verl.trainer.ppo.ray_trainer import RayPPOTrainer
from verl.utils import tensordict_utils as tu
from verl.utils.py_functional import rename_dict
from verl.workers.utils.padding import left_right_2_no_padding

from fail2fix.verify.reward_errors import failed_under_verl
from fail2fix.verl_ext.prefix_engine import READ, TOKENS
from fail2fix.verl_ext.reward_extras import ROW_EXTRAS, Extras, extras_by_name

Summarize = Callable[[Extras], dict[str, Any]]


class TrainerPort(RayPPOTrainer):
    """verl's trainer: engines, workers, checkpoints, validation and dumps under public names."""

    # --------------------------------------------------------------------------------------------------- engines

    def request_half(self, prompts: DataProto) -> DataProto:
        """Take what the engines and the reward function get out of rows of the data set."""
        return self._get_gen_batch(prompts)

    def generate(self, request: DataProto) -> DataProto:
        """Generate and verify one response a row; timings under ``meta_info["timing"]``."""
        return self.async_rollout_manager.generate_sequences(request)

    def sleep_engines(self) -> None:
        """Free the engines' memory until the next weight sync."""
        self.checkpoint_manager.sleep_replicas()

    def profile_engines(self, on: bool) -> None:
        """Start or stop the engines' profilers."""
        if on:
            self.llm_server_manager.start_profile()
        else:
            self.llm_server_manager.stop_profile()

    def sync_weights(self) -> None:
        """Give the engines the policy's weights, and wake them."""
        self.checkpoint_manager.update_weights(self.global_steps)

    # --------------------------------------------------------------------------------------------------- workers

    def set_loss(self, loss: Callable[..., Any]) -> None:
        """Replace the loss of every worker that trains the policy."""
        self.actor_rollout_wg.set_loss_fn(loss)

    def data_parallel_ranks(self) -> int:
        return self._get_dp_size(self.actor_rollout_wg, "actor")

    def require_workers(self, timeout_s: float) -> None:
        """Raise unless all workers that hold weights answer within ``timeout_s`` seconds."""
        ray.get([worker.__ray_ready__.remote() for worker in self.actor_rollout_wg.workers], timeout=timeout_s)

    def old_log_probs(self, rows: DataProto) -> tuple[DataProto, float]:
        """log pi_old and entropies of every response token, (N, R), in nats; and the model FLOPs utilization."""
        return self._compute_old_log_prob(rows)

    def reference_log_probs(self, rows: DataProto) -> DataProto:
        """log pi_ref of every response token, (N, R), in nats."""
        return self._compute_ref_log_prob(rows)

    def update(self, rows: DataProto, mini_batches: int) -> dict[str, Any]:
        """Take ``mini_batches`` optimizer steps of any size an epoch; verl fixes their size to the base stream's.

        Rows without ``old_log_probs`` get entropies computed, too.

        Returns:
            The workers' metrics, each a list or a number.
        """
        actor, rollout = self.config.actor_rollout_ref.actor, self.config.actor_rollout_ref.rollout
        rows.meta_info |= {"multi_turn": rollout.multi_turn.enable, "temperature": rollout.temperature}
        data = left_right_2_no_padding(rows.to_tensordict())
        tu.assign_non_tensor(
            data,
            calculate_entropy=actor.calculate_entropy
            or actor.entropy_coeff != 0.0
            or "old_log_probs" not in rows.batch,
            distillation_use_topk=False,
            distillation_only=False,
            global_batch_size=len(rows) // mini_batches,
            num_mini_batch=mini_batches,
            epochs=actor.ppo_epochs,
            seed=actor.data_loader_seed,
            dataloader_kwargs={"shuffle": actor.shuffle},
            compute_loss=True,
        )
        metrics = tu.get(self.actor_rollout_wg.update_actor(data), "metrics")
        ours = {name: metrics.pop(name) for name in list(metrics) if name.startswith("fail2fix/")}
        metrics = rename_dict(metrics, "actor/")
        metrics["perf/mfu/actor"] = metrics.pop("actor/mfu")
        if READ in ours:
            metrics["perf/shared_token_share"] = 1 - float(np.sum(ours.pop(READ)) / np.sum(ours.pop(TOKENS)))
        return metrics | ours

    # ----------------------------------------------------------------------------------------------- checkpoints

    def save_weights(self) -> None:
        """Write verl's files of a checkpoint: weights, optimizer, data loader."""
        self._save_checkpoint()

    def load_weights(self) -> None:
        """Read verl's files as ``trainer.resume_mode`` says; ``global_steps`` is then the checkpoint's step."""
        self._load_checkpoint()

    @property
    def kl_coefficient(self) -> float | None:
        """Of KL in the reward, which an adaptive controller moves; verl does not save it. None without such KL."""
        return self.kl_ctrl_in_reward.value if self.config.algorithm.use_kl_in_reward else None

    @kl_coefficient.setter
    def kl_coefficient(self, value: float | None) -> None:
        if value is not None and self.config.algorithm.use_kl_in_reward:
            self.kl_ctrl_in_reward.value = value

    # ------------------------------------------------------------------------------------------------- profiling

    def switch_profilers(self, on: bool = False, off: bool = False, finish: bool = False) -> None:
        """Start or stop the workers' profilers; ``finish``: run the configured command after the last stop."""
        self._start_profiling(on)
        self._stop_profiling(off, run_command=finish)

    # -------------------------------------------------------------------------------------- validation and dumps

    def validate_solving(self) -> dict[str, Any]:
        """Run verl's validation: solve the validation set and summarize."""
        return self._validate()

    def summarize(self, uids: Sequence[str], extras: Extras, summary_of: Summarize) -> dict[str, Any]:
        """Summarize a validation; a hook.

        Args:
            uids: each row's problem.
            extras: rewards and reward extras, one list a name, None where a row has no value.
            summary_of: verl's own summary of the extras it is given.
        """
        return summary_of(extras)

    def dump_rollouts(self, rows: DataProto, extras: dict[str, Any], timing: dict[str, float], folder: str) -> None:
        """Write a step's rollouts as JSON lines, in the background."""
        self._log_rollout_data(rows, extras, timing, folder)

    def close_dumps(self) -> None:
        """Wait for the writer of dumps and end it."""
        self._shutdown_dump_executor()

    def flush_dumps(self) -> None:
        """Wait for the writer of dumps: what a checkpoint or a metrics line follows must be on disk before it."""
        self.close_dumps()
        self._init_dump_executor()

    def _val_metrics_update(
        self, data_sources: Any, sample_uids: Any, reward_extra_infos_dict: Any, sample_turns: Any
    ) -> Any:
        def verls(extras: Extras) -> dict[str, Any]:
            return super(TrainerPort, self)._val_metrics_update(data_sources, sample_uids, extras, sample_turns)

        return self.summarize(sample_uids, extras_by_name(reward_extra_infos_dict), verls)

    def _dump_generations(
        self, inputs: Any, outputs: Any, gts: Any, scores: Any, reward_extra_infos_dict: Any, dump_path: Any
    ) -> None:
        extras = extras_by_name(reward_extra_infos_dict)
        super()._dump_generations(inputs, outputs, gts, scores, extras, dump_path)


class EnginesPort(AgentLoopManager):
    """verl's manager of the agent loop, which spreads requests over workers."""

    def timings(self, outputs: Sequence[DataProto], output: DataProto) -> dict[str, float]:
        """Summarize the seconds of the workers' parts, and take them out of ``outputs``; ``output`` is their whole."""
        return self._performance_metrics([part.meta_info.pop("metrics") for part in outputs], output)


class RequestsPort(AgentLoopWorker):
    """verl's worker of the agent loop, one asyncio task a row, with two hooks."""

    def prepare_request(self, sampling_params: dict[str, Any], step: Any, row: dict[str, Any]) -> None:
        """Change a row's sampling parameters and fields in place before it is asked for; a hook."""

    def take_extras(self, rows: Sequence[AgentLoopOutput]) -> dict[str, Any]:
        """Take the rows' reward extras, so that rows may differ in them, and return them as columns; a hook."""
        raise NotImplementedError

    async def _run_agent_loop(
        self, sampling_params: dict[str, Any], trajectory: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        self.prepare_request(sampling_params, trajectory["step"], kwargs)
        return await super()._run_agent_loop(sampling_params, trajectory, *args, **kwargs)

    async def _compute_score(self, outputs: list[AgentLoopOutput], kwargs: dict[str, Any]) -> None:
        try:
            await super()._compute_score(outputs, kwargs)
        except RayTaskError as error:
            # An error in the reward function's code is the user's to correct, under verl's own managers too.
            if told := failed_under_verl(self.config, error):
                raise told from error
            raise

    def _postprocess(self, inputs: list[Any], *args: Any, **kwargs: Any) -> DataProto:
        columns = self.take_extras(inputs)
        output = super()._postprocess(inputs, *args, **kwargs)
        output.non_tensor_batch |= columns
        if "reward_extra_keys" in output.meta_info:
            output.meta_info["reward_extra_keys"] = [name for name in columns if name != ROW_EXTRAS]
        return output
