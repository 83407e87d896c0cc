"""Save the trained policy from a checkpoint's tensors: LoRA adapters merged by PEFT, tied embeddings as they are.

Every tensor of the checkpoint must have its place in the model and the other way round, so nothing is dropped.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from peft import LoraConfig, PeftConfig, get_peft_model
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedModel

from fail2fix.export.run import MODEL, TrainingRun
from fail2fix.export.shards import State
from fail2fix.method.errors import InputError, reading

PREFIX = "base_model.model."
_ADAPTER = re.compile(re.escape(PREFIX) + r"(.+?)\.lora_")
LORA_META = "lora_train_meta.json"


def save_policy(
    state: State, actor: Path, folder: Path, run: TrainingRun | None, dtype: str | None, trust_remote_code: bool
) -> str:
    """Write the policy to `folder`, in `dtype` (None: the checkpoint's own); return a description of its weights.

    Raises:
        InputError: the tensors do not fit the checkpoint's config.json, or a LoRA adapter's settings or base model
            cannot be known.
        OSError: it could not be written.
    """
    adapter = _adapter_config(state, actor, run)
    model = _trained_model(state, adapter, actor, run, dtype and getattr(torch, dtype), trust_remote_code)
    kind = "all weights trained"
    if adapter is not None:
        kind = f"LoRA adapter of rank {adapter.r} and alpha {adapter.lora_alpha}, merged"
    try:
        model.save_pretrained(folder)
    except SafetensorError as error:  # a full disk, as the Rust side words it
        raise OSError(str(error)) from error
    return f"{kind}, {model.num_parameters():,} parameters in {str(model.dtype).removeprefix('torch.')}"


def _trained_model(
    state: State,
    adapter: LoraConfig | None,
    actor: Path,
    run: TrainingRun | None,
    dtype: torch.dtype | None,
    trust_remote_code: bool,
) -> PreTrainedModel:
    """The policy that a checkpoint holds, adapter merged."""
    stored = {tensor.dtype for tensor in state.values() if tensor.is_floating_point()}
    if not stored:
        raise InputError(f"{actor}: its model files hold no weights: the checkpoint is incomplete")
    dtype = dtype or max(stored, key=lambda each: each.itemsize)
    if adapter is None:
        model = _empty_model(actor, trust_remote_code)
        tied = _ties_embeddings(model)
        _fill(model, model, state, actor)
    else:
        # In bf16 the sum of each weight and its change would be rounded twice.
        state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
        only_adapter = all(".lora_" in name for name in state)
        base = _base_model(actor, run, trust_remote_code) if only_adapter else _empty_model(actor, trust_remote_code)
        tied = _ties_embeddings(base)
        with warnings.catch_warnings():  # PEFT warns of tied embeddings, which are taken care of here
            warnings.simplefilter("ignore")
            model = _merged(base, adapter, state, actor, only_adapter)
    if tied:
        _tie_equal_embeddings(model)
    return model.to(dtype)  # type: ignore[arg-type]


def _adapter_config(state: State, actor: Path, run: TrainingRun | None) -> LoraConfig | None:
    """The adapter in a state dict; None where it has none.

    verl saves rank and alpha. All other settings are its defaults, unless training started from a user's adapter.
    """
    names = [name for name in state if ".lora_" in name]
    if not names:
        return None
    if run is not None and (adapter := OmegaConf.select(run.config, f"{MODEL}.lora_adapter_path")) is not None:
        return _users_adapter(adapter)
    if not (actor / LORA_META).exists():
        raise InputError(
            f"{actor}: holds a LoRA adapter without {LORA_META}, so its scale (alpha) is unknown: copy that file from "
            "the run"
        )
    with reading(f"{actor}: {LORA_META} is damaged", hint="copy it from the run again"):
        alpha = int(json.loads((actor / LORA_META).read_text())["lora_alpha"])
    ranks = {state[name].shape[0] for name in names if re.search(r"\.lora_(embedding_)?A\.", name)}
    if len(ranks) != 1:
        raise InputError(f"{actor}: holds a LoRA adapter of ranks {sorted(ranks)}: name the run's folder with --run")
    modules = sorted({match[1] for name in names if (match := _ADAPTER.match(name))})
    return LoraConfig(r=ranks.pop(), lora_alpha=alpha, target_modules=modules, task_type="CAUSAL_LM")


def _users_adapter(path: str) -> LoraConfig:
    key = f"{MODEL}.lora_adapter_path={path}"
    # Any exception: PEFT and the hub have one each for gone, offline, malformed.
    with reading(f"{key}: training started from this adapter, and its adapter_config.json is gone", Exception):
        config = PeftConfig.from_pretrained(path)
    if not isinstance(config, LoraConfig):
        raise InputError(f"{key}: is of type {config.peft_type}; only LoRA adapters can be exported")
    config.inference_mode = False
    return config


def _merged(
    base: PreTrainedModel, adapter: LoraConfig, state: State, actor: Path, only_adapter: bool
) -> PreTrainedModel:
    """The base model plus the adapter."""
    with reading(f"{actor}: its LoRA adapter does not fit huggingface/config.json", ValueError):
        model = get_peft_model(base, adapter)
    _fill(model, base, state, actor, only_adapter=only_adapter)
    if _ties_embeddings(base):  # an adapter of one of the two must not change the other
        head = _layer(base.get_output_embeddings())
        head.weight = torch.nn.Parameter(head.weight.clone(), requires_grad=False)
    return model.merge_and_unload()  # type: ignore[no-any-return,operator]


def _empty_model(actor: Path, trust_remote_code: bool) -> PreTrainedModel:
    """The model of the checkpoint's config, without memory for its weights."""
    folder = actor / "huggingface"
    code = "" if trust_remote_code else "; a model with its own code needs --trust-remote-code"
    # Any exception: transformers and a model's own code may raise anything.
    with reading(f"{folder}: its config.json cannot be used{code}", Exception), torch.device("meta"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        return _auto_class(config).from_config(config, trust_remote_code=trust_remote_code)


def _base_model(actor: Path, run: TrainingRun | None, trust_remote_code: bool) -> PreTrainedModel:
    """The starting model, for a checkpoint that holds the adapter alone (verl's save_lora_only)."""
    only_adapter = f"{actor}: holds the adapter alone, and the base model is needed too"
    path = None if run is None else OmegaConf.select(run.config, f"{MODEL}.path")
    if path is None:
        raise InputError(f"{only_adapter}: name the run's folder with --run")
    # Any exception: the hub's client and transformers have one for each cause.
    with reading(f"{only_adapter}: {path} cannot be loaded", Exception):
        kind = _auto_class(AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code))
        return kind.from_pretrained(path, dtype=torch.float32, trust_remote_code=trust_remote_code)


def _auto_class(config: Any) -> Any:
    seeing = any("ForConditionalGeneration" in name for name in config.architectures or [])
    return AutoModelForImageTextToText if seeing else AutoModelForCausalLM


def _fill(
    model: torch.nn.Module, base: PreTrainedModel, state: State, actor: Path, *, only_adapter: bool = False
) -> None:
    """Give the model the checkpoint's tensors; tied names that were saved once get the other one's."""
    result = model.load_state_dict(state, strict=False, assign=True)
    lost = [name for name in result.missing_keys if not only_adapter or ".lora_" in name]
    if _ties_embeddings(base):
        embedding, head = _layer(base.get_input_embeddings()), _layer(base.get_output_embeddings())
        for empty, full in ((head, embedding), (embedding, head)):
            if empty.weight.is_meta and not full.weight.is_meta:
                empty.weight = full.weight
        filled = {name for name, each in model.named_parameters(remove_duplicate=False) if not each.is_meta}
        lost = [name for name in lost if name not in filled]
    for fault, names in (("lacks", lost), ("has besides", result.unexpected_keys)):
        if names:
            raise InputError(
                f"{actor}: does not fit its huggingface/config.json: {fault} {_some(names)}; plain models and LoRA "
                "adapters can be exported"
            )


def _tie_equal_embeddings(model: PreTrainedModel) -> None:
    """Share embedding and head where they are equal; say in the config whether they are."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = torch.equal(embedding.weight, head.weight)
    if tied:
        head.weight = embedding.weight
    # PEFT's merging says of any two tensors that they are not tied.
    model.config.get_text_config().tie_word_embeddings = model.config.tie_word_embeddings = tied


def _ties_embeddings(model: PreTrainedModel) -> bool:
    return bool(model.config.get_text_config().tie_word_embeddings) and model.get_output_embeddings() is not None


def _layer(module: torch.nn.Module) -> torch.nn.Module:
    """The layer itself where an adapter wraps it."""
    return getattr(module, "base_layer", module)


def _some(names: Iterable[str]) -> str:
    first, *rest = names
    return first + (f" and {len(rest)} more" if rest else "")
