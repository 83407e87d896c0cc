"""Let vLLM inspect the classes of the check's models, which it does in a process of its own before its first engine.

    VLLM_CACHE_ROOT=FOLDER python inspect_models.py     writes FOLDER/modelinfos/*.json, which engines read

Run beside the first checks, it takes that time off the first engine's start. Imports vLLM; uses no GPU.
"""

from __future__ import annotations

from vllm.model_executor.models.registry import ModelRegistry

for name in ("LlamaForCausalLM", "Qwen2ForCausalLM"):
    ModelRegistry.models[name].inspect_model_cls()
