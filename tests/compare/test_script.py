"""scripts/compare.sh: what it prepares and passes on, on either kind of machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[2]
SETUPS = ROOT / "configs" / "setup"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout whose environment is there and whose Python prints its arguments."""
    (tmp_path / "scripts").mkdir()
    for script in ("compare.sh", "prepare_setup.sh"):
        shutil.copy(ROOT / "scripts" / script, tmp_path / "scripts")
    shutil.copytree(SETUPS, tmp_path / "configs" / "setup")
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


def test_a_cpu_compares_on_arithmetic_unless_told_otherwise(tree: Path) -> None:
    assert call(tree, "grpo", "cipo", "--seeds", "3", DEVICE="cpu") == [
        "cpu -m fail2fix.data.tasks.smollm2 .models/smollm2-135m-instruct",
        "cpu -m fail2fix.data.tasks.arithmetic data/arithmetic-seed0 --seed 0",
        "cpu -m fail2fix.compare device=cpu setup=arithmetic grpo cipo --seeds 3",
    ]


def test_a_cpu_without_bf16_is_told_its_device(tree: Path) -> None:
    said = call(tree, "grpo", "cipo", "device=cpu_fp32", "setup=my_own", DEVICE="cpu")
    assert said == ["cpu -m fail2fix.compare grpo cipo device=cpu_fp32 setup=my_own"]


@pytest.mark.parametrize("setup", ["organism_latin", "organism_chain"])
def test_an_organism_is_made_from_its_set_and_warmed_up_on_it(tree: Path, setup: str) -> None:
    config = OmegaConf.load(SETUPS / f"{setup}.yaml")
    family = setup.partition("_")[2]
    said = call(tree, "grpo", "cipo", f"setup={setup}", DEVICE="cpu")
    assert said[-1] == f"cpu -m fail2fix.compare device=cpu grpo cipo setup={setup}"
    made = [line.split()[2:] for line in said[:-1]]
    programs = [f"fail2fix.data.tasks.{family}", "fail2fix.data.organism", "fail2fix.warmup", "fail2fix.warmup"]
    assert [words[0] for words in made] == programs
    data, model = made[0][1], made[1][1]
    assert made[1][made[1].index("--data") + 1] == data
    taught = set(made[1][made[1].index("--templates") :])
    for warm_up in made[2:]:  # each starts from the model of the one before, and knows every template of the tokenizer
        assert (warm_up[warm_up.index("--model") + 1], warm_up[warm_up.index("--data") + 1]) == (model, data)
        assert taught <= set(warm_up)
        model = warm_up[warm_up.index("--out") + 1]
    assert model == config.actor_rollout_ref.model.path
    assert [config.data.train_files, config.data.val_files] == [f"{data}/train.parquet", f"{data}/test.parquet"]
    assert config.reward.custom_reward_function.path == f"pkg://fail2fix.data.tasks.{family}"


@pytest.mark.parametrize("setup", ["arithmetic", "two_digit", "chain", "sorting", "programs"])
def test_a_cpu_setup_gets_the_model_and_the_data_it_names(tree: Path, setup: str) -> None:
    config, parent = (OmegaConf.load(SETUPS / f"{name}.yaml") for name in (setup, "arithmetic"))
    model = OmegaConf.select(config, "actor_rollout_ref.model.path") or parent.actor_rollout_ref.model.path
    said = call(tree, "grpo", "cipo", f"setup={setup}", DEVICE="cpu")
    made = [line.split() for line in said[:-1]]
    assert said[-1] == f"cpu -m fail2fix.compare device=cpu grpo cipo setup={setup}"
    assert model == (made[-1][made[-1].index("--out") + 1] if len(made) == 3 else made[0][-1])
    data = next(words[3] for words in made if words[2] == f"fail2fix.data.tasks.{setup}")
    assert [config.data.train_files, config.data.val_files] == [f"{data}/train.parquet", f"{data}/test.parquet"]


@pytest.mark.parametrize("setup", ["gsm8k", "deepscaler", "leetcode"])
def test_a_gpu_setup_gets_the_data_it_names(tree: Path, setup: str) -> None:
    data = OmegaConf.load(SETUPS / f"{setup}.yaml").data
    said = call(tree, "grpo", "cipo", f"setup={setup}", DEVICE="gpu", PYTHON=str(tree / ".venv" / "bin" / "python"))
    folder = f"data/{setup}"
    assert said[0].split() == ["-m", "fail2fix.prepare", setup, "--out", "data"]
    assert [data.train_files, data.val_files] == [f"{folder}/train.parquet", f"{folder}/test.parquet"]


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


@pytest.mark.parametrize("given", ["data.val_files=mine.parquet", "DATA"])
def test_data_of_ones_own_are_not_scored_by_another_tasks_reward(tree: Path, given: str) -> None:
    environment = os.environ | {"DEVICE": "cpu"} | ({"DATA": "mine"} if given == "DATA" else {})
    arguments = [] if given == "DATA" else [given]
    command = [tree / "scripts" / "compare.sh", "grpo", "cipo", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "compare.sh: data of your own: say what it is with setup=\n")


def test_what_a_setup_names_can_be_made_alone(tree: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in ("VERL_PLATFORM", "PYTHON")}
    command = [tree / "scripts" / "prepare_setup.sh", "arithmetic"]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=60, cwd="/", check=True)
    assert all(line.startswith("cpu -m fail2fix.data.tasks.") for line in done.stdout.splitlines())
    command[-1] = "mine"
    refused = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=60)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)


def test_help_needs_no_environment(tree: Path) -> None:
    said = call(tree, "--help", PATH="/usr/bin:/bin", DEVICE="cpu")
    assert said[0].startswith("Compare configs at equal cost")
    assert all(any(option in line for line in said) for option in ("--seeds N", "--out DIR", "--unequal"))
