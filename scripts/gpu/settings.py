"""Sizes, limits and overrides of the GPU check, on a GPU and on a CPU. Data only."""

from __future__ import annotations

import os
from dataclasses import dataclass

TURNS = ("plain", "online", "lagged")  # of a round: plain GRPO with as many rollouts, and two sources of attempts
CONFIGS = ("cipo", "grpo_bs256")


@dataclass(frozen=True)
class Sizes:
    """Sizes of the check; lengths in tokens, limits in seconds.

    Attributes:
        rounds: rounds of TURNS; the first does not count, the last has the other seeding.
        start_s: a training without a first step after this time has failed.
        engine_s: enough to start an engine and take a step; learning leaves it for resume, main's try for another.
        seeds: of the learning item; each is a training of every config.
        steps, tested: of a learning run, and between its validations.
        prefixes: options of the benchmark of shared starts.
    """

    rounds: int
    problems: int
    rollouts: int
    mean: int
    cap: int
    layers: int
    tokens_per_gpu: int
    seeds: int
    steps: int
    tested: int
    prepare_s: float
    probe_s: float
    lambda_zero_s: float
    start_s: float
    engine_s: float
    main_s: float
    learning_s: float
    resume_s: float
    prefixes_s: float
    prefixes: tuple[str, ...]


ON_GPU = Sizes(
    rounds=5, problems=16, rollouts=8, mean=96, cap=384, layers=24, tokens_per_gpu=8192, seeds=2, steps=60, tested=10,
    prepare_s=900, probe_s=60, lambda_zero_s=150, start_s=210, engine_s=100, main_s=330, learning_s=260,
    resume_s=120, prefixes_s=120, prefixes=("--cases", "a", "a_plain", "b", "b_two", "b_plain", "c"),
)  # fmt: skip
ON_CPU = Sizes(
    rounds=3, problems=4, rollouts=4, mean=12, cap=32, layers=2, tokens_per_gpu=1024, seeds=1, steps=2, tested=2,
    prepare_s=600, probe_s=60, lambda_zero_s=600, start_s=600, engine_s=200, main_s=900, learning_s=900,
    resume_s=500, prefixes_s=300,
    prefixes=("--cases", "a", "--repeats", "1", "--layers", "1", "--vocabulary", "256"),
)  # fmt: skip

GPU = (
    "trainer.nnodes=1", "trainer.n_gpus_per_node=1",
    "actor_rollout_ref.model.enable_gradient_checkpointing=false", "actor_rollout_ref.actor.use_torch_compile=false",
    "actor_rollout_ref.rollout.agent.num_workers=2", "reward.num_workers=2", "data.dataloader_num_workers=0",
    "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes=512",
    f"++ray_kwargs.ray_init.num_cpus={max(5, os.cpu_count() or 5)}", "++ray_kwargs.ray_init.num_gpus=1",
    "++ray_kwargs.ray_init.include_dashboard=false", "++ray_kwargs.ray_init.object_store_memory=2000000000",
)  # fmt: skip
# Packed rows and dynamic batch sizes, as on a GPU.
CPU = ("device=cpu_fp32", "actor_rollout_ref.model.use_remove_padding=true",
       "actor_rollout_ref.actor.use_dynamic_bsz=true")  # fmt: skip

GRAPHS = "actor_rollout_ref.rollout.cudagraph_capture_sizes=[1,2,4,8,16,32,64,96,128,192,256]"

# One device for several trainings at once: each engine has a fixed share of its memory.
SHARED_DEVICE = ("++actor_rollout_ref.rollout.engine_kwargs.vllm.kv_cache_memory_bytes=1000000000",
                 "actor_rollout_ref.rollout.gpu_memory_utilization=0.1")  # fmt: skip

VARIABLES = {
    "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false", "VLLM_NO_USAGE_STATS": "1",
    "RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_DOCKER_CPU_WARNING": "1", "VLLM_USE_FLASHINFER_SAMPLER": "0",
}  # fmt: skip
# The archive's machine has no network: addresses are its own, and nothing asks a hub.
CARRIED = {
    "HF_HUB_OFFLINE": "1", "VLLM_HOST_IP": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo",
    # Such a machine's memory grows as it is used: Ray would see it nearly full and kill workers.
    "RAY_memory_monitor_refresh_ms": "0", "RAY_AUTH_MODE": "disabled",
}  # fmt: skip
