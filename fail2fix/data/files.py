"""Contents of files, as hashes (two runs saw the same data or model if these are equal), and folders to write to."""

import hashlib
import json
import os
import pickle
import re
from collections.abc import Sequence
from pathlib import Path

from fail2fix.method.errors import InputError

# What a Hugging Face folder's behaviour depends on: weights, configs, tokenizer, chat template.
MODEL_FILES = (
    "*.safetensors", "*.bin", "config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json",
    "added_tokens.json", "vocab*", "merges.txt", "chat_template*",
)  # fmt: skip
_WITH_TENSOR_NAMES = ("*.safetensors", "*.index.json", "pytorch_model.bin")
# As PEFT and verl name an adapter's tensors. Models that are built with adapters name them otherwise.
_ADAPTER_KEY = re.compile(r"\.lora_(embedding_)?[AB](\.default)?(\.weight)?$")


def model_files(folder: Path) -> list[Path]:
    """The files of a model's folder that decide what it says, in the order of their names."""
    return sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern)})


def unmerged_adapter(folder: Path) -> str:
    """What shows that a model's folder holds a LoRA adapter beside the base model's weights; "" if nothing does.

    Engines read such a folder as the untrained base model. Reads the names of tensors, no weights.
    """
    for name in ("adapter_config.json", "adapter_model.bin", "lora_adapter"):
        if (folder / name).exists():
            return name
    for path in sorted(path for pattern in _WITH_TENSOR_NAMES for path in folder.glob(pattern)):
        if name := next((name for name in _tensor_names(path) if _ADAPTER_KEY.search(name)), ""):
            return f"{name} in {path.name}"
    return ""


def refuse_unmerged(folder: Path, given: str) -> None:
    """Refuse a model's folder with an adapter that is not merged.

    Raises:
        InputError: naming the option that gave the folder, and what to do.
    """
    if found := unmerged_adapter(folder):
        raise InputError(
            f"{given}: holds a LoRA adapter that is not merged ({found}), so the untrained base model would be read; "
            "export the checkpoint with scripts/export.sh, or merge the adapter with PEFT's merge_and_unload"
        )


def _tensor_names(path: Path) -> list[str]:
    """The names of a file's tensors; none where it is damaged, which those who read its weights say."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.suffix == ".json":
            return list(json.loads(path.read_text(encoding="utf-8"))["weight_map"])
        if path.suffix == ".bin":
            import torch

            return list(torch.load(path, map_location="cpu", weights_only=True, mmap=True))
        with safe_open(path, framework="numpy") as tensors:
            return list(tensors.keys())
    except (SafetensorError, pickle.UnpicklingError, OSError, RuntimeError, ValueError, KeyError, TypeError):
        return []


def sha256(paths: Sequence[Path]) -> str:
    """One hash of some files: their names and contents."""
    total = hashlib.sha256()
    for path in paths:
        total.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def require_writable(folder: Path, option: str) -> None:
    """Refuse a folder that cannot be written, or made, before the work whose result it is to hold.

    Raises:
        InputError: naming the option that gave it.
    """
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise InputError(f"{option} {folder}: {nearest} is a file: choose another folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{option} {folder}: {nearest} cannot be written: choose another folder")
