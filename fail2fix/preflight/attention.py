"""Check attention with and without flash-attn, and verl's fused kernels: what runs, is slow, or would fail.

flash-attn is faster and optional: no lock file can pin it, because it is built for one torch and CUDA. Without it
attention is sdpa, and log-probabilities come from ``fail2fix.verl_ext.log_probs``.

| attention | packed rows (use_remove_padding) | padded rows |
|---|---|---|
| flash_attention_2 | runs if flash-attn is installed | the same |
| sdpa | runs; warning of quadratic cost | runs |
| eager | runs; warning of quadratic cost and memory for every head | runs |

| use_fused_kernels | tied embeddings | untied |
|---|---|---|
| false | runs | runs |
| true, fsdp2 | runs, equal to false in fp32 | refused: verl multiplies by a head that FSDP2 has not gathered |
| true, fsdp | runs by verl's sources | runs by verl's sources: FSDP1 gathers the head with the root |

tests/gradient/test_attention_cells.py runs verl's engine in every cell that a CPU can: not flash_attention_2, not fsdp.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from omegaconf import DictConfig, OmegaConf
from transformers import AutoModelForCausalLM

from fail2fix.method.errors import InputError
from fail2fix.run.step_sizes import sequence_parallel

KEY = "actor_rollout_ref.model.override_config.attn_implementation"
FUSED = "actor_rollout_ref.model.use_fused_kernels"
FLASH, SDPA, EAGER = "flash_attention_2", "sdpa", "eager"
MASK_BYTES = 3  # a pair of tokens: transformers' mask of one byte, torch's of two (bf16), which the backward pass keeps
INSTALL = "pip install flash-attn==2.8.3 --no-build-isolation"


def settle_attention(config: DictConfig) -> None:
    """Set sdpa if the user set nothing and flash-attn, verl's default, is not installed.

    Sequences that devices share need flash attention, so sdpa is not set then.
    """
    if not _has_flash_attention() and not _is_set(config) and sequence_parallel(config) == 1:
        OmegaConf.update(config, KEY, SDPA, force_add=True)


def check_attention(config: DictConfig, model_config: Any) -> list[str]:
    """Refuse an attention or a kernel that cannot run with this model; return a warning of a slow one.

    Args:
        model_config: the model's own, of transformers.

    Raises:
        InputError: the key, and what to do.
    """
    model = config.actor_rollout_ref.model
    # An explicit null leaves the choice to transformers.
    wanted = (model.override_config.attn_implementation or "") if _is_set(config) else FLASH
    if wanted.startswith("flash_attention") and not _has_flash_attention():
        shared = "actor_rollout_ref.actor.ulysses_sequence_parallel_size=1, which needs no flash attention"
        remedy = shared if sequence_parallel(config) > 1 else f"remove the key: attention is then {SDPA}"
        raise InputError(f"{KEY}={wanted}: flash-attn is not installed; {remedy}; or install it: {INSTALL}")
    # transformers refuses sdpa for a few architectures, once the workers have started. None: a model's own code.
    architecture = AutoModelForCausalLM._model_mapping.get(type(model_config), None)
    if wanted == SDPA and architecture is not None and not getattr(architecture, "_supports_sdpa", True):
        raise InputError(
            f"{KEY}={SDPA}: {architecture.__name__} has no sdpa attention in transformers; set it to {EAGER}, or "
            f"install flash-attn: {INSTALL}"
        )
    _check_fused(config, model_config)
    return _quadratic_cost(config, wanted)


def dry_run_note(config: DictConfig) -> list[str]:
    """The attention that a run on this machine would use, if the config does not set one."""
    if _is_set(config):
        return []
    return [f"flash-attn ({'present' if _has_flash_attention() else 'not here: a run here uses sdpa'})"]


def _has_flash_attention() -> bool:
    spec = importlib.util.find_spec("flash_attn")
    return spec is not None and spec.origin is not None  # flash-attn 4 leaves a folder of this name without a module


def _is_set(config: DictConfig) -> bool:
    return "attn_implementation" in (config.actor_rollout_ref.model.get("override_config") or {})


def _check_fused(config: DictConfig, model_config: Any) -> None:
    model, strategies = config.actor_rollout_ref.model, [config.actor_rollout_ref[w].strategy for w in ("actor", "ref")]
    overrides = model.get("override_config") or {}
    tied = overrides.get("tie_word_embeddings", getattr(model_config, "tie_word_embeddings", False))
    if model.get("use_fused_kernels") and "fsdp2" in strategies and not tied:
        raise InputError(
            f"{FUSED}=true: {model.path} has its own output head (tie_word_embeddings=false), and verl's fused "
            f"kernels fail on a head sharded by fsdp2; set it to false"
        )


def _quadratic_cost(config: DictConfig, wanted: str) -> list[str]:
    """The warning for packed rows separated by a mask: the kernel computes every pair of a micro-batch's tokens.

    Flash attention computes half of each row's square, so T tokens in rows of at most L cost 2 T / L times as much.
    """
    model, actor = config.actor_rollout_ref.model, config.actor_rollout_ref.actor
    if wanted not in (SDPA, EAGER) or not model.get("use_remove_padding"):
        return []
    line = f"{KEY}={wanted}{'' if _has_flash_attention() else ' (flash-attn is not installed)'}: attention computes "
    line += "every pair of a packed micro-batch's tokens"
    if wanted == EAGER:
        line += f" and keeps them for every head; {SDPA} keeps one mask for all"
    longest = config.actor_rollout_ref.rollout.prompt_length + config.actor_rollout_ref.rollout.response_length
    tokens = actor.ppo_max_token_len_per_gpu
    if actor.use_dynamic_bsz and tokens > longest:
        line += (
            f", {2 * tokens / longest:.1f} times flash attention's work or more, under a mask of "
            f"{MASK_BYTES * tokens**2 / 2**30:.2f} GiB for each layer whose activations are kept; "
            f"actor_rollout_ref.actor.ppo_max_token_len_per_gpu={tokens} can be as low as the longest row, {longest}"
        )
    return [line]
