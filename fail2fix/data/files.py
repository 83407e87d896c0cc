"""Hashes of files, to tell whether two runs used the same data or model, and checks of folders."""

import hashlib
import json
import os
import pickle
import re
from collections.abc import Sequence
from pathlib import Path

from fail2fix.method.errors import InputError

# Weights, configs, tokenizer and chat template of a Hugging Face folder.
MODEL_FILES = (
    "*.safetensors", "*.bin", "config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json",
    "added_tokens.json", "vocab*", "merges.txt", "chat_template*",
)  # fmt: skip
_WITH_TENSOR_NAMES = ("*.safetensors", "*.index.json", "pytorch_model.bin")
# Names of an adapter's tensors in PEFT and verl. Models with built-in adapters use other names.
_ADAPTER_KEY = re.compile(r"\.lora_(embedding_)?[AB](\.default)?(\.weight)?$")


def model_files(folder: Path) -> list[Path]:
    """The files of a model's folder that determine its outputs, sorted by name."""
    return sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern)})


def unmerged_adapter(folder: Path) -> str:
    """The sign of a LoRA adapter beside the base model's weights in a model's folder; "" if there is none.

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
        InputError: names the option that gave the folder, and says what to do.
    """
    if found := unmerged_adapter(folder):
        raise InputError(
            f"{given}: holds a LoRA adapter that is not merged ({found}), so the untrained base model would be read; "
            "export the checkpoint with scripts/export.sh, or merge the adapter with PEFT's merge_and_unload"
        )


def _tensor_names(path: Path) -> list[str]:
    """Names of a file's tensors; none if it is damaged, which readers of its weights report."""
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
    """One hash of the names and contents of some files."""
    total = hashlib.sha256()
    for path in paths:
        total.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def require_writable(folder: Path, option: str) -> None:
    """Refuse a folder that cannot be made or written, before the work whose result it receives.

    Raises:
        InputError: names the option that gave it.
    """
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise InputError(f"{option} {folder}: {nearest} is a file: choose another folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{option} {folder}: {nearest} cannot be written: choose another folder")
