"""Check the model's folder: a config that transformers reads, complete weights, enough positions for the run's tokens.

Reads headers only. Of a model on the hub only the config is read.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig

from fail2fix.data.files import refuse_unmerged
from fail2fix.method.errors import InputError, reading

KEY = "actor_rollout_ref.model.path"
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
AGAIN = "download it again"
LONGER = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"  # set by users to let vLLM exceed the config's positions


@dataclass(frozen=True)
class ModelSize:
    """Numbers in all tensors of a model, and in the largest one."""

    parameters: int
    largest: int


def check_model(config: DictConfig) -> Any:
    """Refuse a path without a model, or with an adapter that is not merged; return the model's own config.

    Raises:
        InputError: the path, and what it lacks.
    """
    model = config.actor_rollout_ref.model
    path = model.path
    if path.endswith("/"):
        raise InputError(f"{KEY}={path}: verl refuses a path that ends with /; remove it")
    folder = Path(path).expanduser()
    refuse_unmerged(folder, f"{KEY}={path}")
    if folder.is_dir() and not (folder / "config.json").exists():
        raise InputError(f"{KEY}={path}: the folder has no config.json; is it a model?")
    if not folder.is_dir() and not re.fullmatch(r"[\w.-]+/[\w.-]+", path):
        raise InputError(f"{KEY}={path}: no such folder, and not a hub id like org/name")
    failure = "its config.json is not usable" if folder.is_dir() else "no such folder, and the hub does not provide it"
    with reading(f"{KEY}={path}: {failure}", Exception):  # transformers, the hub and a model's code may raise anything
        # Without trust_remote_code, transformers asks on the terminal whether to run the model's code.
        return AutoConfig.from_pretrained(os.path.expanduser(path), trust_remote_code=model.trust_remote_code)


def check_reach(config: DictConfig, model_config: Any) -> None:
    """Refuse more tokens than the model has positions, which vLLM does only once it holds the GPU.

    Models with scaled positions are left to vLLM.

    Raises:
        InputError: the lengths, and the model's.
    """
    rollout = config.actor_rollout_ref.rollout
    reach = getattr(model_config, "max_position_embeddings", None)
    scaling = getattr(model_config, "rope_parameters", None) or getattr(model_config, "rope_scaling", None) or {}
    scaled = (scaling.get("rope_type") or scaling.get("type") or "default") != "default"
    wanted = rollout.max_model_len or rollout.prompt_length + rollout.response_length
    if not isinstance(reach, int) or scaled or os.environ.get(LONGER) == "1" or wanted <= reach:
        return
    lengths = f"prompt_length={rollout.prompt_length} + response_length={rollout.response_length}"
    key = f"max_model_len={rollout.max_model_len}" if rollout.max_model_len else lengths
    raise InputError(
        f"actor_rollout_ref.rollout.{key} is more than the {reach} positions of {config.actor_rollout_ref.model.path} "
        "(max_position_embeddings); lower data.max_prompt_length, data.max_response_length or "
        "fail2fix.correction.max_prompt_length"
    )


def check_weights(config: DictConfig) -> ModelSize | None:
    """Refuse weights that are missing or truncated; return their size, None if headers do not give it.

    Raises:
        InputError: the file, and what to do.
    """
    path = config.actor_rollout_ref.model.path
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return None
    files = _weight_files(folder, path)
    if not files:
        if any(folder.glob("*.bin")):
            return None
        raise InputError(f"{KEY}={path}: the folder has no weights ({SINGLE}, {INDEX} or *.bin); {AGAIN}")
    sizes = [size for file in files for size in _tensor_sizes(file)]
    return ModelSize(sum(sizes), max(sizes, default=0))


def _weight_files(folder: Path, path: str) -> list[Path]:
    """The folder's safetensors files, as the index names them if it exists."""
    if not (folder / INDEX).exists():
        return [folder / SINGLE] if (folder / SINGLE).exists() else []
    with reading(f"{KEY}={path}: {INDEX} is not an index of weights", hint=AGAIN):
        names = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
    for name in names:
        if not (folder / name).exists():
            raise InputError(f"{KEY}={path}: {name}, which {INDEX} names, is missing; {AGAIN}")
    return [folder / name for name in names]


def _tensor_sizes(file: Path) -> list[int]:
    """The number of elements of each tensor in a file."""
    failure = f"{KEY}={file.parent}: {file.name} is truncated or not a safetensors file"
    with reading(failure, SafetensorError, OSError, hint=AGAIN), safe_open(file, framework="numpy") as tensors:
        return [prod(tensors.get_slice(name).get_shape()) for name in tensors.keys()]  # noqa: SIM118
