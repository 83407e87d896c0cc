"""``lagged``: a step replays the step before (ours).

Both streams are generated at once. No importance ratio is needed: an attempt is only context, and the corrections
themselves are the current policy's. The first step has no correction stream.
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from fail2fix.verl_ext.sources import AttemptSource
from fail2fix.verl_ext.stream import Stream
from fail2fix.verl_ext.stream_file import read_stream, write_stream

FILE = "fail2fix_attempts.parquet"


class LaggedAttempts(AttemptSource):
    """The previous step's rollouts; they travel with the checkpoint."""

    def __init__(self, config: DictConfig) -> None:
        super().__init__(config)
        self._previous: Stream | None = None

    def attempts(self, base: Stream | None) -> Stream | None:
        return self._previous

    def end_step(self, base: Stream) -> None:
        self._previous = base

    def save(self, checkpoint: Path) -> None:
        if self._previous is not None:
            write_stream(checkpoint / FILE, self._previous, {"source": "lagged"})

    def load(self, checkpoint: Path) -> None:
        """Without the file (a checkpoint of another source), the next step has no correction stream."""
        path = checkpoint / FILE
        if path.exists():
            self._previous = read_stream(path, self.end_of_turn)
        else:
            print(f"{path}: not there, a checkpoint of another source; the first step has no correction stream")
