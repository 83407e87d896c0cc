"""Contents of files, as hashes: two runs saw the same data or model if these are equal."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

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
