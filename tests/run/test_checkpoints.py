"""Checkpoints are whole or unfinished at every instant, and the newest whole one is what a run resumes from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fail2fix.method.errors import InputError
from fail2fix.run.best import Best
from fail2fix.run.checkpoints import BEST, CheckpointError, Checkpoints, load_state
from fail2fix.run.config import CheckpointConfig
from fail2fix.run.folder import TRACKER
from fail2fix.run.owner import FILE as OWNER
from fail2fix.run.owner import Owner
from tests.tiers import heavy_where

MINE, ANOTHER = Owner("1a", "test/mine"), Owner("2b", "test/another")


def mine(root: Path) -> Checkpoints:
    return Checkpoints(root, MINE, root.parent)


def saved(checkpoints: Checkpoints, step: int, until: str = "commit") -> None:
    """A save that is killed after one of its writes, in their order."""

    class Killed(BaseException):
        pass

    def after(write: str) -> None:
        if write == until:
            raise Killed

    try:
        with checkpoints.writing(step) as folder:
            after("begin")
            (folder / "actor").mkdir()
            (folder / "actor" / "shard.pt").write_text("half")
            after("half a shard")
            (folder / "actor" / "shard.pt").write_text(f"weights of {step}")
            after("weights")
            (checkpoints.root / TRACKER).write_text("")
            after("verl's file, empty")
            (checkpoints.root / TRACKER).write_text(str(step))
            after("verl's file")
            checkpoints.commit(step, {"step": step})
    except Killed:
        pass


WRITES = ("begin", "half a shard", "weights", "verl's file, empty", "verl's file")


@pytest.mark.parametrize("until", WRITES)
def test_a_kill_while_saving_leaves_the_checkpoint_before(tmp_path: Path, until: str) -> None:
    saved(mine(tmp_path), 2)
    saved(mine(tmp_path), 4, until)
    resumed = mine(tmp_path)
    assert resumed.name_newest() == 2
    assert (tmp_path / TRACKER).read_text() == "2"
    assert (resumed.folder(2) / "actor" / "shard.pt").read_text() == "weights of 2"
    saved(resumed, 4)
    assert resumed.name_newest() == 4
    assert load_state(resumed.folder(4)) == {"step": 4}


@pytest.mark.parametrize("until", WRITES)
def test_a_kill_while_saving_the_first_leaves_none(tmp_path: Path, until: str) -> None:
    saved(mine(tmp_path), 2, until)
    assert mine(tmp_path).name_newest() is None
    assert not (tmp_path / TRACKER).exists()


@pytest.mark.parametrize("until", WRITES)
def test_a_step_saved_anew_is_no_checkpoint_until_it_is_whole(tmp_path: Path, until: str) -> None:
    for step in (2, 4):
        saved(mine(tmp_path), step)
    saved(mine(tmp_path), 4, until)
    assert mine(tmp_path).name_newest() == 2


def test_a_checkpoint_of_stock_verl_is_one(tmp_path: Path) -> None:
    (tmp_path / "global_step_3" / "actor").mkdir(parents=True)
    (tmp_path / TRACKER).write_text("3")
    assert mine(tmp_path).name_newest() == 3


def test_a_failed_write_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    checkpoints = mine(tmp_path)
    saved(checkpoints, 2)
    with pytest.raises(CheckpointError, match="step 4: .*No space left.* step 2") as told, checkpoints.writing(4):
        raise OSError(28, "No space left on device")
    assert "\n" not in str(told.value)
    assert checkpoints.name_newest() == 2


def test_no_room_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = mine(tmp_path)
    saved(checkpoints, 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, 5))
    with pytest.raises(CheckpointError, match="GiB are free"), checkpoints.writing(4):
        pytest.fail("it must not be written")
    assert not checkpoints.folder(4).exists()


@pytest.mark.parametrize(
    ("last", "best", "left"),
    [(1, None, [8]), (2, None, [6, 8]), (1, 4, [4, 8]), (2, 8, [6, 8]), (9, None, [2, 4, 6, 8])],
)
def test_the_newest_and_the_best_stay(tmp_path: Path, last: int, best: int | None, left: list[int]) -> None:
    checkpoints = mine(tmp_path)
    for step in (2, 4, 6, 8):
        saved(checkpoints, step)
    assert checkpoints.prune(last, [best]) == [step for step in (2, 4, 6, 8) if step not in left]
    assert checkpoints.complete() == left
    assert sorted(path.name for path in tmp_path.glob("*global_step*")) == [f"global_step_{step}" for step in left]


def test_an_unfinished_checkpoint_takes_no_whole_ones_place(tmp_path: Path) -> None:
    checkpoints = mine(tmp_path)
    saved(checkpoints, 2)
    saved(checkpoints, 4, "weights")
    checkpoints.prune(1)
    assert checkpoints.complete() == [2]


@pytest.mark.parametrize(("lowest", "best"), [(False, 2), (True, 3)])
def test_the_best_is_the_first_of_the_best(lowest: bool, best: int) -> None:
    found = Best(CheckpointConfig(best_metric="acc", best_is_lowest=lowest))
    for step, value in enumerate([0.4, 0.9, 0.1, 0.9, 0.1, float("nan")], 1):
        found.note(step, {"acc": value})
    assert found.step == best
    again = Best(CheckpointConfig(best_metric="acc", best_is_lowest=lowest))
    again.load_state_dict(found.state_dict())
    assert (again.step, again.value) == (found.step, found.value)


def test_a_metric_that_validation_does_not_give_is_named_with_those_it_gives() -> None:
    with pytest.raises(InputError, match="best_metric=acc: .*val-core/x"):
        Best(CheckpointConfig(best_metric="acc")).note(1, {"val-core/x": 1.0})


def test_the_best_step_is_named_beside_verls_newest(tmp_path: Path) -> None:
    checkpoints = mine(tmp_path)
    saved(checkpoints, 2)
    checkpoints.name_best(2)
    assert (tmp_path / BEST).read_text() == "2"


@pytest.mark.parametrize("workers", heavy_where([0, 2], [2]))
def test_the_data_goes_on_from_every_step(tmp_path: Path, workers: int) -> None:
    """Every step of three epochs as the last before a resumption: the rest is the same, between epochs too."""
    import torch
    from omegaconf import OmegaConf
    from torchdata.stateful_dataloader import StatefulDataLoader
    from verl.trainer.ppo.utils import create_rl_sampler

    from fail2fix.run.data_position import FILE, restore_epoch_end

    rows = list(range(11))

    def loader() -> StatefulDataLoader:
        sampler = create_rl_sampler(OmegaConf.create({"shuffle": True, "seed": 5}), rows)
        return StatefulDataLoader(
            rows, batch_size=3, sampler=sampler, drop_last=True, num_workers=workers, collate_fn=list
        )

    whole, states, through = [], [], loader()
    for _ in range(3):
        for batch in through:
            whole.append(batch)
            states.append(through.state_dict())
    for step, state in enumerate(states, 1):
        resumed = loader()
        torch.save(state, tmp_path / FILE)
        if step % len(resumed) == 0:
            restore_epoch_end(resumed, tmp_path)
        else:
            resumed.load_state_dict(state)
        rest = [batch for _ in range(step // len(resumed), 3) for batch in resumed]
        assert rest == whole[step:], step


def test_going_back_sets_later_checkpoints_aside(tmp_path: Path) -> None:
    checkpoints = mine(tmp_path)
    for step in (2, 4, 6):
        saved(checkpoints, step)
    assert checkpoints.set_aside_after(2) == [4, 6]
    assert checkpoints.complete() == [2]
    assert len(list(tmp_path.glob("superseded-*-global_step_*"))) == 2
    saved(checkpoints, 4)
    assert checkpoints.prune(1) == [2]
    assert checkpoints.name_newest() == 4


@pytest.mark.parametrize("until", [*WRITES, "commit"])
def test_another_runs_checkpoints_are_neither_read_nor_touched(tmp_path: Path, until: str) -> None:
    """Later and unfinished steps of another run, of stock verl, and what another run is deleting."""
    theirs, ours = Checkpoints(tmp_path, ANOTHER), Checkpoints(tmp_path, MINE)
    for step in (7, 8):
        saved(theirs, step, until)
    (tmp_path / "global_step_9" / "actor").mkdir(parents=True)
    (tmp_path / TRACKER).write_text("9")
    (tmp_path / ".deleted-2b-global_step_1-4").mkdir()
    before = sorted(path for path in tmp_path.rglob("*") if path.name != TRACKER)
    assert ours.complete() == []
    assert not ours.is_own
    for step in (1, 2):
        saved(ours, step)
        ours.prune(1)
    assert ours.complete() == [2]
    assert ours.set_aside_after(1) == [2]
    for step in (7, 9):
        with pytest.raises(CheckpointError, match=f"global_step_{step}: another run wrote it"), ours.writing(step):
            pytest.fail("it must not be written")
    left = (path for path in tmp_path.rglob("*") if path.name != TRACKER)
    assert sorted(path for path in left if not str(path.relative_to(tmp_path)).startswith("superseded-")) == before


def test_checkpoints_without_a_name_are_the_runs_own_in_its_folder(tmp_path: Path) -> None:
    saved(mine(tmp_path / "checkpoints"), 2)
    (tmp_path / "checkpoints" / "global_step_2" / OWNER).unlink()
    assert mine(tmp_path / "checkpoints").name_newest() == 2
    assert Checkpoints(tmp_path / "checkpoints", MINE).complete() == []
