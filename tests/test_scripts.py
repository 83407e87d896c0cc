"""The shell scripts: they parse, and what goes wrong before any real work is said in one line."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(ROOT.glob("scripts/*.sh")) + [ROOT / ".ci" / "run"]


def call(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_parse_and_can_be_run(script: Path) -> None:
    assert call("bash", "-n", script).stderr == ""
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()


def fresh_tree(folder: Path) -> Path:
    """A copy of what setup_env.sh reads, without an environment."""
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder / "scripts" / "setup_env.sh"


def test_setup_without_a_usable_python_says_so_in_one_line(tmp_path: Path) -> None:
    done = call(fresh_tree(tmp_path), PYTHON="/bin/false")
    assert done.returncode == 1
    assert re.fullmatch(r"setup_env: no usable Python 3\.11 \(tried /bin/false\): .*PYTHON=.*\n", done.stderr)
    assert not (tmp_path / ".venv").exists()


def test_setup_refuses_another_platform_in_one_line(tmp_path: Path) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "uname").write_text("#!/bin/sh\necho Darwin arm64\n")
    (commands / "uname").chmod(0o755)
    done = call(fresh_tree(tmp_path), PATH=f"{commands}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert done.stderr == "setup_env: the locks cover Linux x86_64 only, this is Darwin arm64\n"


def test_setup_leaves_an_environment_of_somebody_else_alone(tmp_path: Path) -> None:
    script = fresh_tree(tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "mine").touch()
    done = call(script)
    assert done.returncode == 1
    assert done.stderr.endswith("/.venv exists and is not from this script: move it away\n")
    assert (tmp_path / ".venv" / "mine").exists()


@pytest.mark.parametrize("name", ["cpu-py311.txt", "gpu-py312.txt"])
def test_locks_pin_every_package_once_with_the_hash_of_its_file(name: str) -> None:
    lines = (ROOT / "scripts" / "locks" / name).read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^ ;]+ --hash=sha256:[0-9a-f]{64}", pin) for pin in pins)
    packages = [re.sub(r"[-_.]+", "-", pin.split("==")[0].lower()) for pin in pins]
    assert len(packages) == len(set(packages))
    assert {"torch", "verl", "pebble", "pytest", "hypothesis", "ruff", "mypy"} <= set(packages)


def test_nothing_is_installed_from_a_lock_without_its_hash() -> None:
    """A `pip install` of a lock that does not ask for hashes would still check those it finds; none must be missing."""
    named = "scripts/locks/", '"$LOCK"', "<(grep"
    texts = [ROOT / "README.md", *ROOT.glob("scripts/*.sh"), *ROOT.glob("scripts/locks/*.txt")]
    lines = [line for path in texts for line in path.read_text().splitlines() if " -r " in line and "pip" in line]
    installs = [line for line in lines if any(name in line for name in named) and "pip-audit" not in line]
    assert len(installs) >= 5
    assert all("--require-hashes" in line for line in installs), installs


def make_checkpoint(folder: Path) -> Path:
    actor = folder / "global_step_1" / "actor"
    (actor / "huggingface").mkdir(parents=True)
    (actor / "huggingface" / "config.json").write_text("{}")
    (actor / "model_world_size_1_rank_0.pt").touch()
    return actor.parent


def export_error(*arguments: object) -> str:
    done = call(ROOT / "scripts" / "export.sh", *arguments, PYTHON="/bin/false")
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr


def test_export_names_what_is_wrong(tmp_path: Path) -> None:
    assert export_error() == "export: usage: scripts/export.sh CHECKPOINT OUT\n"
    missing = tmp_path / "global_step_9"
    assert export_error(missing, tmp_path / "out") == f"export: {missing}: no such folder: give .../global_step_N\n"
    assert export_error(tmp_path, tmp_path / "out").startswith(f"export: {tmp_path}: no model_world_size_*_rank_*.pt")
    checkpoint = make_checkpoint(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    assert "out: exists and is not empty" in export_error(checkpoint, tmp_path / "out")
    (checkpoint / "actor" / "huggingface" / "config.json").unlink()
    assert "no huggingface/config.json" in export_error(checkpoint, tmp_path / "new")


@pytest.mark.parametrize("inside", ["", "actor"])
def test_export_takes_the_step_folder_or_the_actor_folder(tmp_path: Path, inside: str) -> None:
    checkpoint = make_checkpoint(tmp_path)
    (tmp_path / "out").mkdir()  # an empty folder may be there
    done = call(ROOT / "scripts" / "export.sh", checkpoint / inside, tmp_path / "out", PYTHON="/bin/echo")
    assert done.returncode == 0
    command = f"merge --backend fsdp --local_dir {checkpoint}/actor --target_dir {tmp_path}/out"
    assert done.stdout.splitlines()[0].endswith(command)


def train_call(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A training script whose Python says what it was asked to run."""
    return call(ROOT / "scripts" / "train_gsm8k_1gpu.sh", *arguments, PYTHON="/bin/echo", DATA="/data")


def test_retry_is_the_scripts_and_everything_else_the_trainings() -> None:
    plain, retried = train_call("a=1", "b=2").stdout, train_call("a=1", "--retry", "3", "b=2").stdout
    assert plain.startswith("-m fail2fix.train --config-name cipo setup=gsm8k ")
    assert plain.endswith(" a=1 b=2\n")
    assert retried == plain.replace("fail2fix.train", "fail2fix.retry 3")


@pytest.mark.parametrize("arguments", [["--retry"], ["--retry", "a=1"], ["--retry", "-1"]])
def test_retry_needs_a_number(arguments: list[str]) -> None:
    done = train_call(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"train_setup: --retry .*: needs a number of restarts\n", done.stderr)
