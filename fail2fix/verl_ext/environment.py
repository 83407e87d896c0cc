"""Set the environment variables of a CPU run, before torch, Ray or vLLM are imported. Ray's workers inherit them."""

from __future__ import annotations

import os

DEFAULTS = {
    # verl keeps its FSDP engines under the key "cuda"; this only selects the registry entry.
    "VERL_ENGINE_DEVICE": "cuda",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    # "auto" pins every replica to the same cores.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": str(os.cpu_count() or 1),
    # Trainer and engine alternate on the same cores: long spinning of idle threads starves the other process, no
    # spinning costs a wake-up in every operator.
    "GOMP_SPINCOUNT": "20000",
    # Every micro-batch allocates logits of a whole vocabulary: huge pages fault in several times faster.
    "THP_MEM_ALLOC_ENABLE": "1",
    # oneDNN keeps a kernel for each shape of a matrix product; the default, 1,024, takes 300 MB for a tiny model.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128",
    "TORCHDYNAMO_DISABLE": "1",
    "RAY_AUTH_MODE": "disabled",
    "RAY_memory_monitor_refresh_ms": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_LOGGING_LEVEL": "WARNING",
}


def set_defaults() -> None:
    """Set the defaults of variables that the user has not set, if this is a CPU run."""
    if os.environ.get("VERL_PLATFORM") == "cpu":
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
