"""Describe and compare the origin of a file of rollouts: model, tokenizer, data and sampling."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fail2fix.method.errors import InputError
from fail2fix.run.versions import versions


def provenance(config: DictConfig, tokenizer: Any) -> dict[str, object]:
    """Model, tokenizer, data, seed, sampling and versions of this run."""
    rollout = config.actor_rollout_ref.rollout
    return {
        # A checkout may move between two runs.
        "model": str(config.actor_rollout_ref.model.path).removeprefix(f"{Path.cwd()}/"),
        "tokenizer": tokenizer_digest(tokenizer),
        "train_files": files_digest(config.data.train_files),
        "val_files": files_digest(config.data.val_files),
        "seed": config.fail2fix.seed,
        "rollouts": rollout.n,
        "temperature": rollout.temperature,
        "versions": versions(),
    }


def check_provenance(theirs: Mapping[str, Any], ours: Mapping[str, Any], given: str, fields: Sequence[str]) -> None:
    """Refuse a file whose provenance differs from this run's in one of ``fields``.

    Args:
        given: the file and its key, as ``fail2fix.offline.file=PATH``.

    Raises:
        InputError: the key, the file and the field.
    """
    for field in fields:
        if theirs.get(field) != ours[field]:
            raise InputError(
                f"{given}: was written with another {field} ({theirs.get(field)}, this run has {ours[field]}); name "
                "another file, or a new one to have it written"
            )


def tokenizer_digest(tokenizer: Any) -> str:
    """Hash of vocabulary and chat template; token ids mean the same under equal digests."""
    vocabulary = json.dumps(sorted(tokenizer.get_vocab().items())) + str(tokenizer.chat_template)
    return hashlib.sha256(vocabulary.encode()).hexdigest()[:16]


def files_digest(files: str | Sequence[str]) -> str:
    """Hash of the contents of data files; of their names, if they are not local."""
    digest = hashlib.sha256()
    for name in [files] if isinstance(files, str) else files:
        path = Path(name).expanduser()
        digest.update(path.read_bytes() if path.is_file() else name.encode())
    return digest.hexdigest()[:16]
