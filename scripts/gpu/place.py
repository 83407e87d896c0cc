"""Where the GPU check reads and writes. Knows paths only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Place:
    """Folders of one check.

    Attributes:
        out: gets a JSON for each item.
        work: models, data, run folders and logs; a later call on the same machine finds them here.
        carried: the offline archive's folder (``tiny/``, ``words/``, ``commit``), or None.
    """

    out: Path
    work: Path
    carried: Path | None = None

    @property
    def logs(self) -> Path:
        return self.work / "logs"

    @property
    def tiny(self) -> Path:
        """``make_model.py``'s model and data."""
        return (self.carried or self.work) / "tiny"

    @property
    def random(self) -> Path:
        return self.work / "random"

    @property
    def arithmetic(self) -> Path:
        return self.work / "arithmetic"

    def run(self, name: str) -> Path:
        """The run folder of a training."""
        return self.work / "runs" / "gpu" / name

    def make(self) -> None:
        """Create the folders; git ignores the work folder."""
        for folder in (self.out, self.work, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        (self.work / ".gitignore").write_text("*\n")
