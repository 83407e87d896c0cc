"""The model's folder: a config that transformers knows, weights that are whole, room for the run's tokens.

Reads headers only. A model that is still on the hub is asked for its config; its weights are not known then.
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
from fail2fix.method.errors import InputError
from fail2fix.preflight.wording import first_line

KEY = "actor_rollout_ref.model.path"
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
# Set by those who know better than the config how far a model reaches; vLLM then obeys the run.
LONGER = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"


@dataclass(frozen=True)
class Weights:
    """What a model's files hold: numbers in all, in the largest tensor, and bytes of the files."""

    parameters: int
    largest: int
    bytes: int


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
    try:
        # Said aloud: left out, transformers asks on the terminal whether to run the model's own code.
        return AutoConfig.from_pretrained(os.path.expanduser(path), trust_remote_code=model.trust_remote_code)
    except Exception as error:  # transformers, the hub and a model's own code may raise anything
        if folder.is_dir():
            raise InputError(f"{KEY}={path}: its config.json does not serve ({first_line(error)})") from error
        reason = str(error).split(".")[0]
        raise InputError(f"{KEY}={path}: no such folder, and the hub does not give it ({reason})") from error


def check_reach(config: DictConfig, model_config: Any) -> None:
    """vLLM refuses to serve more tokens than the model has positions, once it holds the GPU.

    Models with scaled positions are vLLM's to judge.

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


def check_weights(config: DictConfig) -> Weights | None:
    """Refuse weights that are missing or cut short; return what they hold, None where headers do not say it.

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
        raise InputError(f"{KEY}={path}: the folder has no weights ({SINGLE}, {INDEX} or *.bin); download it again")
    sizes = [size for file in files for size in _tensor_sizes(file)]
    return Weights(sum(sizes), max(sizes, default=0), sum(file.stat().st_size for file in files))


def _weight_files(folder: Path, path: str) -> list[Path]:
    """The folder's safetensors files, as the index names them where there is one."""
    if not (folder / INDEX).exists():
        return [folder / SINGLE] if (folder / SINGLE).exists() else []
    try:
        names = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{KEY}={path}: {INDEX} is no index of weights; download it again") from error
    for name in names:
        if not (folder / name).exists():
            raise InputError(f"{KEY}={path}: {name}, which {INDEX} names, is missing; download it again")
    return [folder / name for name in names]


def _tensor_sizes(file: Path) -> list[int]:
    """How many numbers each tensor of a file has."""
    try:
        with safe_open(file, framework="numpy") as tensors:
            return [prod(tensors.get_slice(name).get_shape()) for name in tensors.keys()]  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{KEY}={file.parent}: {file.name} is cut short or no safetensors file ({first_line(error)}); "
            "download it again"
        ) from error
