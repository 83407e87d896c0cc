"""Every shipped config and script composes and passes its checks, from a checkout and from a wheel alike."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import pytest
from bench.step import room
from omegaconf import DictConfig, OmegaConf

from fail2fix import train
from tests.tiers import heavy_where
from tests.verl_ext.test_contract import config

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml") if path.stem != "base")
CHECKED_FAST = {"cipo", "cipo_code", "cipo_lagged", "cipo_offline", "cipo_rloo", "dapo", "grpo_bs256", "quickstart"}
GPU = {name: value for name, value in os.environ.items() if name != "VERL_PLATFORM"}


def composed(name: str, *overrides: str, cpu: bool = False) -> DictConfig:
    """What ``python -m fail2fix.train --dry-run`` prints, after its checks, without starting a process."""
    return composed_once(name, overrides, cpu)


@cache
def composed_once(name: str, overrides: tuple[str, ...], cpu: bool) -> DictConfig:
    import verl  # noqa: F401  (its platform is this process's, before a config is checked as on another machine)

    given = config(*overrides, name=name)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()):
        patch.setenv("VERL_PLATFORM", "cpu") if cpu else patch.delenv("VERL_PLATFORM", raising=False)
        if cpu:  # as in a process that starts with VERL_PLATFORM=cpu
            from fail2fix.verl_ext.cpu import patches, platform  # noqa: F401  (registers the platform)

            patches.install()
        assert train.prepare(given, dry_run=True, held=ExitStack()) is False
    return given


def plain(given: DictConfig) -> dict[str, object]:
    """A config's values as its YAML gives them back."""
    values: dict[str, object] = OmegaConf.to_container(given, resolve=True, enum_to_str=True)
    return values


def dry_run(*arguments: str, cpu: bool = False) -> dict[str, object]:
    """What the command line prints, without verl's messages. Starting takes seconds."""
    command = [sys.executable, "-m", "fail2fix.train", "--dry-run", *arguments]
    env = dict(GPU, VERL_PLATFORM="cpu") if cpu else GPU
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    return plain(OmegaConf.create("\n".join(line for line in done.stdout.splitlines() if not line.startswith("["))))


@pytest.mark.parametrize("setup", [None, "gsm8k", "deepscaler", "leetcode"])
def test_correction_prompts_follow_the_lengths_of_problems_and_responses(setup: str | None) -> None:
    from fail2fix.sizes import SETUPS

    def lengths(*overrides: str) -> tuple[int, int]:
        given = config(*([f"setup={setup}"] if setup else []), *overrides, name="cipo")
        return given.fail2fix.correction.max_prompt_length, given.actor_rollout_ref.rollout.prompt_length

    shipped = lengths()[0]
    if setup:
        assert SETUPS[setup][1].context == shipped + config(f"setup={setup}", name="cipo").data.max_response_length
    assert lengths("data.max_response_length=16384", "data.max_prompt_length=300") == (300 + 16384 + 512,) * 2
    assert lengths("fail2fix.correction.max_prompt_length=777") == (777, 777)


@pytest.mark.parametrize(
    "setup", ["arithmetic", "two_digit", "chain", "sorting", "programs", "organism_latin", "organism_chain"]
)
def test_correction_prompts_of_a_cpu_setup_grow_with_its_responses(setup: str) -> None:
    shipped, longer = (config(f"setup={setup}", *more, name="cipo") for more in ([], ["data.max_response_length=500"]))
    grown = longer.fail2fix.correction.max_prompt_length - shipped.fail2fix.correction.max_prompt_length
    assert grown == 500 - shipped.data.max_response_length


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["cipo", "quickstart"])
def test_the_command_line_prints_what_is_composed(name: str) -> None:
    cpu = name == "quickstart"
    run = "fail2fix.run.name=mine"
    assert dry_run("--config-name", name, run, cpu=cpu) == plain(composed(name, run, cpu=cpu))


@pytest.mark.parametrize("name", heavy_where(CONFIGS, set(CONFIGS) - CHECKED_FAST))
def test_shipped_configs_compose_and_pass_their_checks(name: str) -> None:
    given = composed(name, cpu=name == "quickstart")
    assert given.actor_rollout_ref.actor.strategy == given.actor_rollout_ref.ref.strategy == "fsdp2"
    assert given.trainer.use_v1 is False
    assert given.fail2fix.correction.enabled == (
        name.startswith("cipo") or name in ("fail2fix", "quickstart", "thinktwice")
    )
    assert given.trainer.experiment_name == name


def leaves(config: object, key: str = "") -> dict[str, object]:
    """Every value by its whole key."""
    if not isinstance(config, dict):
        return {key: config}
    return {name: leaf for part, value in config.items() for name, leaf in leaves(value, f"{key}.{part}").items()}


def test_single_precision_is_all_that_sets_cpu_fp32_apart() -> None:
    run = "fail2fix.run.name=mine"
    half, single = (composed("quickstart", run, *device, cpu=True) for device in ([], ["device=cpu_fp32"]))
    ours, theirs = (leaves(plain(given)) for given in (single, half))
    apart = {key: value for key, value in ours.items() if value != theirs.get(key)}
    assert set(apart.values()) == {"fp32", "float32"}
    assert all(key.endswith("dtype") for key in apart)
    assert {
        ".actor_rollout_ref.rollout.dtype",
        ".actor_rollout_ref.ref.fsdp_config.mixed_precision.param_dtype",
    } <= apart.keys()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_says_only_what_differs_from_its_parent(name: str) -> None:
    """At most 40 lines of its own, and a rule's."""
    lines = (ROOT / "configs" / f"{name}.yaml").read_text().splitlines()
    for rule in re.findall(r"rule: (\w+)", lines[1]):
        lines += (ROOT / "configs" / "rule" / f"{rule}.yaml").read_text().splitlines()
    assert len([line for line in lines if line.strip() and not line.startswith("#")]) <= 40


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "quickstart"])
def test_the_table_beside_the_configs_lists_every_config_with_its_rollouts(name: str) -> None:
    table = [row for row in (ROOT / "configs" / "README.md").read_text().splitlines() if row.startswith("| `")]
    rows = {row.split("`")[1]: row for row in table}
    given = composed(name)
    rollouts = given.data.train_batch_size * given.actor_rollout_ref.rollout.n
    if given.fail2fix.correction.enabled:
        rollouts += given.fail2fix.correction.attempts * given.fail2fix.correction.rollouts
    assert f"{rollouts:,}" in rows[name]


SETUPS = sorted(path.stem for path in (ROOT / "configs" / "setup").glob("*.yaml"))


@pytest.mark.parametrize("setup", heavy_where(SETUPS, set(SETUPS) - {"gsm8k", "leetcode"}))
def test_matched_rollouts_are_matched_under_every_setup(setup: str) -> None:
    def rollouts(name: str) -> int:
        given = composed(name, f"setup={setup}", "device=cpu", cpu=True)
        correction = given.fail2fix.correction
        corrections = correction.attempts * correction.rollouts * correction.enabled
        return int(given.data.train_batch_size * given.actor_rollout_ref.rollout.n + corrections)

    assert rollouts("cipo") == rollouts("grpo_bs256")


@pytest.mark.parametrize("setup", ["arithmetic", "gsm8k", "deepscaler", "leetcode"])
def test_step_times_have_room_for_their_lengths_under_every_setup(setup: str) -> None:
    """``scripts/bench/step.py --config cipo`` on one GPU."""
    given = (f"setup={setup}", "trainer.nnodes=1", "trainer.n_gpus_per_node=1")
    rollout = composed("cipo", *room("cipo", 512, list(given)), *given).actor_rollout_ref.rollout
    assert rollout.response_length == 512
    assert rollout.max_model_len >= rollout.prompt_length + rollout.response_length


def test_the_methods_defaults_are_the_configs() -> None:
    """METHOD.md, "Symbols", in cipo.yaml."""
    c = composed("cipo")
    actor, rollout = c.actor_rollout_ref.actor, c.actor_rollout_ref.rollout
    assert (c.data.train_batch_size, rollout.n) == (128, 8)
    assert (c.fail2fix.correction.attempts, c.fail2fix.correction.rollouts) == (128, 8)
    assert (actor.kl_loss_coef, actor.kl_loss_type, actor.loss_agg_mode) == (1e-4, "low_var_kl", "seq-mean-token-mean")
    assert (actor.optim.lr, actor.clip_ratio, rollout.temperature, rollout.top_p) == (1e-6, 0.2, 1.0, 1.0)
    assert (c.data.max_response_length, c.trainer.total_training_steps) == (4096, 500)
    assert actor.ppo_mini_batch_size == 128


def test_any_verl_override_still_works_after_ours() -> None:
    given = composed(
        "cipo", "actor_rollout_ref.actor.clip_ratio_high=0.28", "+trainer.a_key_of_mine=1",
        "actor_rollout_ref.actor.fsdp_config.param_offload=true", "trainer.logger=[console,wandb]",
        "actor_rollout_ref.actor.ulysses_sequence_parallel_size=2",
    )  # fmt: skip
    assert given.actor_rollout_ref.actor.clip_ratio_high == 0.28
    assert given.trainer.a_key_of_mine == 1


SCALED = {
    "ulysses": {"actor_rollout_ref.ref.ulysses_sequence_parallel_size": 2},
    "offload": {"actor_rollout_ref.actor.fsdp_config.optimizer_offload": True},
    "lora": {"actor_rollout_ref.model.lora_rank": 32, "actor_rollout_ref.rollout.load_format": "safetensors"},
}


@pytest.mark.parametrize("chosen", heavy_where([*SCALED, ",".join(SCALED)], [*SCALED][:2]))
@pytest.mark.parametrize("nodes", heavy_where([1, 4], [4]))
def test_ways_to_scale_compose_with_setups_and_pass_the_checks(chosen: str, nodes: int) -> None:
    given = composed("cipo", "setup=deepscaler", f"scale=[{chosen}]", f"trainer.nnodes={nodes}")
    for name in chosen.split(","):
        for key, value in SCALED[name].items():
            assert OmegaConf.select(given, key) == value
    assert given.actor_rollout_ref.actor.optim.lr == (1e-5 if "lora" in chosen else 1e-6)


def test_every_way_to_scale_is_tested() -> None:
    assert {path.stem for path in (ROOT / "configs" / "scale").glob("*.yaml")} == SCALED.keys()


def test_lora_passes_the_checks() -> None:
    """verl's own check of LoRA asks for the installed vLLM; here that is the CPU build."""
    given = composed("quickstart", "actor_rollout_ref.model.lora_rank=16", cpu=True)
    assert given.actor_rollout_ref.model.lora_rank == 16


@pytest.mark.parametrize(
    ("script", "sizes"),
    [("train_gsm8k_1gpu.sh", {"trainer.n_gpus_per_node": 1}),
     ("train_guided_gsm8k_1gpu.sh", {"trainer.n_gpus_per_node": 1, "fail2fix.correction.template": "default"}),
     ("train_seed_coder_8b_code.sh", {"trainer.n_gpus_per_node": 8, "reward.custom_reward_function.path": None}),
     ("train_deepscaler_8gpu.sh", {
        "trainer.n_gpus_per_node": 8, "data.train_batch_size": 128, "actor_rollout_ref.rollout.n": 8,
        "fail2fix.correction.attempts": 128, "fail2fix.correction.rollouts": 8, "data.max_response_length": 4096,
        "trainer.total_training_steps": 500, "data.apply_chat_template_kwargs.enable_thinking": False,
    })],
)  # fmt: skip
def test_training_scripts_dry_run_and_take_overrides_last(
    script: str,
    sizes: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command that a script becomes, run in this process: a start of verl takes ten CPU seconds."""
    import verl  # noqa: F401  (its platform is this process's, as in ``composed``)

    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" >> {tmp_path}/command\n")
    python.chmod(0o755)
    script_command = [ROOT / "scripts" / script, "--dry-run", "trainer.save_freq=7"]
    subprocess.run(script_command, check=True, timeout=120, env=GPU | {"PYTHON": str(python)})
    option, module, *arguments = (tmp_path / "command").read_text().split("\0")[:-1]
    assert (option, module) == ("-m", train.__name__)

    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    train.main()
    text = capsys.readouterr().out
    config = OmegaConf.create(text[text.index("actor_rollout_ref:") :])
    assert config.trainer.save_freq == 7
    assert list(config.trainer.logger) == ["file", "wandb"]
    assert config.actor_rollout_ref.actor.strategy == "fsdp2"
    for key, value in sizes.items():
        assert OmegaConf.select(config, key) == value, key
