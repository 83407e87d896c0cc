"""What a run leaves behind is its own: names, resumed metrics, checkpoint state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from fail2fix.cluster.lock import hold_weight_sync
from fail2fix.method.errors import InputError
from fail2fix.run.checkpoints import STATE, Checkpoints, load_state
from fail2fix.run.folder import FINISHED, TRACKER, MetricsFile, hold, name_run, open_run
from fail2fix.run.owner import Owner
from fail2fix.run.provenance import versions


def config(root: Path, name: str | None = None, **trainer: Any) -> DictConfig:
    checkpoints = "${fail2fix.run.root}/${trainer.experiment_name}/${fail2fix.run.name}/checkpoints"
    keys = {"experiment_name": "test", "resume_mode": "auto", "default_local_dir": checkpoints} | trainer
    ours = {"run": {"root": str(root), "name": name}, "offline": {"file": None}, "held_out": {"file": None}}
    return OmegaConf.create({"fail2fix": ours, "trainer": keys})


def test_files_that_runs_share_are_found_from_any_working_directory(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    named = config(tmp_path)
    named.fail2fix.offline.file, named.fail2fix.held_out.file = "pools/a.parquet", "/b.parquet"
    name_run(named)
    assert named.fail2fix.offline.file == str(tmp_path / "pools" / "a.parquet")
    assert named.fail2fix.held_out.file == "/b.parquet"


def test_two_starts_in_one_second_get_folders_of_their_own(tmp_path: Path) -> None:
    assert len({name_run(config(tmp_path)) for _ in range(20)}) == 20


def test_a_folder_with_files_and_no_checkpoint_belongs_to_another_run(tmp_path: Path) -> None:
    folder = name_run(config(tmp_path, "mine"))
    open_run(config(tmp_path, "mine"), folder)
    with pytest.raises(InputError, match="belongs to another run"):
        name_run(config(tmp_path, "mine", experiment="another"))


def test_a_restart_goes_on_in_its_own_folder_before_the_first_checkpoint(tmp_path: Path) -> None:
    first, again = config(tmp_path, "mine"), config(tmp_path, "mine")
    open_run(first, name_run(first))
    again.fail2fix.run.restart = True
    assert name_run(again) == tmp_path / "test" / "mine"


def test_a_folder_with_a_checkpoint_is_resumed_and_keeps_its_first_config(tmp_path: Path) -> None:
    folder = name_run(config(tmp_path, "mine"))
    open_run(config(tmp_path, "mine"), folder)
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / TRACKER).write_text("2")
    again = config(tmp_path, "mine")
    assert name_run(again) == folder
    open_run(again, folder)
    assert {path.name for path in folder.glob("config*.yaml")} == {"config.yaml", "config.resume-2.yaml"}
    with pytest.raises(InputError):
        name_run(config(tmp_path, "mine", resume_mode="disable"))


def test_resuming_from_another_runs_checkpoint_never_writes_into_a_third_folder(tmp_path: Path) -> None:
    folder = name_run(config(tmp_path, "mine"))
    open_run(config(tmp_path, "mine"), folder)
    elsewhere = {"resume_mode": "resume_path", "resume_from_path": str(tmp_path / "other" / "global_step_2")}
    with pytest.raises(InputError):
        name_run(config(tmp_path, "mine", **elsewhere))
    assert name_run(config(tmp_path, "new", **elsewhere)) == tmp_path / "test" / "new"
    inside = elsewhere | {"resume_from_path": str(folder / "checkpoints" / "global_step_2")}
    assert name_run(config(tmp_path, "mine", **inside)) == folder


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_a_step_has_one_line_and_lost_steps_are_set_aside(tmp_path: Path) -> None:
    first = MetricsFile(tmp_path, resumed_step=0)
    for step in range(4):
        first.write(step, {"loss": float(step)})
    with first.path.open("a") as file:
        file.write('{"step": 4, "lo')  # cut off while it was written
    resumed = MetricsFile(tmp_path, resumed_step=2)
    resumed.write(2, {"loss": -1.0})
    resumed.write(3, {"loss": 30.0})
    assert steps(resumed.path) == [0, 1, 2, 3]
    assert [json.loads(line)["loss"] for line in resumed.path.read_text().splitlines()] == [0.0, 1.0, 2.0, 30.0]
    aside = next(tmp_path.glob("metrics.superseded-*.jsonl"))
    assert aside.read_text().splitlines()[0] == '{"step": 3, "loss": 3.0}'


def test_validating_a_checkpoint_sets_nothing_aside(tmp_path: Path) -> None:
    first = MetricsFile(tmp_path, resumed_step=0)
    for step in range(3):
        first.write(step, {})
    MetricsFile(tmp_path, resumed_step=None).write(1, {"val": 1.0})
    assert steps(first.path) == [0, 1, 2]


def test_numbers_json_does_not_have_become_null(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path, resumed_step=0)
    file.write(1, {"a": float("nan"), "b": float("inf"), "c": 1.5})
    assert json.loads(file.path.read_text()) == {"step": 1, "a": None, "b": None, "c": 1.5}


def test_checkpoint_state_comes_back_and_damage_is_named(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, Owner.new("run"))
    with checkpoints.writing(1) as folder:
        assert load_state(folder) is None
    checkpoints.commit(1, {"ratio": {"rho": 0.3}})
    assert load_state(folder) == {"ratio": {"rho": 0.3}}
    (folder / STATE).write_text('{"schema": 99}')
    with pytest.raises(ValueError, match="schema"):
        load_state(folder)
    (folder / STATE).write_text("{")
    with pytest.raises(ValueError, match=STATE):
        load_state(folder)


def test_versions_name_what_the_run_stood_on() -> None:
    found = versions()
    assert found["packages"]["verl"] == "0.9.1"
    assert {"python", "platform", "commit", "command"} <= found.keys()


def test_a_run_cut_short_before_its_first_checkpoint_begins_again_in_its_folder(tmp_path: Path) -> None:
    first = config(tmp_path, "mine")
    folder = name_run(first)
    open_run(first, folder)
    again = config(tmp_path, "mine")
    assert name_run(again) == folder
    with pytest.raises(InputError, match="belongs to another run"):
        name_run(config(tmp_path, "mine", save_freq=7))
    (folder / FINISHED).touch()
    with pytest.raises(InputError, match="belongs to another run"):
        name_run(config(tmp_path, "mine"))


def test_two_processes_never_train_in_one_folder(tmp_path: Path) -> None:
    first = config(tmp_path, "mine")
    folder = name_run(first)
    open_run(first, folder)
    with hold(folder), pytest.raises(InputError, match="another process trains"):
        open_run(first, folder)
    open_run(first, folder)


def test_a_folder_that_a_kill_left_without_a_config_is_free(tmp_path: Path) -> None:
    folder = tmp_path / "test" / "mine"
    folder.mkdir(parents=True)
    hold(folder).close()
    assert name_run(config(tmp_path, "mine")) == folder


def test_two_runs_of_one_machine_do_not_sync_weights_under_one_name(tmp_path: Path) -> None:
    first = hold_weight_sync("01000000", tmp_path / "first", tmp_path)
    with pytest.raises(InputError, match=f"another run on this machine .{tmp_path}/first."):
        hold_weight_sync("01000000", tmp_path / "second", tmp_path)
    hold_weight_sync("02000000", tmp_path / "second", tmp_path).close()
    first.close()
    hold_weight_sync("01000000", tmp_path / "third", tmp_path).close()
