"""The verl seams we stand on, checked at start-up so that another version ends in one clear line.

Each seam is a name and the parameters we pass or read; the contract tests check the same list.
"""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fail2fix.method.errors import InputError

SUPPORTED_VERL = "0.9.1"

TRAINER = "verl.trainer.ppo.ray_trainer.RayPPOTrainer"
METRICS = "verl.trainer.ppo.metric_utils"
AGENT_LOOP = "verl.experimental.agent_loop.agent_loop"
SEAMS: dict[str, tuple[str, ...]] = {
    f"{TRAINER}.init_workers": ("self",),
    f"{TRAINER}._get_gen_batch": ("self", "batch"),
    f"{TRAINER}._compute_old_log_prob": ("self", "batch"),
    f"{TRAINER}._compute_ref_log_prob": ("self", "batch"),
    f"{TRAINER}._update_actor": ("self", "batch"),
    f"{TRAINER}._validate": ("self", "merged"),
    f"{TRAINER}._val_metrics_update": (
        "self",
        "data_sources",
        "sample_uids",
        "reward_extra_infos_dict",
        "sample_turns",
    ),
    f"{TRAINER}._dump_generations": (
        "self",
        "inputs",
        "outputs",
        "gts",
        "scores",
        "reward_extra_infos_dict",
        "dump_path",
    ),
    f"{TRAINER}._save_checkpoint": ("self",),
    f"{TRAINER}._load_checkpoint": ("self",),
    f"{TRAINER}._log_rollout_data": (
        "self",
        "batch",
        "reward_extra_infos_dict",
        "timing_raw",
        "rollout_data_dir",
    ),
    f"{TRAINER}._get_dp_size": ("self", "worker_group", "role"),
    f"{TRAINER}._start_profiling": ("self", "do_profile"),
    f"{TRAINER}._stop_profiling": ("self", "do_profile", "run_command"),
    f"{TRAINER}._init_dump_executor": ("self",),
    f"{TRAINER}._shutdown_dump_executor": ("self",),
    "verl.trainer.ppo.ray_trainer.compute_advantage": ("data", "adv_estimator", "num_repeat", "config"),
    "verl.trainer.ppo.ray_trainer.apply_kl_penalty": ("data", "kl_ctrl", "kl_penalty"),
    "verl.trainer.ppo.reward.extract_reward": ("batch",),
    f"{METRICS}.compute_data_metrics": ("batch", "use_critic"),
    f"{METRICS}.compute_timing_metrics": ("batch", "timing_raw"),
    f"{METRICS}.compute_throughout_metrics": ("batch", "timing_raw", "n_gpus"),
    f"{METRICS}.compute_variance_proxy_metrics": ("batch", "gradient_norm"),
    "verl.trainer.ppo.rollout_corr_helper.apply_bypass_mode": (
        "batch",
        "rollout_corr_config",
        "policy_loss_config",
    ),
    "verl.trainer.ppo.rollout_corr_helper.compute_rollout_correction_and_add_to_batch": (
        "batch",
        "rollout_corr_config",
    ),
    "verl.utils.debug.metrics.calculate_debug_metrics": ("data",),
    "verl.utils.checkpoint.checkpoint_manager.should_save_ckpt_esi": ("max_steps_duration", "redundant_time"),
    "verl.checkpoint_engine.CheckpointEngineManager.sleep_replicas": ("self",),
    "verl.checkpoint_engine.CheckpointEngineManager.update_weights": ("self", "global_steps"),
    "verl.trainer.main_ppo.run_ppo": ("config", "task_runner_class"),
    "verl.trainer.main_ppo_v0.BaseTaskRunner.init_resource_pool_mgr": ("self", "config"),
    "verl.workers.engine_workers.ActorRolloutRefWorker.set_loss_fn": ("self", "loss_fn"),
    "verl.workers.engine_workers.ActorRolloutRefWorker.update_actor": ("self", "data"),
    "verl.workers.engine_workers.TrainingWorker.train_mini_batch": ("self", "data"),
    "verl.workers.rollout.llm_server.LLMServerManager.start_profile": ("self",),
    "verl.workers.rollout.llm_server.LLMServerManager.stop_profile": ("self",),
    "verl.utils.torch_functional.logprobs_from_logits_v2": ("logits", "labels"),
    "verl.workers.utils.losses.ppo_loss": ("config", "model_output", "data", "dp_group"),
    "verl.workers.utils.padding.left_right_2_no_padding": ("data",),
    f"{AGENT_LOOP}.AgentLoopManager.generate_sequences": ("self", "prompts"),
    f"{AGENT_LOOP}.AgentLoopManager._performance_metrics": ("self", "metrics", "output"),
    f"{AGENT_LOOP}.AgentLoopWorker.generate_sequences": ("self", "batch"),
    f"{AGENT_LOOP}.AgentLoopWorker._run_agent_loop": ("self", "sampling_params", "trajectory"),
    f"{AGENT_LOOP}.AgentLoopWorker._compute_score": ("self", "outputs", "kwargs"),
    f"{AGENT_LOOP}.AgentLoopWorker._postprocess": ("self", "inputs", "input_non_tensor_batch", "validate"),
    f"{AGENT_LOOP}.AgentLoopBase.ct_build_initial_tokens": ("self", "messages"),
    "verl.experimental.agent_loop.single_turn_agent_loop.SingleTurnAgentLoop.run": (
        "self",
        "sampling_params",
    ),
    "verl.experimental.reward_loop.reward_manager.naive.NaiveRewardManager.run_single": ("self", "data"),
}


def check_verl() -> None:
    """Refuse another verl, or one whose seams differ.

    Raises:
        InputError: naming the version found, or the seam.
    """
    try:
        found = version("verl")
    except PackageNotFoundError:
        raise InputError(f"verl is not installed; install verl=={SUPPORTED_VERL}") from None
    if found != SUPPORTED_VERL:
        raise InputError(f"verl {found} is installed; this recipe supports verl=={SUPPORTED_VERL} only")
    broken = [problem for name, parameters in SEAMS.items() if (problem := seam_problem(name, parameters))]
    if broken:
        raise InputError(f"verl {found} differs from the released one: {'; '.join(broken)}")


def seam_problem(name: str, parameters: tuple[str, ...]) -> str:
    """What is wrong with a seam; empty if nothing is."""
    found = _resolve(name)
    if found is None:
        return f"{name} is missing"
    try:
        has = list(inspect.signature(inspect.unwrap(found)).parameters)
    except (TypeError, ValueError):
        return f"{name} is not callable"
    lacking = [parameter for parameter in parameters if parameter not in has]
    return f"{name} lacks {', '.join(lacking)}" if lacking else ""


def _resolve(name: str) -> Any:
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[cut:]:
            found = getattr(found, attribute, None)
        return found
    return None
