"""``offline``: every step replays rollouts of the starting model (the paper's ablation).

The pool is generated once, before the first step, and stored with its provenance; a run that finds the file reads it.
"""

from __future__ import annotations

import time
from pathlib import Path

from omegaconf import DictConfig

from fail2fix.run.folder import folder_of
from fail2fix.run.provenance import check_provenance
from fail2fix.run.settings import fail2fix_settings
from fail2fix.run.step_sizes import pool_problems
from fail2fix.verl_ext.sources import AttemptSource, StartingPolicy
from fail2fix.verl_ext.stream import Stream
from fail2fix.verl_ext.stream_file import read_provenance, read_stream, write_stream

FILE = "offline_pool.parquet"
SECONDS = "seconds"
# What a pool and the run that replays it must have in common.
SAME = ("model", "tokenizer", "train_files", "rollouts", "temperature")


class OfflineAttempts(AttemptSource):
    """A pool frozen at initialization; K attempts a step, drawn by (seed, step) under selection's rules."""

    def begin(self, policy: StartingPolicy) -> None:
        settings = fail2fix_settings(self.config)
        path = pool_file(self.config)
        if not path.exists():
            started = time.perf_counter()
            rollouts = policy.initial_rollouts(pool_problems(self.config, settings))
            write_stream(path, rollouts, policy.provenance | {SECONDS: time.perf_counter() - started})
        check_provenance(read_provenance(path), policy.provenance, f"fail2fix.offline.file={path}", SAME)
        # Read back also by the run that wrote it: every run replays the same bytes.
        self._pool = read_stream(path, self.end_of_turn)
        policy.charge(self._pool, read_provenance(path).get(SECONDS, 0.0))

    def attempts(self, base: Stream | None) -> Stream | None:
        return self._pool


def pool_file(config: DictConfig) -> Path:
    return Path(fail2fix_settings(config).offline.file or folder_of(config) / FILE)
