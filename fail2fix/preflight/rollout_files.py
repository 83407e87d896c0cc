"""Check existing files of rollouts against this run's model, tokenizer and data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fail2fix.method.errors import InputError
from fail2fix.run.provenance import check_provenance, provenance
from fail2fix.run.settings import fail2fix_settings
from fail2fix.verl_ext.held_out import SAME as SAME_HELD_OUT
from fail2fix.verl_ext.held_out import held_out_file
from fail2fix.verl_ext.sources.offline import SAME as SAME_POOL
from fail2fix.verl_ext.sources.offline import pool_file
from fail2fix.verl_ext.stream_file import read_provenance


def check_rollout_files(config: DictConfig, tokenizer: Any) -> None:
    """Refuse an existing file of another tokenizer or data, and a missing file that only the starting model can write.

    Raises:
        InputError: the key, the file, and what differs.
    """
    settings = fail2fix_settings(config)
    files: list[tuple[str, Path, tuple[str, ...]]] = []
    if settings.held_out.enabled:
        files.append(("fail2fix.held_out.file", held_out_file(config), SAME_HELD_OUT))
    if settings.correction.enabled and settings.replay.source == "offline":
        files.append(("fail2fix.offline.file", pool_file(config), SAME_POOL))
    for key, path, same in files:
        if path.exists():
            check_provenance(read_provenance(path), provenance(config, tokenizer), f"{key}={path}", same)
        elif config.trainer.resume_mode == "resume_path":
            raise InputError(
                f"{key}={path}: no such file, and a run resumed from trainer.resume_from_path cannot write it: only "
                "the starting model can; name the first run's file"
            )
