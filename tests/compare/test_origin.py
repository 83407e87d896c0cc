"""What two runs must share to be compared, found from their folders alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fail2fix.compare.origin import Member, Origin, different_models, origin_of, require_same
from fail2fix.method.errors import InputError


def run_folder(root: Path, name: str, **changes: object) -> Path:
    """A run folder's config, its own data and model beside it."""
    folder = root / name
    (root / "model").mkdir(parents=True, exist_ok=True)
    folder.mkdir()
    (root / "model" / "model.safetensors").write_bytes(b"weights")
    (root / "test.parquet").write_bytes(b"problems")
    config = {
        "actor_rollout_ref": {"model": {"path": str(root / "model")}, "rollout": {"seed": name, "n": 8}},
        "data": {"train_files": ["org/set"], "val_files": str(root / "test.parquet"), "seed": name},
        "fail2fix": {"seed": name, "run": {"name": name, "root": str(root)}, "correction": {"weight": 1.0}},
        "trainer": {"default_local_dir": f"{folder}/checkpoints", "total_epochs": 1} | changes,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_seeds_names_and_places_are_no_difference(tmp_path: Path) -> None:
    assert origin_of(run_folder(tmp_path / "a", "seed0")) == origin_of(run_folder(tmp_path / "b", "seed1"))


def test_a_changed_setting_names_its_section(tmp_path: Path) -> None:
    a, b = (origin_of(run_folder(tmp_path / name, name, total_epochs=e)) for name, e in (("x", 1), ("y", 2)))
    with pytest.raises(InputError, match=r"y and x: the settings of cipo were changed between them \(trainer\)"):
        require_same({"x": Member("cipo", 0, a), "y": Member("cipo", 1, b)})
    require_same({"x": Member("cipo", 0, a), "y": Member("grpo", 0, b)})


@pytest.mark.parametrize(("file", "what"), [("model/model.safetensors", "model"), ("test.parquet", "held-out data")])
def test_other_contents_under_the_same_path_are_another_input(tmp_path: Path, file: str, what: str) -> None:
    origins = {}
    for name in ("x", "y"):
        folder = run_folder(tmp_path / name, "seed0")
        (tmp_path / name / file).write_text(name)
        origins[name] = Member(name, 0, origin_of(folder))
    with pytest.raises(InputError, match=f"y and x: not the same {what}"):
        require_same(origins)


def test_a_run_resumed_with_other_settings_is_refused(tmp_path: Path) -> None:
    folder, other = run_folder(tmp_path / "x", "seed0"), run_folder(tmp_path / "x", "y", total_epochs=2)
    (other / "config.yaml").rename(folder / "config.resume-2.yaml")
    with pytest.raises(InputError, match=r"resumed with other settings \(trainer\)"):
        origin_of(folder)


def test_what_lies_on_a_hub_is_known_by_its_name() -> None:
    a, b = Origin({}, {"model": "1"}), Origin({}, {"model": "2"})
    require_same({"x": Member("c", 0, a), "y": Member("d", 0, a)})
    with pytest.raises(InputError, match="not the same model"):
        require_same({"x": Member("c", 0, a), "y": Member("d", 0, b)})


def test_seeds_may_start_from_models_of_their_own_and_that_is_said() -> None:
    a, b = Origin({}, {"model": "1"}), Origin({}, {"model": "2"})
    runs = {"x": Member("c", 0, a), "y": Member("d", 0, a), "z": Member("c", 1, b), "u": Member("d", 1, b)}
    require_same(runs)
    assert different_models(runs.values()) == "1: seed 0; 2: seed 1"
    assert different_models(run for run in runs.values() if run.seed == 0) == ""
    with pytest.raises(InputError, match="v and z: not the same model"):
        require_same(runs | {"v": Member("e", 1, a)})
