"""The package as it is published: what its wheel holds, what it requires, and its reward manager beside stock verl."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fail2fix
from tests import wheel as wheels
from tests.e2e.support.tiny import make_tokenizer
from tests.wheel import ROOT

PACKAGE = ROOT / "fail2fix"
VERL = (PACKAGE / "REQUIRED_VERL.txt").read_text().strip()
ENGINES = {"verl", "torch", "ray", "vllm", "transformers", "tensordict"}
OTHER_RELEASES = ["0.9.0", "0.8.0"]
SCORE = """
import sys
import numpy as np, torch, verl
from hydra import compose, initialize_config_module
from transformers import AutoTokenizer
from verl import DataProto
from verl.trainer.ppo.reward import load_reward_manager
import fail2fix

release, tokenizer, inside = sys.argv[1], AutoTokenizer.from_pretrained(sys.argv[2]), sys.argv[3]
assert verl.__version__ == release, verl.__version__
assert fail2fix.__file__.startswith(inside), fail2fix.__file__
with initialize_config_module("verl.trainer.config", version_base=None):
    config = compose("ppo_trainer", [
        "reward.reward_manager.source=importlib",
        "reward.reward_manager.name=RiskAverseRewardManager",
        "reward.reward_manager.module.path=pkg://fail2fix.verl_ext.reward_manager",
    ])
manager = load_reward_manager(config, tokenizer)
correction = {"stream": "correction", "attempt_id": "a", "attempt_correct": True}
for text, extra in (("12", {}), ("11", {}), ("12", {"fail2fix": correction}), ("11", {"fail2fix": correction})):
    ids = torch.tensor([tokenizer("#### " + text)["input_ids"]])
    columns = {"data_source": "openai/gsm8k", "reward_model": {"ground_truth": "12"}, "extra_info": extra}
    arrays = {name: np.array([value], dtype=object) for name, value in columns.items()}
    data = DataProto.from_dict(tensors={"responses": ids, "attention_mask": torch.ones_like(ids)}, non_tensors=arrays)
    print("score", manager.loop.run_until_complete(manager.run_single(data))["reward_score"])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels.build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def requirements(wheel: Path) -> list[Requirement]:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return [Requirement(line) for line in message_from_bytes(archive.read(path)).get_all("Requires-Dist", [])]


def test_the_wheel_holds_every_file_of_the_package_and_the_configs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")}
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "fail2fix", "configs"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git clone")
    present = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert held == {re.sub("^configs/", "fail2fix/configs/", name) for name in present}


def test_a_wheel_finds_its_own_configs(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    ask = "import fail2fix.run.shipped_configs as found; print(found.__file__, found.config_dir())"
    env = wheels.OUTSIDE | {"PYTHONPATH": str(tmp_path)}
    said = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, env=env, cwd=tmp_path, timeout=60
    )
    assert said.stdout.split() == [
        f"{tmp_path}/fail2fix/run/shipped_configs.py", f"{tmp_path}/fail2fix/configs"
    ], said.stderr  # fmt: skip


def test_the_package_alone_brings_no_engine_and_names_no_verl(requirements: list[Requirement]) -> None:
    base = {needed.name for needed in requirements if not needed.marker}
    assert not base & ENGINES
    assert {"math-verify", "pebble", "matplotlib", "openai"} <= base


@pytest.mark.parametrize(
    ("lock", "extras"), [("gpu-py312", {"", "train", "dev"}), ("cpu-py311", {"", "dev", "fusion"})]
)
def test_the_locks_hold_what_the_extras_require(requirements: list[Requirement], lock: str, extras: set[str]) -> None:
    text = (ROOT / "scripts" / "locks" / f"{lock}.txt").read_text()
    pins = {canonicalize_name(name): pin for name, pin in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}
    for extra in extras:
        asked = [needed for needed in requirements if of_extra(needed, extra)]
        assert asked
        for needed in asked:
            assert needed.specifier.contains(pins[canonicalize_name(needed.name)]), f"{lock}: {needed}"
    assert pins["verl"] == VERL


def test_the_training_extra_is_the_verl_that_start_up_requires(requirements: list[Requirement]) -> None:
    train = {needed.name: str(needed.specifier) for needed in requirements if of_extra(needed, "train")}
    assert train.keys() >= ENGINES
    assert train["verl"] == f"=={VERL}"


def of_extra(needed: Requirement, extra: str) -> bool:
    """Whether an extra asks for it; "" is the package alone."""
    return needed.marker.evaluate({"extra": extra}) and bool(extra) if needed.marker else not extra


def test_the_changelog_begins_with_the_version() -> None:
    headings = re.findall(r"^## (\S+)", (PACKAGE / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == fail2fix.__version__


@pytest.mark.heavy
@pytest.mark.parametrize("release", [VERL, *(pytest.param(other, marks=pytest.mark.slow) for other in OTHER_RELEASES)])
def test_stock_verl_loads_the_reward_manager_of_the_wheel(wheel: Path, release: str, tmp_path: Path) -> None:
    """By the three lines of its docstring, through verl's own loader, without the clone on the path."""
    first = [] if release == VERL else [wheels.released_verl(release, tmp_path / "download")]
    python = wheels.environment(tmp_path / "env", wheel, first)
    make_tokenizer().save_pretrained(tmp_path / "tokenizer")
    done = subprocess.run(
        [python, "-c", SCORE, release, tmp_path / "tokenizer", tmp_path / "env"],
        cwd=tmp_path, env=wheels.OUTSIDE, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.findall(r"^score (\S+)", done.stdout, re.M) == ["1.0", "0.0", "1.0", "-1.0"]


@pytest.mark.slow
@pytest.mark.parametrize("release", OTHER_RELEASES)
def test_the_reward_managers_tests_pass_under_another_verl(release: str, tmp_path: Path) -> None:
    other = wheels.released_verl(release, tmp_path)
    files = ["tests/verl_ext/test_reward_manager.py", "tests/doors/test_reward_manager.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{other}:{ROOT}"}, capture_output=True, text=True, timeout=800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
