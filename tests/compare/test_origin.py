"""What two runs must share to be compared, found from their folders alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fail2fix.compare.origin import Origin, origin_of
from fail2fix.compare.plan import Fingerprint
from fail2fix.compare.records import RunRecord, ValidatedStep, different_models, require_same_origin
from fail2fix.method.errors import InputError


def record(config: str, seed: int, origin: Origin) -> RunRecord:
    step = ValidatedStep(0, {}, None)
    return RunRecord(Fingerprint(config, seed, None, (), ""), origin, {}, (), step, step)


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
    with pytest.raises(
        InputError, match=r"cipo-seed1 and cipo-seed0: the settings of cipo were changed between them \(trainer\)"
    ):
        require_same_origin([record("cipo", 0, a), record("cipo", 1, b)])
    require_same_origin([record("cipo", 0, a), record("grpo", 0, b)])


@pytest.mark.parametrize(("file", "what"), [("model/model.safetensors", "model"), ("test.parquet", "held-out data")])
def test_other_contents_under_the_same_path_are_another_input(tmp_path: Path, file: str, what: str) -> None:
    records = []
    for name in ("x", "y"):
        folder = run_folder(tmp_path / name, "seed0")
        (tmp_path / name / file).write_text(name)
        records.append(record(name, 0, origin_of(folder)))
    with pytest.raises(InputError, match=f"y-seed0 and x-seed0: not the same {what}"):
        require_same_origin(records)


def test_a_run_resumed_with_other_settings_is_refused(tmp_path: Path) -> None:
    folder, other = run_folder(tmp_path / "x", "seed0"), run_folder(tmp_path / "x", "y", total_epochs=2)
    (other / "config.yaml").rename(folder / "config.resume-2.yaml")
    with pytest.raises(InputError, match=r"resumed with other settings \(trainer\)"):
        origin_of(folder)


def test_what_lies_on_a_hub_is_known_by_its_name() -> None:
    a, b = Origin({}, {"model": "1"}), Origin({}, {"model": "2"})
    require_same_origin([record("c", 0, a), record("d", 0, a)])
    with pytest.raises(InputError, match="not the same model"):
        require_same_origin([record("c", 0, a), record("d", 0, b)])


def test_seeds_may_start_from_models_of_their_own_and_that_is_said() -> None:
    a, b = Origin({}, {"model": "1"}), Origin({}, {"model": "2"})
    runs = [record("c", 0, a), record("d", 0, a), record("c", 1, b), record("d", 1, b)]
    require_same_origin(runs)
    assert different_models(runs) == "1: seed 0; 2: seed 1"
    assert different_models(runs[:2]) == ""
    with pytest.raises(InputError, match="e-seed1 and c-seed1: not the same model"):
        require_same_origin([*runs, record("e", 1, a)])
