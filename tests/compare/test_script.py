"""scripts/compare.sh: what it prepares and passes on, on either kind of machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout whose environment is there and whose Python prints its arguments."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "compare.sh", tmp_path / "scripts")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$VERL_PLATFORM" "$@"\n')
    (tmp_path / "scripts" / "setup_env.sh").write_text("#!/bin/sh\n")
    for path in (python, tmp_path / "scripts" / "setup_env.sh"):
        path.chmod(0o755)
    return tmp_path.resolve()


def call(tree: Path, *arguments: str, **environment: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("VERL_PLATFORM", "MODEL", "DATA")}
    command = [tree / "scripts" / "compare.sh", *arguments]
    done = subprocess.run(
        command, env=clean | environment, capture_output=True, text=True, timeout=60, cwd="/", check=True
    )
    return done.stdout.splitlines()


def test_a_cpu_compares_on_arithmetic(tree: Path) -> None:
    model, data = tree / ".models" / "smollm2-135m-instruct", tree / "data" / "arithmetic-seed0"
    assert call(tree, "grpo", "cipo", "--seeds", "3", DEVICE="cpu") == [
        f"cpu -m fail2fix.tasks.smollm2 {model}",
        f"cpu -m fail2fix.tasks.arithmetic {data} --seed 0",
        f"cpu -m fail2fix.compare device=cpu setup=arithmetic actor_rollout_ref.model.path={model} "
        f"data.train_files={data}/train.parquet data.val_files={data}/test.parquet grpo cipo --seeds 3",
    ]


def test_another_setup_brings_its_own_model_and_data(tree: Path) -> None:
    assert call(tree, "grpo", "cipo", "setup=mine", DEVICE="cpu") == [
        "cpu -m fail2fix.compare device=cpu grpo cipo setup=mine"
    ]
    assert call(tree, "grpo", "cipo", "setup=mine", DEVICE="cpu", MODEL="m")[-1] == (
        "cpu -m fail2fix.compare device=cpu actor_rollout_ref.model.path=m grpo cipo setup=mine"
    )


def test_a_gpu_uses_the_python_it_is_given(tree: Path) -> None:
    assert call(tree, "grpo", "cipo", "setup=mine", DEVICE="gpu", PYTHON="/bin/echo") == [
        "-m fail2fix.compare grpo cipo setup=mine"
    ]


@pytest.mark.parametrize("option", ["--dry-run", "--only-report"])
def test_nothing_is_prepared_where_nothing_runs(tree: Path, option: str) -> None:
    assert len(call(tree, "grpo", "cipo", option, DEVICE="cpu")) == 1


def test_help_needs_no_environment(tree: Path) -> None:
    said = call(tree, "--help", PATH="/usr/bin:/bin", DEVICE="cpu")
    assert said[0].startswith("Compare configs at equal cost")
    assert all(any(option in line for line in said) for option in ("--seeds N", "--out DIR", "--unequal"))
