"""A folder of checkpoints holds one run's steps: {first, second run of any name, stock verl} x resume_mode x folder."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from fail2fix.method.errors import InputError
from fail2fix.run.checkpoints import STATE, Checkpoints
from fail2fix.run.folder import NAME_OF_STARTS, hold, hold_checkpoints, name_run, open_run
from fail2fix.run.owner import FILE, read_owner
from tests.run.test_folder import config as config_of


def config(root: Path, name: str | None, restart: bool = False, **trainer: Any) -> DictConfig:
    """Of a run whose checkpoints go to ``<root>/shared``."""
    made = config_of(root, name, **{"default_local_dir": str(root / "shared")} | trainer)
    made.fail2fix.run.restart = restart
    return made


def started(given: DictConfig, *steps: int) -> Path:
    """The folder of a run that opens, saves these steps, and ends."""
    folder = name_run(given)
    open_run(given, folder)
    for step in steps:
        save(given, step)
    return folder


def save(given: DictConfig, step: int) -> None:
    checkpoints = Checkpoints.of(given)
    with checkpoints.writing(step) as made:
        (made / "weights").write_text(f"{given.fail2fix.run.name}'s")
    checkpoints.commit(step, {"step": step})
    checkpoints.name_newest()


def by_path(path: Path) -> dict[str, str]:
    return {"resume_mode": "resume_path", "resume_from_path": str(path)}


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    before = contents(folder)
    yield
    assert contents(folder) == before


def refused(given: DictConfig) -> str:
    """The line that a start ends with, before anything is written."""
    with pytest.raises(InputError) as told:
        open_run(given, name_run(given))
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("mode", ["auto", "disable", "path"])
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("writer", ["another name", "stock verl"])
def test_another_runs_checkpoints_refuse_a_run(tmp_path: Path, mode: str, restart: bool, writer: str) -> None:
    if writer == "stock verl":
        (tmp_path / "shared" / "global_step_8" / "actor").mkdir(parents=True)
        (tmp_path / "shared" / "latest_checkpointed_iteration.txt").write_text("8")
    else:
        started(config(tmp_path, "first"), 8)
    modes = by_path(tmp_path / "shared" / "global_step_8") if mode == "path" else {"resume_mode": mode}
    with unchanged(tmp_path):
        line = refused(config(tmp_path, "second", restart, **modes))
    assert "global_step_8" in line
    assert "trainer.resume_from_path=" in line
    assert writer == "stock verl" or "fail2fix.run.name=first" in line


@pytest.mark.parametrize("name", ["first", None])
def test_the_same_run_resumes_with_its_name_or_without_one(tmp_path: Path, name: str | None) -> None:
    folder = started(config(tmp_path, "first"), 2, 4)
    again = config(tmp_path, name)
    assert started(again) == folder
    assert Checkpoints.of(again).complete() == [2, 4]
    earlier = config(tmp_path, name, **by_path(tmp_path / "shared" / "global_step_2"))
    assert started(earlier) == folder


def test_without_a_name_a_run_never_joins_one_of_another_experiment(tmp_path: Path) -> None:
    started(config(tmp_path, None), 2)
    assert "trainer.experiment_name=test" in refused(config(tmp_path, None, experiment_name="other"))


def test_without_a_name_disable_is_refused_and_a_new_folder_is_not(tmp_path: Path) -> None:
    started(config(tmp_path, None), 2)
    assert "global_step_2" in refused(config(tmp_path, None, resume_mode="disable"))
    fresh = config(tmp_path, None, default_local_dir=str(tmp_path / "new"), resume_mode="disable")
    started(fresh, 1)
    by = by_path(tmp_path / "shared" / "global_step_2")
    started(config(tmp_path, None, default_local_dir=str(tmp_path / "third"), **by), 3)


@pytest.mark.parametrize("mode", ["auto", "disable"])
@pytest.mark.parametrize("steps", [(), (1,)])
def test_a_restart_finds_its_own_checkpoints_only(tmp_path: Path, mode: str, steps: tuple[int, ...]) -> None:
    folder = started(config(tmp_path, "first", resume_mode=mode), *steps)
    again = config(tmp_path, "first", restart=True, resume_mode=mode)
    assert started(again) == folder
    assert Checkpoints.of(again).complete() == list(steps)


def test_a_name_given_again_after_its_folder_was_deleted(tmp_path: Path) -> None:
    """Resuming takes the checkpoints over; a new run of the name does not."""
    folder = started(config(tmp_path, "first"), 2)
    owner = read_owner(folder)
    shutil.rmtree(folder)
    assert "global_step_2" in refused(config(tmp_path, "first", resume_mode="disable"))
    assert read_owner(started(config(tmp_path, "first"))) == owner


@pytest.mark.parametrize("own", [True, False])
def test_a_moved_run_resumes(tmp_path: Path, own: bool) -> None:
    there = {} if own else {"default_local_dir": config_of(tmp_path).trainer._get_node("default_local_dir")._value()}
    started(config(tmp_path / "a", "first", **there), 2)
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "b" / "test" / "first").rename(tmp_path / "b" / "test" / "renamed")
    moved = config(tmp_path / "b", "renamed", **there)
    started(moved)
    assert Checkpoints.of(moved).complete() == [2]


def test_checkpoints_of_earlier_versions_resume_in_their_run_folder(tmp_path: Path) -> None:
    folder = started(config_of(tmp_path, "first"), 2)
    for path in list(folder.rglob(FILE)):
        path.unlink()
    again = config_of(tmp_path, "first")
    assert started(again) == folder
    assert Checkpoints.of(again).complete() == [2]


def test_another_runs_default_folder_is_refused_too(tmp_path: Path) -> None:
    folder = started(config_of(tmp_path, "first"))
    into = config_of(tmp_path, "second", default_local_dir=str(folder / "checkpoints"))
    with hold_checkpoints(config_of(tmp_path, "first"), folder):
        assert "another process trains" in refused(into)
    started(config_of(tmp_path, "first"), 2)
    third = config_of(tmp_path, "third", default_local_dir=str(folder / "checkpoints"))
    assert "fail2fix.run.name=first" in refused(third)


@pytest.mark.parametrize("locks", [True, False])
def test_two_runs_at_once_never_share_a_folder(tmp_path: Path, locks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    if not locks:
        monkeypatch.setattr(fcntl, "flock", no_locks)
    first = config(tmp_path, "first")
    folder = started(first)
    with hold_checkpoints(first, folder):
        line = refused(config(tmp_path, "second"))
        assert ("another process trains" in line) if locks else ("no locks" in line)
        assert refused(config(tmp_path, "second")) == line  # the refused run's folder is still free
    if locks:  # the first run has ended without a checkpoint, so its folder is free
        started(config(tmp_path, "third"), 1)
        assert "fail2fix.run.name=third" in refused(config(tmp_path, "first"))


def test_validating_another_runs_checkpoints_writes_nothing_there(tmp_path: Path) -> None:
    started(config(tmp_path, "first"), 2)
    with unchanged(tmp_path / "shared"):
        judge = config(tmp_path, "judge", val_only=True)
        open_run(judge, name_run(judge))
        hold_checkpoints(judge, name_run(config(tmp_path, "x", val_only=True))).close()
        assert not Checkpoints.of(judge).is_own


def test_a_checkpoint_is_complete_only_with_its_state(tmp_path: Path) -> None:
    given = config(tmp_path, "first")
    started(given, 2)
    (tmp_path / "shared" / "global_step_2" / STATE).unlink()
    (tmp_path / "shared" / "latest_checkpointed_iteration.txt").unlink()
    assert Checkpoints.of(given).complete() == []


def test_a_run_that_waited_until_another_had_saved_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    first, second = config(tmp_path, "a"), config(tmp_path, "b")
    started(first)
    started(second)  # both are open, neither trains yet
    with hold_checkpoints(first, started_folder := tmp_path / "test" / "a"):
        save(first, 3)
    assert started_folder.is_dir()
    with unchanged(tmp_path / "shared"), pytest.raises(InputError, match="global_step_3 in it was written by run"):
        hold_checkpoints(second, tmp_path / "test" / "b")


def test_checkpoints_may_lie_in_the_runs_folder_itself(tmp_path: Path) -> None:
    given = config_of(tmp_path, "a")
    given.trainer.default_local_dir = str(name_run(given))
    folder = started(given)
    with hold(folder), hold_checkpoints(given, folder):
        save(given, 1)


def test_a_copy_of_a_runs_folder_does_not_get_the_originals_checkpoints(tmp_path: Path) -> None:
    folder = started(config(tmp_path, "a"), 2)
    shutil.copytree(folder, folder.with_name("b"))
    with unchanged(tmp_path / "shared"):
        assert "is a copy of" in refused(config(tmp_path, "b"))
    folder.rename(folder.with_name("c"))  # a run that was renamed is itself
    name_run(config(tmp_path, "c"))


def test_starts_that_share_a_name_resume_the_run_that_wrote_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = started(config(tmp_path, None), 2)
    monkeypatch.setenv(NAME_OF_STARTS, "fresh")
    assert name_run(config(tmp_path, None)) == folder
    shutil.rmtree(tmp_path / "shared")
    assert name_run(config(tmp_path, None)).name == "fresh"
