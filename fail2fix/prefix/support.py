"""Which models and settings are read as a prefix tree, and why others are not."""

from __future__ import annotations

from transformers import PretrainedConfig

from fail2fix.prefix.attention import MASKS

FAMILIES = ("llama", "qwen2", "qwen3")
"""Model types whose every layer is full causal attention over the given mask, and whose forward takes the places of
logits (``logits_to_keep``)."""


def unsupported_model(config: PretrainedConfig) -> str:
    """Why a model does not share prefixes; empty if it does.

    A model of experts would route and count a shared token once, one with a sliding window or of other kinds builds
    masks of its own.
    """
    attention = config._attn_implementation
    if config.model_type not in FAMILIES:
        return f"the model is of type {config.model_type}; supported are {', '.join(FAMILIES)}"
    if set(getattr(config, "layer_types", None) or ["full_attention"]) != {"full_attention"}:
        return "some layers have a sliding window"
    if attention not in MASKS:
        return f"attention is {attention}; set actor_rollout_ref.model.override_config.attn_implementation=sdpa"
    return ""
