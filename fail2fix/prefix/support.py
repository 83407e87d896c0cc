"""Which models and settings are read as a prefix tree, and why others are not."""

from __future__ import annotations

from transformers import PretrainedConfig

from fail2fix.prefix.attention import MASKS

FAMILIES = ("llama", "qwen2", "qwen3")
"""Model types whose every layer is full causal attention over the given mask, and whose head is one matrix."""
ANY_LENGTH = ("default", "linear", "llama3", "yarn")
"""Kinds of positions in which a token's rotation does not depend on the longest row beside it."""


def unsupported_model(config: PretrainedConfig) -> str:
    """Why a model does not share prefixes; empty if it does.

    A model of experts would route and count a shared token once, one with a sliding window or of other kinds builds
    masks of its own.
    """
    attention = config._attn_implementation
    positions = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if config.model_type not in FAMILIES:
        return f"the model is of type {config.model_type}; supported are {', '.join(FAMILIES)}"
    if set(getattr(config, "layer_types", None) or ["full_attention"]) != {"full_attention"}:
        return "some layers have a sliding window"
    if positions not in ANY_LENGTH:
        return f"positions of kind {positions} depend on the longest row"
    if getattr(config, "attention_dropout", 0.0):
        return f"attention_dropout={config.attention_dropout} drops what each row sees by itself"
    if attention not in MASKS:
        return f"attention is {attention}; set actor_rollout_ref.model.override_config.attn_implementation=sdpa"
    return ""
