"""Names, commands and fingerprints."""

from dataclasses import replace
from pathlib import Path

import pytest

import fail2fix
from fail2fix.compare.__main__ import main
from fail2fix.compare.plan import ComparisonPlan, Fingerprint, fingerprint, key_of
from fail2fix.method.errors import InputError


def plan(out: Path, **changes: object) -> ComparisonPlan:
    return replace(ComparisonPlan(out, ("grpo", "cipo"), seeds=2, rollouts=1000), **changes)  # type: ignore[arg-type]


def test_runs_go_seed_by_seed(tmp_path: Path) -> None:
    names = [run.name for run in plan(tmp_path).runs]
    assert names == ["grpo-seed0", "cipo-seed0", "grpo-seed1", "cipo-seed1"]


def test_seeds_may_begin_anywhere(tmp_path: Path) -> None:
    assert [run.fingerprint.seed for run in plan(tmp_path, first_seed=10).runs] == [10, 10, 11, 11]
    with pytest.raises(InputError, match="--first-seed -1"):
        plan(tmp_path, first_seed=-1)


def test_the_command_sets_seed_budget_and_place_and_passes_overrides_last(tmp_path: Path) -> None:
    command = plan(tmp_path, overrides=("setup=arithmetic", "+x.y=1"), train=("train",)).runs[3].command
    assert command == (
        "train",
        "--config-name",
        "cipo",
        "fail2fix.seed=1",
        "trainer.experiment_name=cipo",
        f"fail2fix.run.root={tmp_path}/training",
        "fail2fix.run.name=cipo-seed1",
        "fail2fix.budget.rollouts=1000",
        "trainer.total_training_steps=null",
        "trainer.max_actor_ckpt_to_keep=2",
        "fail2fix.held_out.enabled=true",
        "fail2fix.held_out.revisions=2",
        f"fail2fix.held_out.file={tmp_path}/held_out_attempts.parquet",
        "setup=arithmetic",
        "+x.y=1",
    )


def test_without_a_budget_the_configs_length_counts(tmp_path: Path) -> None:
    command = plan(tmp_path, rollouts=None).runs[0].command
    assert not any(word.startswith(("fail2fix.budget", "trainer.total_training_steps")) for word in command)


def test_all_runs_share_their_held_out_attempts_unless_told_otherwise(tmp_path: Path) -> None:
    files = {word for run in plan(tmp_path).runs for word in run.command if "held_out.file" in word}
    assert len(files) == 1
    changed = plan(tmp_path, overrides=("fail2fix.held_out.file=mine.parquet",)).runs[0].command
    assert [word for word in changed if "held_out.file" in word] == ["fail2fix.held_out.file=mine.parquet"]


def test_paths_lie_as_the_module_says(tmp_path: Path) -> None:
    run = plan(tmp_path).runs[1]
    assert run.folder == tmp_path / "training" / "cipo" / "cipo-seed0"
    assert run.record == tmp_path / "runs" / "cipo-seed0.json"
    assert run.log == tmp_path / "logs" / "cipo-seed0.log"


def test_a_fingerprint_holds_what_decides_a_run() -> None:
    found = fingerprint("cipo", 1, 1000, ("b=2", "a=1", "b=3"))
    assert found == Fingerprint("cipo", 1, 1000, ("a=1", "b=3"), fail2fix.__version__)
    assert found == fingerprint("cipo", 1, 1000, ("a=1", "b=3"))


def test_a_fingerprint_moves_with_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        found.append(fingerprint("cipo", 0, None, (f"data.train_files={tmp_path / name}/data/train.parquet",)))
    assert found[0] == found[1]
    assert found[0].overrides == ("data.train_files=data/train.parquet",)


def test_differences_are_named() -> None:
    mine = Fingerprint("cipo", 0, 1000, ("a=1",), "0.1.0")
    assert mine.difference(mine) == ""
    assert mine.difference(replace(mine, rollouts=None)) == "rollouts: 1000, not no budget"
    assert mine.difference(replace(mine, overrides=(), fail2fix="0.2.0")) == (
        "overrides: a=1, not no override; fail2fix: 0.1.0, not 0.2.0"
    )


@pytest.mark.parametrize(
    ("override", "key"), [("a.b=1", "a.b"), ("+a.b=1", "a.b"), ("++a=b=c", "a"), ("~a.b", "a.b"), ("setup=x", "setup")]
)
def test_keys_of_overrides(override: str, key: str) -> None:
    assert key_of(override) == key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"configs": ("cipo",)}, "1 config given: a comparison takes two or more"),
        ({"configs": ("cipo", "cipo")}, "cipo: given twice"),
        ({"configs": ("cipo", "../x")}, r"\.\./x: not a config's name"),
        ({"seeds": 0}, "--seeds 0: give 1 or more"),
        ({"rollouts": 0}, "--rollouts 0: give 1 or more"),
        ({"overrides": ("fail2fix.seed=1",)}, "fail2fix.seed=1: .* use --seeds instead"),
        ({"overrides": ("++fail2fix.budget.rollouts=1",)}, "use --rollouts instead"),
        ({"overrides": ("trainer.experiment_name=x",)}, "use --out instead"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan(tmp_path, **changes)


def test_a_config_that_is_not_there_is_refused_before_any_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["grpo_bs256", "nosuch", "--seeds", "1", "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    line = capsys.readouterr().err
    assert line.startswith("compare: error: nosuch: no nosuch.yaml in ")
    assert "cipo, " in line
    assert not (tmp_path / "out").exists()


def test_an_out_that_is_a_file_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").touch()
    assert main(["grpo_bs256", "cipo", "--seeds", "1", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"compare: error: --out {tmp_path / 'out'}: cannot be a folder")
