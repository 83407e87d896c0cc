"""Save the trained policy from a checkpoint's tensors: LoRA adapters merged by PEFT, tied embeddings as they are.

Every tensor of the checkpoint must have its place in the model and the other way round, so nothing is dropped.
"""

import json
import re
import warnings
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's tensors, its `actor` folder, and the run that wrote it (None: unknown)."""

    state: State
    actor: Path
    run: TrainingRun | None
    trust_remote_code: bool

    @property
    def adapter_names(self) -> list[str]:
        return [name for name in self.state if ".lora_" in name]

    def setting(self, name: str) -> Any:
        """A value of the run's section `actor_rollout_ref.model`; None if it is not known."""
        return None if self.run is None else OmegaConf.select(self.run.config, f"{MODEL}.{name}")


def save_policy(checkpoint: Checkpoint, folder: Path, dtype: str | None) -> str:
    """Write the policy to `folder`, in `dtype` (None: the checkpoint's own); return a description of its weights.

    Raises:
        InputError: the tensors do not fit the checkpoint's config.json, or a LoRA adapter's settings or base model
            cannot be known.
        OSError: it could not be written.
    """
    state = checkpoint.state
    stored = {tensor.dtype for tensor in state.values() if tensor.is_floating_point()}
    if not stored:
        raise InputError(f"{checkpoint.actor}: its model files hold no weights: the checkpoint is incomplete")
    adapter = _adapter_config(checkpoint)
    if adapter is None:
        kind, model = "all weights trained", _empty_model(checkpoint)
        tied = _ties_embeddings(model)
        _fill(model, model, checkpoint)
    else:
        kind = f"LoRA adapter of rank {adapter.r} and alpha {adapter.lora_alpha}, merged"
        # In bf16 the sum of each weight and its change would be rounded twice.
        whole = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
        base = _base_model(checkpoint) if len(checkpoint.adapter_names) == len(state) else _empty_model(checkpoint)
        tied = _ties_embeddings(base)
        model = _merged(base, adapter, replace(checkpoint, state=whole))
    if tied:
        _tie_equal_embeddings(model)
    model = model.to(getattr(torch, dtype) if dtype else max(stored, key=lambda each: each.itemsize))
    try:
        model.save_pretrained(folder)
    except SafetensorError as error:  # a full disk, as the Rust side words it
        raise OSError(str(error)) from error
    return f"{kind}, {model.num_parameters():,} parameters in {str(model.dtype).removeprefix('torch.')}"


def _adapter_config(checkpoint: Checkpoint) -> LoraConfig | None:
    """The adapter in a checkpoint; None where it has none.

    verl saves rank and alpha. All other settings are its defaults, unless training started from a user's adapter.
    """
    actor, names = checkpoint.actor, checkpoint.adapter_names
    if not names:
        return None
    if path := checkpoint.setting("lora_adapter_path"):
        key = f"{MODEL}.lora_adapter_path={path}"
        # Any exception: PEFT and the hub have one each for gone, offline, malformed.
        with reading(f"{key}: training started from this adapter, and its adapter_config.json is gone", Exception):
            config = PeftConfig.from_pretrained(path)
        if not isinstance(config, LoraConfig):
            raise InputError(f"{key}: is of type {config.peft_type}; only LoRA adapters can be exported")
        config.inference_mode = False
        return config
    if not (actor / LORA_META).exists():
        raise InputError(
            f"{actor}: holds a LoRA adapter without {LORA_META}, so its scale (alpha) is unknown: copy that file from "
            "the run"
        )
    with reading(f"{actor}: {LORA_META} is damaged", hint="copy it from the run again"):
        alpha = int(json.loads((actor / LORA_META).read_text())["lora_alpha"])
    ranks = {checkpoint.state[name].shape[0] for name in names if re.search(r"\.lora_(embedding_)?A\.", name)}
    if len(ranks) != 1:
        raise InputError(f"{actor}: holds a LoRA adapter of ranks {sorted(ranks)}: name the run's folder with --run")
    modules = sorted({match[1] for name in names if (match := _ADAPTER.match(name))})
    return LoraConfig(r=ranks.pop(), lora_alpha=alpha, target_modules=modules, task_type="CAUSAL_LM")


def _merged(base: PreTrainedModel, adapter: LoraConfig, checkpoint: Checkpoint) -> PreTrainedModel:
    """The base model plus the adapter."""
    with warnings.catch_warnings():  # PEFT warns of tied embeddings, which are taken care of here
        warnings.simplefilter("ignore")
        with reading(f"{checkpoint.actor}: its LoRA adapter does not fit huggingface/config.json", ValueError):
            model = get_peft_model(base, adapter)
        _fill(model, base, checkpoint)
        if _ties_embeddings(base):  # an adapter of one of the two must not change the other
            head = _layer(base.get_output_embeddings())
            head.weight = torch.nn.Parameter(head.weight.clone(), requires_grad=False)
        return model.merge_and_unload()  # type: ignore[no-any-return,operator]


def _empty_model(checkpoint: Checkpoint) -> PreTrainedModel:
    """The model of the checkpoint's config, without memory for its weights."""
    folder, trust_remote_code = checkpoint.actor / "huggingface", checkpoint.trust_remote_code
    code = "" if trust_remote_code else "; a model with its own code needs --trust-remote-code"
    # Any exception: transformers and a model's own code may raise anything.
    with reading(f"{folder}: its config.json cannot be used{code}", Exception), torch.device("meta"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        return _auto_class(config).from_config(config, trust_remote_code=trust_remote_code)


def _base_model(checkpoint: Checkpoint) -> PreTrainedModel:
    """The starting model, for a checkpoint that holds the adapter alone (verl's save_lora_only)."""
    only_adapter = f"{checkpoint.actor}: holds the adapter alone, and the base model is needed too"
    path, trust_remote_code = checkpoint.setting("path"), checkpoint.trust_remote_code
    if path is None:
        raise InputError(f"{only_adapter}: name the run's folder with --run")
    # Any exception: the hub's client and transformers have one for each cause.
    with reading(f"{only_adapter}: {path} cannot be loaded", Exception):
        kind = _auto_class(AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code))
        return kind.from_pretrained(path, dtype=torch.float32, trust_remote_code=trust_remote_code)


def _auto_class(config: Any) -> Any:
    seeing = any("ForConditionalGeneration" in name for name in config.architectures or [])
    return AutoModelForImageTextToText if seeing else AutoModelForCausalLM


def _fill(model: torch.nn.Module, base: PreTrainedModel, checkpoint: Checkpoint) -> None:
    """Give the model the checkpoint's tensors; tied names that were saved once get the other one's."""
    result = model.load_state_dict(checkpoint.state, strict=False, assign=True)
    if _ties_embeddings(base):
        embedding, head = _layer(base.get_input_embeddings()), _layer(base.get_output_embeddings())
        for empty, full in ((head, embedding), (embedding, head)):
            if empty.weight.is_meta and not full.weight.is_meta:
                empty.weight = full.weight
    # A base model that was read from its own folder has its weights, but not those of the adapter.
    unset = {name for name, each in model.state_dict().items() if each.is_meta or ".lora_" in name}
    lost = [name for name in result.missing_keys if name in unset]
    for fault, names in (("lacks", lost), ("has besides", result.unexpected_keys)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise InputError(
                f"{checkpoint.actor}: does not fit its huggingface/config.json: {fault} {names[0]}{more}; plain models "
                "and LoRA adapters can be exported"
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
