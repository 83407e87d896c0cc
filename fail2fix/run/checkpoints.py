"""Write, list and delete a run's checkpoints, ``global_step_N``; after a kill each is complete or marked unfinished.

verl writes its files and then names the step in ``latest_checkpointed_iteration.txt``, which a kill can leave empty.
Here a checkpoint is complete when it contains ``fail2fix_state.json``, our part of it, which is written last and
atomically. Until then it contains ``fail2fix_unfinished``. A folder with neither file is a stock verl run's, and
complete if verl's file names it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fail2fix.data.atomic import sync, write_whole
from fail2fix.method.errors import reading
from fail2fix.run.exit_status import Exit, TrainingError
from fail2fix.run.folder import TRACKER, folder_of, named_step
from fail2fix.run.owner import Owner, owns, read_owner, steps_in, write_owner

STATE, SCHEMA = "fail2fix_state.json", 2
UNFINISHED = "fail2fix_unfinished"
BEST = "best_checkpointed_iteration.txt"
DOOMED = ".deleted-"


class CheckpointError(TrainingError):
    """A checkpoint could not be written; earlier ones are complete."""

    exit_status = Exit.NO_SPACE


class Checkpoints:
    """The checkpoints of one run below ``trainer.default_local_dir``; other runs' are ignored.

    Args:
        root: the folder.
        owner: the run.
        run_folder: its folder; checkpoints in it without an owner record are its own.
    """

    def __init__(self, root: str | Path, owner: Owner, run_folder: Path | None = None) -> None:
        self.root, self._owner, self._run_folder = Path(root), owner, run_folder

    @classmethod
    def of(cls, config: DictConfig) -> Checkpoints:
        """The checkpoints of a prepared config's run."""
        folder = folder_of(config)
        owner = read_owner(folder) or Owner.new(folder.name)
        return cls(config.trainer.default_local_dir, owner, folder)

    @property
    def is_own(self) -> bool:
        """Whether the folder itself, with the files that name the newest and the best, belongs to this run."""
        return owns(self._run_folder, self._owner, self.root)

    def folder(self, step: int) -> Path:
        return self.root / f"global_step_{step}"

    @contextmanager
    def writing(self, step: int) -> Iterator[Path]:
        """The step's folder, to be written and then committed.

        Raises:
            CheckpointError: a write failed, or there is less free space than the newest checkpoint takes.
        """
        complete = self.complete()
        newest = f"the newest complete one is of step {complete[-1]}" if complete else "there is none before it"
        try:
            self._require_room(complete)
            yield self._begin(step)
        except CheckpointError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[-300:]
            raise CheckpointError(
                f"step {step}: no checkpoint could be written below {self.root}: {reason}; {newest}. Free space, then "
                "start the same command again: it resumes from there"
            ) from error

    def _require_room(self, complete: list[int]) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        needed = self.size(complete[-1]) if complete else 0
        free = shutil.disk_usage(self.root).free
        if free < needed:
            raise OSError(errno.ENOSPC, f"it needs about {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free")

    def _begin(self, step: int) -> Path:
        """Create the step's folder, marked unfinished; delete what an earlier attempt at this step left."""
        folder = self.folder(step)
        if folder.exists():
            if not self._owns(step):
                raise CheckpointError(f"{folder}: another run wrote it since this run began; move it away, then resume")
            self._remove(folder)
        begun = self._doomed(folder)
        begun.mkdir(parents=True)
        (begun / UNFINISHED).touch()
        write_owner(begun, self._owner)
        begun.rename(folder)
        return folder

    def commit(self, step: int, state: dict[str, Any]) -> None:
        """Mark the step's folder complete, once its files are on the disk."""
        folder = self.folder(step)
        sync(folder)
        write_whole(folder / STATE, json.dumps({"schema": SCHEMA} | state, indent=2))
        (folder / UNFINISHED).unlink(missing_ok=True)

    def complete(self) -> list[int]:
        """The steps with complete checkpoints, ascending."""
        named = named_step(self.root)
        return [step for step in self._steps() if self._is_complete(step, named)]

    def name_newest(self) -> int | None:
        """Write the newest complete step to verl's file, and return it; None if there is none."""
        complete = self.complete()
        tracker = self.root / TRACKER
        if not complete:
            tracker.unlink(missing_ok=True)
            return None
        if named_step(self.root) != complete[-1]:
            write_whole(tracker, str(complete[-1]))
        return complete[-1]

    def set_aside_after(self, step: int) -> list[int]:
        """Rename the checkpoints of later steps, which a run resumed from ``step`` trains again; return their steps."""
        later = [other for other in self._steps() if other > step]
        for other in later:
            self.folder(other).rename(self.root / f"superseded-{time.strftime('%Y%m%d-%H%M%S')}-global_step_{other}")
        return later

    def prune(self, keep_last: int, also: Iterable[int | None] = ()) -> list[int]:
        """Delete complete checkpoints, except the newest ``keep_last`` and the steps ``also``; return their steps."""
        for remains in self.root.glob(f"{self._doom}*"):
            shutil.rmtree(remains, ignore_errors=True)
        complete = self.complete()
        kept = set(complete[-keep_last:]) | set(also)
        deleted = [step for step in complete if step not in kept]
        for step in deleted:
            self._remove(self.folder(step))
        return deleted

    def name_best(self, step: int) -> None:
        """Write the best step to a file beside verl's."""
        write_whole(self.root / BEST, str(step))

    def size(self, step: int) -> int:
        """Bytes of a checkpoint."""
        return sum(path.stat().st_size for path in self.folder(step).rglob("*") if path.is_file())

    def _steps(self) -> list[int]:
        """The steps of this run that have a folder."""
        return [step for step in steps_in(self.root) if self._owns(step)]

    def _owns(self, step: int) -> bool:
        return owns(self._run_folder, self._owner, self.folder(step))

    def _is_complete(self, step: int, named: int | None) -> bool:
        folder = self.folder(step)
        if (folder / STATE).exists():
            return True
        return step == named and not (folder / UNFINISHED).exists()

    def _remove(self, folder: Path) -> None:
        """Delete a checkpoint; the rename makes it atomic."""
        doomed = self._doomed(folder)
        folder.rename(doomed)
        shutil.rmtree(doomed)

    def _doomed(self, folder: Path) -> Path:
        """A temporary path for a folder that is being created or deleted; `prune` deletes what a kill leaves there."""
        doomed = self.root / f"{self._doom}{folder.name}-{os.getpid()}"
        shutil.rmtree(doomed, ignore_errors=True)
        return doomed

    @property
    def _doom(self) -> str:
        return f"{DOOMED}{self._owner.id}-"


def load_state(checkpoint: str | Path) -> dict[str, Any] | None:
    """Our part of a checkpoint; None if it has none (of a stock verl run).

    Raises:
        InputError: the file is damaged.
        ValueError: the file has another schema.
    """
    path = Path(checkpoint) / STATE
    if not path.exists():
        return None
    with reading(f"{path}: not valid JSON", ValueError, hint="resume from another checkpoint or delete the file"):
        state = json.loads(path.read_text())
    if state.pop("schema", None) != SCHEMA:
        raise ValueError(f"{path}: unknown schema; this version reads schema {SCHEMA}")
    return state
