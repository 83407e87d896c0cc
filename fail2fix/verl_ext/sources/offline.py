"""``offline``: every step replays rollouts of the starting model (the paper's ablation).

The pool is generated once, before the first step, and stored with its provenance; a run that finds the file reads it.
"""

from __future__ import annotations

from pathlib import Path

from fail2fix.verl_ext.provenance import check_provenance
from fail2fix.verl_ext.settings import fail2fix_settings
from fail2fix.verl_ext.sources import AttemptSource, StartingPolicy
from fail2fix.verl_ext.stream_file import read_stream, write_stream
from fail2fix.verl_ext.streams import Stream

FILE = "offline_pool.parquet"
PROMPTS_A_STEP = 4  # default pool: 4 B problems (METHOD.md)


class OfflineAttempts(AttemptSource):
    """A pool frozen at initialisation; K attempts a step, drawn by (seed, step) under selection's rules."""

    def begin(self, policy: StartingPolicy) -> None:
        settings = fail2fix_settings(self.config)
        run = settings.run
        folder = Path(run.root) / self.config.trainer.experiment_name / (run.name or "")
        path = Path(settings.offline.file or folder / FILE)
        if not path.exists():
            problems = settings.offline.prompts or PROMPTS_A_STEP * self.config.data.train_batch_size
            write_stream(path, policy.initial_rollouts(problems), policy.provenance)
        check_provenance(path, policy.provenance, "fail2fix.offline.file", ("tokenizer", "train_files"))
        # Read back also by the run that wrote it: every run replays the same bytes.
        self._pool = read_stream(path)

    def attempts(self, base: Stream | None) -> Stream | None:
        return self._pool
