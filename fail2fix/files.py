"""Contents of files, as hashes (two runs saw the same data or model if these are equal), and folders to write to."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from fail2fix.core.config import BadInput

# What a Hugging Face folder's behaviour depends on: weights, configs, tokenizer, chat template.
MODEL_FILES = (
    "*.safetensors", "*.bin", "config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json",
    "added_tokens.json", "vocab*", "merges.txt", "chat_template*",
)  # fmt: skip


def model_files(folder: Path) -> list[Path]:
    """The files of a model's folder that decide what it says, in the order of their names."""
    return sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern)})


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
        BadInput: naming the option that gave it.
    """
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise BadInput(f"{option} {folder}: {nearest} is a file: choose another folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise BadInput(f"{option} {folder}: {nearest} cannot be written: choose another folder")
