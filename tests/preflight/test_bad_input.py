"""Bad input ends before Ray starts, with one clear line and a non-zero exit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants
import pyarrow
import pyarrow.parquet as parquet
import pytest
import ray
from omegaconf import DictConfig, OmegaConf

from fail2fix import preflight, train
from fail2fix.data.tasks import arithmetic
from fail2fix.method.errors import InputError
from fail2fix.preflight import room, trackers
from fail2fix.preflight.model_folder import ModelSize, check_weights
from fail2fix.preflight.reward import check_reward_function
from fail2fix.preflight.sizes_fit import check_sizes
from fail2fix.run.checkpoints import UNFINISHED
from fail2fix.run.settings import fail2fix_settings
from fail2fix.run.step_sizes import data_parallel_ranks
from fail2fix.verl_ext import compat
from tests.e2e.support.tiny import make_model
from tests.verl_ext.test_contract import config

Rows = list[dict[str, Any]]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("inputs")
    arithmetic.main([str(root), "--seed", "0"])
    make_model(root / "model")
    return root


def command_line(folder: Path, *overrides: str) -> list[str]:
    return [
        "--config-name", "quickstart", f"data.train_files={folder}/train.parquet",
        f"data.val_files={folder}/test.parquet", f"actor_rollout_ref.model.path={folder}/model",
        f"fail2fix.run.root={folder}/outputs", *overrides,
    ]  # fmt: skip


def the_line(code: int | str | None, said: str, errors: str) -> str:
    """The one line a run ends with; it must come before Ray starts."""
    assert code == 2, said[-2000:] + errors[-2000:]
    assert "Started a local Ray instance" not in said + errors
    lines = [line for line in errors.splitlines() if line.startswith("fail2fix: error: ")]
    assert len(lines) == 1, errors[-3000:]
    assert "Traceback" not in errors
    return lines[0].removeprefix("fail2fix: error: ")


def refused(folder: Path, *overrides: str) -> str:
    """The line of a process of its own. Starting one takes seconds: for what only a process can show."""
    environment = os.environ | {"VERL_PLATFORM": "cpu", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "fail2fix.train", *command_line(folder, *overrides)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, cwd=folder)
    return the_line(done.returncode, done.stdout, done.stderr)


class Main:
    """The same command line in this process: ``train.main`` from its arguments to its exit."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.monkeypatch, self.capsys = folder, monkeypatch, capsys
        monkeypatch.setattr(train.environment, "set_defaults", lambda: None)
        monkeypatch.setattr(compat, "seams", list)  # tests/verl_ext/test_contract.py asks verl for each of them
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        monkeypatch.setenv("VERL_PLATFORM", "cpu")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        monkeypatch.chdir(folder)

    def refused(self, *overrides: str) -> str:
        self.monkeypatch.setattr(sys, "argv", ["train", *command_line(self.folder, *overrides)])
        with pytest.raises(SystemExit) as ended:
            train.main()
        assert not ray.is_initialized()
        return the_line(ended.value.code, *self.capsys.readouterr())


@pytest.fixture
def main(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    return Main(folder, monkeypatch, capsys)


CASES = {
    "unknown key": (["fail2fix.correction.atempts=4"], ["fail2fix.correction.atempts"]),
    "unknown verl key": (["trainer.no_such_key=4"], ["trainer.no_such_key"]),
    "forced unknown key": (["+fail2fix.replay.no_such_key=4"], ["fail2fix.replay.no_such_key"]),
    "wrong type": (["fail2fix.correction.attempts=many"], ["fail2fix.correction.attempts", "many"]),
    "wrong choice": (["fail2fix.advantage.scale=std"], ["raw_std", "shaped_std", "none"]),
    "missing file": (["data.train_files=nowhere.parquet"], ["data.train_files=nowhere.parquet", "no such file"]),
    "missing model": (["actor_rollout_ref.model.path=./nowhere"], ["actor_rollout_ref.model.path=./nowhere"]),
    "model not on the hub": (["actor_rollout_ref.model.path=nobody/nothing"], ["nobody/nothing", "hub"]),
    "prompt budget too small": (
        ["fail2fix.correction.max_prompt_length=80"], ["fail2fix.correction.max_prompt_length=80", "raise it"],
    ),
    "prompt longer than the engine takes": (
        ["actor_rollout_ref.rollout.prompt_length=100"], ["rollout.prompt_length=100", "cut prompts from the left"],
    ),
    "indivisible sizes": (
        [
            "trainer.n_gpus_per_node=2", "fail2fix.correction.attempts=7", "fail2fix.correction.rollouts=3",
            "actor_rollout_ref.actor.use_dynamic_bsz=true",
        ],
        ["fail2fix.correction.attempts=7", "6"],
    ),
    "indivisible mini-batches": (["actor_rollout_ref.actor.ppo_mini_batch_size=4"], ["ppo_mini_batch_size=4"]),
    "seeds, perhaps": (["fail2fix.seeded_rollouts=on"], ["fail2fix.seeded_rollouts=on", "auto, true or false"]),
    "too few of Ray's CPUs": (
        ["ray_kwargs.ray_init.num_cpus=4"], ["ray_kwargs.ray_init.num_cpus=4", "set ray_kwargs.ray_init.num_cpus=5"],
    ),
    "G' = 1": (["fail2fix.correction.rollouts=1"], ["fail2fix.correction.rollouts=1", "at least 2"]),
    "unsupported feature": (["algorithm.adv_estimator=gae"], ["algorithm.adv_estimator"]),
    "legacy reward key": (
        ["custom_reward_function.path=reward.py"],
        ["custom_reward_function.path", "reward.custom_reward_function.path"],
    ),
    "legacy reward manager": (["reward_model.reward_manager=dapo"], ["reward.reward_manager.name"]),
    "too few rows": (["data.train_batch_size=120"], ["96 rows", "data.train_batch_size=120"]),
    "missing reward function": (
        ["reward.custom_reward_function.path=nowhere.py"], ["reward.custom_reward_function.path=nowhere.py"],
    ),
    "attention without its package": (
        ["actor_rollout_ref.model.override_config.attn_implementation=flash_attention_2"], ["flash-attn", "sdpa"],
    ),
    "wrong type of a verl key": (["actor_rollout_ref.rollout.n=null"], ["actor_rollout_ref.rollout.n=null", "number"]),
    "a section that Hydra cannot drop": (["algorithm=null"], ["unexpected ValueError", "HYDRA_FULL_ERROR=1"]),
    "no experiment": (["trainer.experiment_name=null"], ["trainer.experiment_name=null", "folder name"]),
    "run name": (["fail2fix.run.name=a/b"], ["fail2fix.run.name=a/b"]),
    "unknown source": (["fail2fix.replay.source=onlin"], ["fail2fix.replay.source=onlin", "lagged"]),
    "a best that is never saved": (
        ["fail2fix.checkpoint.best_metric=val-core/acc", "trainer.save_freq=-1"],
        ["fail2fix.checkpoint.best_metric=val-core/acc", "trainer.save_freq=-1"],
    ),
    "no checkpoint stays": (["fail2fix.checkpoint.keep_last=0"], ["fail2fix.checkpoint.keep_last=0", "at least 1"]),
    "a checkpoint that goes when it is read": (
        ["trainer.del_local_ckpt_after_load=true"], ["trainer.del_local_ckpt_after_load", "no checkpoint until"],
    ),
    "budget below a step": (["fail2fix.budget.rollouts=71"], ["fail2fix.budget.rollouts=71", "72"]),
    "budget below a pool and a step": (
        ["fail2fix.budget.rollouts=215", "fail2fix.replay.source=offline"], ["fail2fix.budget.rollouts=215", "216"],
    ),
    "rounds without bound": (
        ["algorithm.filter_groups.enable=true", "algorithm.filter_groups.max_num_gen_batches=0"], ["must be bounded"],
    ),
    "overlong buffer": (
        ["reward.reward_kwargs.overlong_buffer_cfg.enable=true", "reward.reward_kwargs.overlong_buffer_cfg.len=17"],
        ["overlong_buffer_cfg.len=17", "max_resp_len=16"],
    ),
    "held-out problems in another order": (
        ["fail2fix.held_out.enabled=true", "data.validation_shuffle=true"], ["data.validation_shuffle=true"],
    ),
    "a pool that is none": (
        [
            "fail2fix.replay.source=offline", "fail2fix.offline.file=train.parquet",
            "fail2fix.correction.max_prompt_length=1024", "actor_rollout_ref.rollout.max_model_len=null",
        ],
        ["train.parquet", "not a file of"],
    ),
    "no words": (["fail2fix.correction.instruction=''"], ["fail2fix.correction.instruction="]),
    "no such config": (["--config-name", "nothing"], ["nothing"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.replace(" ", "-"))
def test_bad_input_ends_in_one_clear_line(main: Main, case: str) -> None:
    overrides, named = CASES[case]
    line = main.refused(*overrides)
    assert all(part in line for part in named), line


@pytest.mark.heavy
@pytest.mark.parametrize("case", ["unknown key", "missing file"], ids=lambda case: case.replace(" ", "-"))
def test_a_process_of_its_own_ends_in_the_same_line(folder: Path, main: Main, case: str) -> None:
    overrides, _ = CASES[case]
    assert refused(folder, *overrides) == main.refused(*overrides)


def spoil(row: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**row, **fields}


DATA: dict[str, tuple[Callable[[Rows], Rows], list[str]]] = {
    "empty": (lambda rows: rows[:0], ["no rows"]),
    "no rows left": (
        lambda rows: [spoil(r, prompt=[{"role": "user", "content": "why? " * 99}]) for r in rows],
        ["all 96 rows", "data.max_prompt_length=48", "row 0"],
    ),
    "an empty problem": (
        lambda rows: [*rows[:7], spoil(rows[7], prompt=[{"role": "user", "content": " \n"}]), *rows[8:]],
        ["row 7", "'prompt'", "empty user message"],
    ),
    "no data source": (lambda rows: [*rows[:2], spoil(rows[2], data_source=""), *rows[3:]], ["row 2", "'data_source'"]),
    "content that is no text": (
        lambda rows: [spoil(r, prompt=[{"role": "user", "content": 5}]) for r in rows], ["row 0", "'prompt'", "text"],
    ),
    "extra info that is no fields": (
        lambda rows: [spoil(r, extra_info="train") for r in rows], ["row 0", "'extra_info'", "str"],
    ),
    "unknown data source": (
        lambda rows: [*rows[:2], spoil(rows[2], data_source="gsm8K"), *rows[3:]],
        ["row 2", "data_source 'gsm8K'", "+fail2fix.verifier.sources={gsm8K: math}", "custom_reward_function.path"],
    ),
    "ground truth in a sentence": (
        lambda rows: [*rows[:2], spoil(rows[2], reward_model={"ground_truth": "The answer is 4."}), *rows[3:]],
        ["row 2", "ground_truth", "for the math verifier", "answer to itself"],
    ),
    "several ground truths": (
        lambda rows: [spoil(r, reward_model={"ground_truth": ["3", "4"]}) for r in rows],
        ["row 0", "ground_truth is a list of 2"],
    ),
    "ground truth under names": (
        lambda rows: [spoil(r, reward_model={"ground_truth": {"target": ["4"]}}) for r in rows],
        ["row 0", "ground_truth is dict"],
    ),
    "tests of PRIME": (
        lambda rows: [
            spoil(r, data_source="taco", reward_model={"ground_truth": '{"inputs": ["1"], "outputs": ["2"]}'})
            for r in rows
        ],
        ["row 0", "for the code verifier"],
    ),
    "images": (
        lambda rows: [spoil(r, images=[b"..."] if n == 3 else []) for n, r in enumerate(rows)], ["row 3", "images"],
    ),
    "several turns": (
        lambda rows: [spoil(r, agent_name=("single_turn_agent", "tool_agent")[n == 70]) for n, r in enumerate(rows)],
        ["row 70", "'agent_name'", "tool_agent", "single_turn_agent"],
    ),
    "column missing": (
        lambda rows: [{k: v for k, v in r.items() if k != "reward_model"} for r in rows],
        ["reward_model"],
    ),
    "no ground truth": (
        lambda rows: [*rows[:5], spoil(rows[5], reward_model={"ground_truth": None, "style": "rule"}), *rows[6:]],
        ["row 5", "ground_truth"],
    ),
    "prompt without messages": (lambda rows: [spoil(rows[0], prompt=[]), *rows[1:]], ["row 0", "prompt"]),
    "prompt ends with the assistant": (
        lambda rows: [spoil(rows[0], prompt=[*rows[0]["prompt"], {"role": "assistant", "content": "12"}]), *rows[1:]],
        ["row 0", "user"],
    ),
}  # fmt: skip


OUR_VERIFIERS = "reward.custom_reward_function.path=null"


def test_a_file_that_is_no_parquet_says_so(main: Main, tmp_path: Path) -> None:
    path = tmp_path / "text.parquet"
    path.write_text("not parquet")
    assert "not a readable parquet file" in main.refused(f"data.train_files={path}")


def test_another_verl_is_refused(main: Main, tmp_path: Path) -> None:
    """Metadata of another version, found first on the path."""
    info = tmp_path / "verl-0.8.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: verl\nVersion: 0.8.0\n")
    main.monkeypatch.syspath_prepend(tmp_path)
    line = main.refused()
    assert "verl 0.8.0" in line
    assert "verl==0.9.1" in line


def test_a_cpu_config_without_the_cpu_platform_is_refused(main: Main) -> None:
    main.monkeypatch.setenv("VERL_PLATFORM", "")
    assert "VERL_PLATFORM" in main.refused()


def test_a_folder_of_another_run_is_refused(folder: Path, main: Main) -> None:
    other = folder / "outputs" / "quickstart" / "taken"
    other.mkdir(parents=True)
    (other / "metrics.jsonl").write_text('{"step": 1}\n')
    assert "belongs to another run" in main.refused("fail2fix.run.name=taken")
    assert (other / "metrics.jsonl").read_text() == '{"step": 1}\n'


# From here on the checks themselves, without composing from a command line.


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERL_PLATFORM", "cpu")


def composed(folder: Path, *overrides: str) -> DictConfig:
    """The quickstart on the tiny model, whose tokenizer needs more tokens for the same words and has a template."""
    return config(
        "fail2fix.held_out.enabled=false", "actor_rollout_ref.model.custom_chat_template=null",
        f"data.train_files={folder}/train.parquet", f"data.val_files={folder}/test.parquet",
        f"actor_rollout_ref.model.path={folder}/model", f"fail2fix.run.root={folder}/outputs",
        "fail2fix.correction.max_prompt_length=1024", "actor_rollout_ref.rollout.max_model_len=null", *overrides,
        name="quickstart",
    )  # fmt: skip


def refusal(check: Callable[[DictConfig], None], given: DictConfig) -> str:
    """The one line that a check refuses a config with."""
    with pytest.raises(InputError) as caught:
        check(given)
    line = str(caught.value)
    assert len(line.splitlines()) == 1, line
    return line


def test_what_the_cases_below_change_is_accepted(folder: Path) -> None:
    given = composed(folder)
    preflight.check_config(given)
    preflight.check_inputs(given)


WRONG_VALUES = [
    "data.train_files=null", "data.train_files=5", "data.train_files=[null]", "data.train_files=[]",
    "data.val_files=''", "data.train_batch_size=abc", "data.train_batch_size=0", "data.train_batch_size=8.0",
    "data.max_prompt_length=null", "data.train_max_samples=null", "data.apply_chat_template_kwargs=5",
    "actor_rollout_ref=null", "actor_rollout_ref.model=null", "actor_rollout_ref.model.path=null",
    "actor_rollout_ref.model.path=7", "actor_rollout_ref.actor=5", "actor_rollout_ref.actor.use_dynamic_bsz=maybe",
    "actor_rollout_ref.actor.ppo_mini_batch_size=-8", "actor_rollout_ref.actor.ulysses_sequence_parallel_size=0",
    "actor_rollout_ref.rollout=null", "actor_rollout_ref.rollout.n=null", "actor_rollout_ref.rollout.n=true",
    "actor_rollout_ref.rollout.prompt_length=abc", "actor_rollout_ref.rollout.max_model_len=long",
    "actor_rollout_ref.rollout.val_kwargs.n=0", "algorithm.filter_groups=null", "algorithm.rollout_correction=yes",
    "algorithm.adv_estimator=null", "reward.reward_manager=null", "reward.custom_reward_function=mine.py",
    "fail2fix=null", "fail2fix=5", "trainer=null", "trainer.n_gpus_per_node=0", "trainer.nnodes=null",
    "trainer.experiment_name=null", "trainer.experiment_name=5", "trainer.experiment_name=a/b",
    "trainer.experiment_name=..", "trainer.total_training_steps=0",
    "trainer.critic_warmup=null", "trainer.save_freq=null", "trainer.test_freq=often", "trainer.resume_mode=bogus",
    "trainer.logger=[console,bogus]", "trainer.logger=bogus", "trainer.logger=null", "global_profiler=null",
    "~trainer.save_freq", "global_profiler.steps=5", "global_profiler.steps=[one]", "skip=null",
]  # fmt: skip


@pytest.mark.heavy
def test_a_run_without_flash_attn_shows_in_its_config_what_runs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where neither the user nor the device names an attention; with one line that says so."""
    key = "actor_rollout_ref.model.override_config.attn_implementation"
    packed = "actor_rollout_ref.model.use_remove_padding=true"
    for _ in range(2):  # a run that is cut off before its first checkpoint is started again in its folder
        given = composed(folder, f"~{key}", packed, "fail2fix.run.name=without-flash-attn")
        with ExitStack() as held:
            assert train.prepare(given, dry_run=False, held=held)
        assert capsys.readouterr().err.count(f"{key}=sdpa (flash-attn is not installed)") == 1
    written = OmegaConf.load(folder / "outputs" / "quickstart" / "without-flash-attn" / "config.yaml")
    assert OmegaConf.select(written, key) == "sdpa"


SDPA = "+actor_rollout_ref.model.override_config.attn_implementation=sdpa"
SHARED = [
    (["trainer.n_gpus_per_node=4", "%s=3"], "=3 does not divide the 4 devices"),
    (["trainer.n_gpus_per_node=4", "%s=2", SDPA], "=sdpa"),
    (["trainer.n_gpus_per_node=4", "%s=2", "actor_rollout_ref.model.use_remove_padding=false"], "padding=False"),
]
ULYSSES_KEYS = [
    "actor_rollout_ref.actor.ulysses_sequence_parallel_size",
    "actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size",
]


@pytest.mark.parametrize("key", ULYSSES_KEYS)
@pytest.mark.parametrize(("overrides", "words"), SHARED)
def test_sequences_that_devices_cannot_share_are_refused(
    key: str, overrides: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With other attention verl would let each device attend to its own part, and say nothing."""
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    given = config(*[override.replace("%s", key) for override in overrides], name="cipo")
    line = refusal(lambda c: check_sizes(c, fail2fix_settings(c)), given)
    assert line.startswith("actor_rollout_ref.actor.ulysses_sequence_parallel_size")
    assert words in line


@pytest.mark.parametrize("key", ULYSSES_KEYS)
def test_a_shared_sequence_may_be_as_long_as_its_devices_hold_together(key: str) -> None:
    tokens = "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=8192"
    sizes = ["trainer.n_gpus_per_node=4", tokens, "data.max_response_length=6000"]
    alone = config(*sizes, name="cipo")
    assert "ppo_max_token_len_per_gpu=8192 is below" in refusal(lambda c: check_sizes(c, fail2fix_settings(c)), alone)
    check_sizes(shared := config(*sizes, f"{key}=2", name="cipo"), fail2fix_settings(shared))
    assert data_parallel_ranks(shared) == 2


@pytest.mark.parametrize("override", WRONG_VALUES)
def test_a_value_of_the_wrong_kind_names_its_key(folder: Path, override: str) -> None:
    line = refusal(preflight.check_config, composed(folder, override))
    assert line.startswith(override.strip("~").partition("=")[0] + "="), line
    assert "must be" in line


@pytest.mark.parametrize(
    "override",
    ["trainer.logger=console", "trainer.logger=[]", "global_profiler.steps=[1,2]", "trainer.save_freq=-1",
     "algorithm.rollout_correction=null", "data.train_files=[a.parquet,b.parquet]"],
)  # fmt: skip
def test_other_forms_that_verl_takes_pass(folder: Path, override: str) -> None:
    preflight.check_config(composed(folder, override))


RESUMED = {
    "null": "null",
    "{folder}/outputs": "global_step_50",
    "{folder}/global_step_5/": "global_step_50",
    "{folder}/global_step_7": "no such folder",
}


@pytest.mark.parametrize("path", RESUMED)
def test_a_checkpoint_to_resume_must_be_there(folder: Path, path: str) -> None:
    path, named = path.format(folder=folder), RESUMED[path]
    given = composed(folder, "trainer.resume_mode=resume_path", f"trainer.resume_from_path={path}")
    line = refusal(preflight.check_config, given)
    assert f"trainer.resume_from_path={path}" in line
    assert named in line


def test_a_checkpoint_that_is_there_can_be_resumed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "global_step_5").mkdir()
    path = f"trainer.resume_from_path={tmp_path}/global_step_5"
    preflight.check_config(composed(folder, "trainer.resume_mode=resume_path", path))


def test_a_checkpoint_that_was_not_finished_cannot_be_resumed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "global_step_5").mkdir()
    (tmp_path / "global_step_5" / UNFINISHED).touch()
    path = f"trainer.resume_from_path={tmp_path}/global_step_5"
    line = refusal(preflight.check_config, composed(folder, "trainer.resume_mode=resume_path", path))
    assert path in line
    assert "killed while writing" in line


def test_runs_cannot_be_kept_in_a_file(folder: Path) -> None:
    line = refusal(preflight.check_config, composed(folder, f"fail2fix.run.root={folder}/train.parquet"))
    assert "fail2fix.run.root=" in line
    assert "is a file" in line


def rows_of(folder: Path) -> Rows:
    return parquet.read_table(folder / "train.parquet").to_pylist()


def write_json(path: Path, rows: Rows, indent: int | None = None) -> str:
    path.write_text("\n".join(json.dumps(row, indent=indent) for row in rows))
    return f"data.train_files={path}"


def latin1_parquet(folder: Path, path: Path) -> str:
    """A file whose text is not UTF-8: bytes relabelled as text, which Arrow writes unchecked."""
    table = pyarrow.Table.from_pylist(rows_of(folder))
    source = pyarrow.array([b"caf\xe9"] * len(table), pyarrow.binary()).view(pyarrow.string())
    parquet.write_table(table.set_column(table.column_names.index("data_source"), "data_source", source), path)
    return f"data.train_files={path}"


def other_types(folder: Path, path: Path) -> Path:
    """The same rows, one column of another type."""
    table = parquet.read_table(folder / "train.parquet")
    place = table.column_names.index("data_source")
    parquet.write_table(table.set_column(place, "data_source", table["data_source"].cast(pyarrow.large_string())), path)
    return path


def too_long(rows: Rows, *places: int) -> Rows:
    """The rows, some with problems longer than any limit here."""
    long = [{"role": "user", "content": "why? " * 999}]
    return [spoil(row, prompt=long) if place in places else row for place, row in enumerate(rows)]


FILES: dict[str, tuple[Callable[[Path, Path], str], list[str]]] = {
    "folder": (lambda f, t: f"data.train_files={(t / 'd.parquet').mkdir() or t}/d.parquet", ["is a folder"]),
    "other format": (lambda f, t: f"data.train_files={f}/train.csv", ["train.csv", ".parquet, .json, .jsonl"]),
    "text that is not UTF-8": (lambda f, t: latin1_parquet(f, t / "x.parquet"), ["x.parquet", "not a readable"]),
    "no JSON": (
        lambda f, t: f"data.train_files={(t / 'x.json').write_text('[{') and t}/x.json", ["not a readable JSON"],
    ),
    "JSON row without a field": (
        lambda f, t: write_json(t / "x.jsonl", [*rows_of(f)[:3], {"prompt": [], "data_source": "a"}]),
        ["x.jsonl", "row 3", "reward_model"],
    ),
    "JSON row that is a number": (lambda f, t: write_json(t / "x.jsonl", [*rows_of(f)[:2], 7]), ["row 2", "object"]),
    "JSON with half a character": (
        lambda f, t: write_json(t / "x.jsonl", [spoil(rows_of(f)[0], prompt=[{"role": "user", "content": "\ud800?"}])]),
        ["row 0", "'prompt'", "surrogate"],
    ),
    "files of different columns": (
        lambda f, t: f"data.train_files=[{f}/train.parquet,{other_types(f, t / 'x.parquet')}]",
        ["column 'data_source'", "x.parquet", "joined"],
    ),
    "a prompt the engine would cut": (
        lambda f, t: f"{write_json(t / 'x.jsonl', too_long(rows_of(f), 3))} data.filter_overlong_prompts=false",
        ["x.jsonl", "row 3", "prompt_length=1024", "from the left", "data.filter_overlong_prompts=true"],
    ),
    "few rows left": (
        lambda f, t: write_json(t / "x.jsonl", too_long(rows_of(f)[:8], 1, 4, 6)),
        ["5 rows left of 8", "data.train_batch_size=6"],
    ),
    "JSON with too few rows": (
        lambda f, t: write_json(t / "x.json", rows_of(f)[:5]), ["5 rows", "data.train_batch_size=6"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.replace(" ", "-"))
def test_a_data_file_that_cannot_serve_is_named(folder: Path, tmp_path: Path, case: str) -> None:
    make, named = FILES[case]
    line = refusal(preflight.check_inputs, composed(folder, *make(folder, tmp_path).split()))
    assert all(part in line for part in ["data.train_files", *named]), line


@pytest.mark.parametrize("case", DATA, ids=lambda case: case.replace(" ", "-"))
def test_malformed_data_names_the_file_and_the_row(folder: Path, tmp_path: Path, case: str) -> None:
    change, named = DATA[case]
    table = parquet.read_table(folder / "train.parquet")
    rows = change(table.to_pylist())
    path = tmp_path / "bad.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows) if rows else table.slice(0, 0), path)
    line = refusal(preflight.check_inputs, composed(folder, f"data.train_files={path}", OUR_VERIFIERS))
    assert all(part in line for part in [str(path), *named]), line


def test_files_that_differ_within_their_extra_info_are_joined(folder: Path, tmp_path: Path) -> None:
    rows = [spoil(row, extra_info={"id": str(n), "tags": "old"}) for n, row in enumerate(rows_of(folder))]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "x.parquet")
    notes = preflight.check_inputs(composed(folder, f"data.train_files=[{folder}/train.parquet,{tmp_path}/x.parquet]"))
    assert [note for note in notes if "96 of 192 rows repeat" not in note] == []


@pytest.mark.parametrize("indent", [None, 2])
def test_json_rows_are_counted(folder: Path, tmp_path: Path, indent: int | None) -> None:
    assert preflight.check_inputs(composed(folder, write_json(tmp_path / "x.json", rows_of(folder), indent))) == []


def test_other_rows_that_verl_takes_pass(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ids used twice, ground truths as numbers and lists of one, no extra info; and who judges them is said."""
    rows = [
        spoil(row, extra_info={"id": "1"}, reward_model={"ground_truth": [float(row["reward_model"]["ground_truth"])]})
        for row in rows_of(folder)
    ]
    rows[5] |= {"extra_info": None, "images": [], "agent_name": "single_turn_agent"}
    given = composed(folder, write_json(tmp_path / "x.jsonl", rows), OUR_VERIFIERS)
    assert preflight.check_inputs(given) == []
    assert "data_source 'fail2fix/arithmetic': " in (said := capsys.readouterr().out)
    assert "judged by the math verifier" in said


def test_an_own_reward_function_needs_no_ground_truth_and_names_its_sources(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "reward.py").write_text("def compute_score(**_):\n    return 1.0\n")
    truths = [None, "", "It is 4.", True, ["3", "4"], {"target": 4}] * 16
    rows = [
        spoil(row, data_source="mine", reward_model={"ground_truth": truth})
        for row, truth in zip(rows_of(folder), truths, strict=True)
    ]
    own = f"reward.custom_reward_function.path={tmp_path}/reward.py"
    preflight.check_inputs(composed(folder, write_json(tmp_path / "x.jsonl", rows), own))
    del rows[3]["reward_model"]["ground_truth"]
    line = refusal(preflight.check_inputs, composed(folder, write_json(tmp_path / "x.jsonl", rows), own))
    assert "row 3: 'reward_model' must have a ground_truth" in line


def test_an_agent_column_is_the_users_own_choice_without_corrections(folder: Path, tmp_path: Path) -> None:
    rows = [spoil(row, agent_name="tool_agent") for row in rows_of(folder)]
    off = "fail2fix.correction.enabled=false"
    preflight.check_inputs(composed(folder, write_json(tmp_path / "x.jsonl", rows), off))


def with_pictures(folder: Path, path: Path) -> str:
    """Rows with a column that `datasets` reads as image objects, under a name that verl does not know."""
    rows = datasets.Dataset.from_list([spoil(row, figure=None) for row in rows_of(folder)])
    rows.cast_column("figure", datasets.Image()).to_parquet(path)
    return f"data.train_files={path}"


@pytest.mark.parametrize("stores", ["fail2fix.replay.source=lagged", "fail2fix.replay.source=offline"])
def test_columns_that_no_file_of_rollouts_holds_are_refused_where_one_is_written(
    folder: Path, tmp_path: Path, stores: str
) -> None:
    pictures = with_pictures(folder, tmp_path / "x.parquet")
    preflight.check_inputs(composed(folder, pictures))
    line = refusal(preflight.check_inputs, composed(folder, pictures, stores))
    assert "x.parquet: column 'figure' holds objects (Image(" in line


MANAGERS = {
    "naive": ["reward.reward_manager.name=naive"],
    "unknown": ["reward.reward_manager.name=bogus", "reward.reward_manager.source=register"],
    "no such module": ["reward.reward_manager.module.path=pkg://no.such.module"],
}


@pytest.mark.parametrize("case", MANAGERS)
def test_a_reward_manager_that_no_worker_finds_is_named(folder: Path, case: str) -> None:
    line = refusal(check_reward_function, composed(folder, *MANAGERS[case]))
    assert line.startswith("reward.reward_manager.name=")


def test_a_service_for_programs_is_named_where_our_verifiers_look(folder: Path) -> None:
    url = "reward.sandbox_fusion.url=http://localhost:1"
    line = refusal(preflight.check_config, composed(folder, url))
    assert line.startswith("reward.sandbox_fusion.url: ")
    assert "fail2fix.verifier.code.endpoint" in line
    verls = ["fail2fix.correction.enabled=false", "reward.reward_manager.name=naive"]
    preflight.check_config(composed(folder, url, *verls))


ROLLOUT = "actor_rollout_ref.rollout"
LATE = {
    "one rollout a group": (["fail2fix.correction.enabled=false", f"{ROLLOUT}.n=1"], f"{ROLLOUT}.n=1: grpo"),
    "engines that do not divide": (
        ["trainer.n_gpus_per_node=2", f"{ROLLOUT}.tensor_model_parallel_size=3"], "tensor_model_parallel_size=3",
    ),
    "engines over parts of nodes": (
        ["trainer.n_gpus_per_node=3", "trainer.nnodes=4", f"{ROLLOUT}.tensor_model_parallel_size=4"],
        "tensor_model_parallel_size=4",
    ),
    "log-probs of the policy": (
        [f"{ROLLOUT}.log_prob_use_dynamic_bsz=true", f"{ROLLOUT}.log_prob_max_token_len_per_gpu=99"],
        "rollout.log_prob_max_token_len_per_gpu=99 is below the longest row",
    ),
    "log-probs of the reference": (
        ["actor_rollout_ref.ref.log_prob_use_dynamic_bsz=true", "actor_rollout_ref.actor.use_kl_loss=true",
         "actor_rollout_ref.ref.log_prob_max_token_len_per_gpu=99"],
        "ref.log_prob_max_token_len_per_gpu=99 is below the longest row",
    ),
    "an estimator": (
        ["algorithm.adv_estimator=grop", "fail2fix.correction.enabled=false"], "algorithm.adv_estimator: verl knows no",
    ),
    "a schedule of the learning rate": (["actor_rollout_ref.actor.optim.lr_scheduler_type=linear"], "constant, cosine"),
    "a number format": ([f"{ROLLOUT}.dtype=int8"], f"{ROLLOUT}.dtype=int8"),
    "a mode of the engines": ([f"{ROLLOUT}.mode=sync"], "verl refuses the config"),
    "greedy samples": ([f"{ROLLOUT}.val_kwargs.temperature=0"], "greedy samples are equal"),
}  # fmt: skip


@pytest.mark.parametrize("case", LATE)
def test_what_only_a_worker_would_find_is_refused(folder: Path, case: str) -> None:
    overrides, named = LATE[case]
    assert named in refusal(preflight.check_config, composed(folder, *overrides))


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("name", ["a/b", "a:b", "a\\b", "a#b", "a?b", "a%b", "a" * 129])
def test_a_project_that_wandb_refuses_is_named_where_wandb_is_on(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    given = composed(folder)
    given.trainer.project_name = name
    assert trackers.check_trackers(given) == []
    given.trainer.logger = ["console", "wandb"]
    assert "trainer.project_name=" in refusal(trackers.check_trackers, given)
    given.trainer.project_name = "a b"
    assert trackers.check_trackers(given) == []


def test_rows_that_only_verl_can_count_refuse_nothing(folder: Path) -> None:
    """A remote file may have any number of rows, so none of its numbers is too small."""
    remote = "data.train_files=hdfs://far/away.parquet"
    preflight.check_inputs(composed(folder, remote))


def test_a_model_without_a_tokenizer_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "model" / "config.json").read_text())
    for stream in ("true", "false"):
        given = composed(folder, f"actor_rollout_ref.model.path={tmp_path}", f"fail2fix.correction.enabled={stream}")
        line = refusal(preflight.check_inputs, given)
        assert f"actor_rollout_ref.model.path={tmp_path}" in line
        assert "tokenizer" in line


def test_the_runs_own_chat_template_is_the_one_that_is_checked(folder: Path) -> None:
    template = "actor_rollout_ref.model.custom_chat_template"
    line = refusal(preflight.check_inputs, composed(folder, f"{template}='says nothing of the messages'"))
    assert "its chat template is not usable" in line


def test_a_reward_file_that_fails_without_a_message_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "reward.py").write_text("raise IndexError\n")
    path = f"reward.custom_reward_function.path={tmp_path}/reward.py"
    assert "cannot be loaded (IndexError)" in refusal(preflight.check_inputs, composed(folder, path))


@pytest.mark.parametrize(
    ("code", "named"),
    [
        (None, "cannot be loaded"),
        ("def compute_score(answer): ...", "does not take the arguments"),
        ("def compute_score(data_source, solution_str, ground_truth): ...", "unexpected keyword argument 'extra_info'"),
        ("def compute_score(solution_str, ground_truth, bonus, **_): ...", "'bonus'"),
        ("def compute_score(data_source, solution_str, ground_truth, extra_info=None): ...", None),
        ("async def compute_score(solution_str, ground_truth, **_): ...", None),
    ],
)
def test_a_dry_run_checks_the_reward_function(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str | None, named: str | None
) -> None:
    if code:
        (tmp_path / "reward.py").write_text(code)
    given = composed(folder, f"reward.custom_reward_function.path={tmp_path}/reward.py")

    def dry_run(given: DictConfig) -> bool:
        return train.prepare(given, dry_run=True, held=ExitStack())

    if named is None:
        assert dry_run(given) is False
        return
    assert named in refusal(dry_run, given)
    assert capsys.readouterr().out == ""


def same_model(folder: Path, out: Path, **changes: object) -> str:
    """The override for a copy of the tiny model whose config says something else."""
    shutil.copytree(folder / "model", out)
    found = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(found | changes))
    return f"actor_rollout_ref.model.path={out}"


def without(folder: Path, out: Path, name: str) -> str:
    path = same_model(folder, out)
    (out / name).unlink()
    return path


def cut_short(folder: Path, out: Path) -> str:
    path = same_model(folder, out)
    os.truncate(out / "model.safetensors", 1000)
    return path


def half_sharded(folder: Path, out: Path) -> str:
    path = without(folder, out, "model.safetensors")
    (out / "model.safetensors.index.json").write_text('{"weight_map": {"lm_head.weight": "model-1-of-2.safetensors"}}')
    return path


def without_template(folder: Path, out: Path) -> str:
    path = same_model(folder, out)
    for file in out.glob("chat_template*"):
        file.unlink()
    return path


def without_end(folder: Path, out: Path) -> str:
    path = same_model(folder, out)
    settings = json.loads((out / "tokenizer_config.json").read_text())
    names = ("eos_token", "pad_token")
    (out / "tokenizer_config.json").write_text(json.dumps({k: v for k, v in settings.items() if k not in names}))
    return path


MODELS: dict[str, tuple[Callable[[Path, Path], str], list[str]]] = {
    "broken config": (
        lambda f, t: f"{same_model(f, t)}{(t / 'config.json').write_text('{') * ''}", ["config.json is not usable"],
    ),
    "unknown kind of model": (lambda f, t: same_model(f, t, model_type="none-such"), ["config.json", "none-such"]),
    "code of its own": (
        lambda f, t: same_model(f, t, model_type="own", auto_map={"AutoConfig": "own.Config"}), ["config.json"],
    ),
    "no weights": (lambda f, t: without(f, t, "model.safetensors"), ["no weights", "download it again"]),
    "weights cut short": (cut_short, ["model.safetensors is truncated"]),
    "a missing shard": (half_sharded, ["model-1-of-2.safetensors", "missing"]),
    "no chat template": (without_template, ["no chat template", "actor_rollout_ref.model.custom_chat_template"]),
    "no end of turn": (without_end, ["no eos_token"]),
    "a tokenizer of a larger model": (lambda f, t: same_model(f, t, vocab_size=300), ["vocab_size is 300"]),
    "too few positions": (
        lambda f, t: same_model(f, t, max_position_embeddings=1000), ["prompt_length=1024", "1000 positions"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS, ids=lambda case: case.replace(" ", "-"))
def test_a_model_that_cannot_serve_is_named(folder: Path, tmp_path: Path, case: str) -> None:
    make, named = MODELS[case]
    line = refusal(preflight.check_inputs, composed(folder, make(folder, tmp_path / "model")))
    assert all(part in line for part in [str(tmp_path) if "positions" not in case else "max_position", *named]), line


def test_more_positions_than_the_model_has_are_the_users_own_choice(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "1")
    preflight.check_inputs(composed(folder, same_model(folder, tmp_path / "model", max_position_embeddings=1000)))


def with_template(template: str) -> str:
    return f"actor_rollout_ref.model.custom_chat_template='{template}'"


TURN = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
TURNS = "{% for m in messages %}" + TURN
USERS = "{% for m in messages if m.role != \\'system\\' %}" + TURN
NO_TOOLS = "{% for m in messages %}{{ raise_exception() if m.role == \\'tool\\' }}" + TURN
START = "<|im_start|>assistant\n"
THINKS = START + "{% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}"
MAY_THINK = START + "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"


@pytest.mark.parametrize("correction", ["true", "false"])
def test_a_template_that_loses_what_rows_say_is_refused(folder: Path, tmp_path: Path, correction: str) -> None:
    """The same template serves rows without a system message."""
    rows = rows_of(folder)
    rows[4]["prompt"] = [{"role": "system", "content": "Answer in words."}, *rows[4]["prompt"]]
    options = [with_template(USERS), f"fail2fix.correction.enabled={correction}"]
    preflight.check_inputs(composed(folder, *options))
    line = refusal(preflight.check_inputs, composed(folder, write_json(tmp_path / "x.jsonl", rows), *options))
    assert "x.jsonl: row 4: the chat template leaves out the system message" in line


def test_a_template_that_raises_on_a_row_is_refused(folder: Path, tmp_path: Path) -> None:
    rows = rows_of(folder)
    rows[4]["prompt"] = [{"role": "tool", "content": "5"}, *rows[4]["prompt"]]
    options = [write_json(tmp_path / "x.jsonl", rows), with_template(NO_TOOLS)]
    line = refusal(preflight.check_inputs, composed(folder, *options))
    assert "x.jsonl: row 4: the chat template does not render the roles ['tool', 'user']" in line


THINKING = {
    "opened": ([with_template(TURNS + THINKS)], "begins every answer with <think>"),
    "left open": ([with_template(TURNS + MAY_THINK)], "+data.apply_chat_template_kwargs.enable_thinking=false"),
    "said": ([with_template(TURNS + MAY_THINK), "+data.apply_chat_template_kwargs.enable_thinking=false"], ""),
}


@pytest.mark.parametrize("case", THINKING)
def test_thinking_that_a_template_adds_is_noted_and_not_refused(folder: Path, case: str) -> None:
    overrides, noted = THINKING[case]
    notes = preflight.check_inputs(composed(folder, *overrides))
    assert len(notes) == bool(noted)
    assert all(noted in note for note in notes)


def test_marks_of_thinking_that_are_not_known_are_noted(folder: Path) -> None:
    template = with_template(TURNS + START + "{% if false %}<reasoning>{% endif %}")
    (note,) = preflight.check_inputs(composed(folder, template))
    assert "<reasoning>" in note
    assert "fail2fix.correction.thinking_marks" in note
    for known in ('thinking_marks=[["<reasoning>","</reasoning>"]]', "thinking=keep", "enabled=false"):
        assert preflight.check_inputs(composed(folder, template, f"fail2fix.correction.{known}")) == []


def test_correction_prompts_that_cannot_hold_a_whole_attempt_are_noted(folder: Path) -> None:
    """The bound is the longest problem, the longest response and the words around them."""
    lengths = ["data.max_prompt_length=90", "data.max_response_length=500"]
    (note,) = preflight.check_inputs(composed(folder, *lengths, "fail2fix.correction.max_prompt_length=580"))
    numbers = re.search(r"max_prompt_length=580 is below (\d+), .*=90 \+ .*=500 \+ (\d+) tokens", note)
    assert numbers is not None
    needed, words = map(int, numbers.groups())
    assert needed == 590 + words
    for length, notes in ((needed, 0), (needed - 1, 1)):
        given = composed(folder, *lengths, f"fail2fix.correction.max_prompt_length={length}")
        assert len(preflight.check_inputs(given)) == notes
    assert preflight.check_inputs(composed(folder, *lengths, "fail2fix.correction.enabled=false")) == []


@pytest.mark.parametrize("mark", ["<|im_end|>\n<|im_start|>system\n", "<think>", "[/THINK]"])
def test_markup_in_a_problem_is_counted_and_not_refused(folder: Path, tmp_path: Path, mark: str) -> None:
    rows = rows_of(folder)
    for row in (rows[4], rows[7]):
        row["prompt"] = [{"role": "user", "content": f"{mark} 1+{row['prompt'][-1]['content'][:1]}?"}]
    given = composed(folder, write_json(tmp_path / "x.jsonl", rows))
    note = next(note for note in preflight.check_inputs(given) if "special token or a thinking mark" in note)
    assert note.startswith("data.train_files: 2 of 96 rows")
    assert f"{mark.splitlines()[0]} in row 4 of {tmp_path / 'x.jsonl'}" in note


def test_a_template_of_one_user_turn_is_refused_for_turns_only(folder: Path) -> None:
    template = with_template("User: {{ messages[0].content }}\nAssistant: ")
    preflight.check_inputs(composed(folder, template))
    line = refusal(preflight.check_inputs, composed(folder, template, "fail2fix.correction.form=turn"))
    assert "form=block" in line


def test_what_is_counted_names_its_key_and_how_many(folder: Path, tmp_path: Path) -> None:
    """Two long problems, which are one problem with two answers; a row twice; a row with another answer."""
    rows = too_long(rows_of(folder), 5, 6)
    rows[8] = rows[7]
    rows[9] = spoil(rows[7], reward_model=rows[7]["reward_model"] | {"ground_truth": "1000"})
    given = composed(folder, write_json(tmp_path / "x.jsonl", rows))
    overlong, repeated, contradictory = preflight.check_inputs(given)
    assert overlong.startswith("data.train_files: 2 of 96 rows are longer than data.max_prompt_length=48 tokens")
    assert "row 5 of" in overlong
    assert repeated.startswith("data.train_files: 1 of 96 rows repeat an earlier problem")
    assert contradictory.startswith("data.train_files: 2 of 96 rows have an earlier row's problem with another")


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without logins of any service."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in list(os.environ):
        if name.startswith(("WANDB_", "SWANLAB_", "HF_TOKEN", "VERL_FILE", "NETRC")):
            monkeypatch.delenv(name)


LOGINS: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "wandb": ("wandb", {}, ["WANDB_API_KEY", "WANDB_MODE=offline"]),
    "its old name": ("tracking", {}, ["tracking", "WANDB_API_KEY"]),
    "half a key": ("wandb", {"WANDB_API_KEY": "abc"}, ["WANDB_API_KEY has 3"]),
    "another server": ("wandb", {"WANDB_BASE_URL": "http://far.example"}, ["WANDB_API_KEY"]),
    "not installed": ("swanlab", {}, ["swanlab is not installed", "pip install swanlab"]),
    "no folder": ("file", {"VERL_FILE_LOGGER_PATH": "/no/such/x.jsonl"}, ["VERL_FILE_LOGGER_PATH=/no/such/x.jsonl"]),
}


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("case", LOGINS)
def test_a_tracker_that_would_fail_later_is_named(folder: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, environment, named = LOGINS[case]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    line = refusal(preflight.check_inputs, composed(folder, f"trainer.logger=[console,{name}]"))
    assert all(part in line for part in ["trainer.logger", *named]), line


LACKING: dict[str, tuple[dict[str, str], str, dict[str, str]]] = {
    "swanlab": ({}, "SWANLAB_API_KEY", {"SWANLAB_MODE": "local"}),
    "mlflow": ({"MLFLOW_TRACKING_USERNAME": "me"}, "MLFLOW_TRACKING_PASSWORD", {}),
    "mlflow ": (
        {"MLFLOW_TRACKING_URI": "databricks"}, "DATABRICKS_TOKEN", {"MLFLOW_TRACKING_URI": "sqlite:///x.db"},
    ),
    "clearml": ({}, "clearml-init", {"CLEARML_API_ACCESS_KEY": "a", "CLEARML_API_SECRET_KEY": "b"}),
    "vemlp_wandb": ({"VOLC_ACCESS_KEY_ID": "a"}, "MLP_TRACKING_REGION", {
        "VOLC_ACCESS_KEY_ID": "a", "VOLC_SECRET_ACCESS_KEY": "b", "MLP_TRACKING_REGION": "c",
    }),
    "rl_insight": ({}, "VERL_RL_INSIGHT_ENABLE=1", {"VERL_RL_INSIGHT_ENABLE": "1"}),
    "trackio": ({"TRACKIO_SPACE_ID": "me/x"}, "HF_TOKEN", {"TRACKIO_SPACE_ID": "me/x", "HF_TOKEN": "x"}),
}  # fmt: skip


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("case", LACKING)
def test_what_a_tracker_lacks_is_said_and_what_suffices_is_taken(case: str) -> None:
    """Those that are not installed here too."""
    without_login, named, with_login = LACKING[case]
    module = trackers.MODULES[case.strip()]
    assert named in trackers.missing_login(module, without_login)
    assert trackers.missing_login(module, with_login) == ""


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("server", ["", "http://far.example"])
def test_a_login_of_wandb_is_a_key(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    host = server.partition("//")[2] or "api.wandb.ai"
    (tmp_path / ".netrc").write_text(f"machine {host}\nlogin user\npassword {'k' * 40}\n")
    if server:
        monkeypatch.setenv("WANDB_BASE_URL", server)
    assert trackers.check_trackers(composed(folder, "trainer.logger=wandb")) == []


@pytest.mark.usefixtures("nobody")
def test_a_tracker_that_would_empty_a_file_is_warned_of(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERL_FILE_LOGGER_PATH", str(tmp_path / "x.jsonl"))
    given = composed(folder, "trainer.logger=[file]")
    assert trackers.check_trackers(given) == []
    (tmp_path / "x.jsonl").write_text("{}")
    (line,) = trackers.check_trackers(given)
    assert "x.jsonl first" in line


BUCKET = "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes"


def huge_model(folder: Path, out: Path) -> str:
    """ModelSize of 4 TiB that take no room: a header, and a hole in the place of the tensor."""
    path = without(folder, out, "model.safetensors")
    size = 1 << 42
    tensor = {"dtype": "BF16", "shape": [1 << 20, 1 << 21], "data_offsets": [0, size]}
    header = json.dumps({"lm_head.weight": tensor}).encode()
    with (out / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    return path


def test_checkpoints_that_cannot_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    given = [huge_model(folder, tmp_path / "model"), f"{BUCKET}=16777216", "trainer.device=cuda"]
    line = refusal(lambda c: room.check_room(c, check_weights(c)), composed(folder, *given))
    assert "trainer.default_local_dir=" in line
    assert "26,388.3 GB" in line  # 2.2 T parameters, weights and two states of Adam in fp32
    assert room.check_room(composed(folder, *given, "trainer.save_freq=-1"), ModelSize(1 << 41, 1 << 41)) == []


def test_a_disk_that_may_fill_up_is_warned_of(folder: Path) -> None:
    one = shutil.disk_usage(folder).free // 12 // 4  # five do not fit, three do, whatever else writes meanwhile
    weights = ModelSize(parameters=one, largest=1)
    saved = ["trainer.save_freq=10", "trainer.total_training_steps=50"]
    (line,) = room.check_room(composed(folder, *saved), weights)
    assert "trainer.default_local_dir=" in line
    assert ": 5 checkpoints of about" in line
    assert room.check_room(composed(folder, *saved, "trainer.max_actor_ckpt_to_keep=2"), weights) == []


@pytest.mark.parametrize(("megabytes", "named"), [("999999999", "/dev/shm"), ("1", "largest tensor needs 2 in fp32")])
def test_shared_memory_must_hold_the_weights_on_their_way(folder: Path, megabytes: str, named: str) -> None:
    given = composed(folder, f"{BUCKET}={megabytes}")
    line = refusal(lambda c: room.check_room(c, ModelSize(1 << 20, 1 << 19)), given)
    assert f"{BUCKET}={megabytes}" in line
    assert named in line


SECRETS = {
    "trainer.wandb_api_key": "0123456789abcdef0123456789abcdef01234567",
    "trainer.note": "hf_abcdefghijklmnopqrstuvwx",
    "trainer.other": "sk-proj-0123456789abcdefghij",
    "trainer.aws": "AKIAABCDEFGHIJKLMNOP",
    "trainer.url": "https://me:hunter22@far.example/v1",
    "ray_kwargs.ray_init.runtime_env.env_vars.HF_TOKEN": "short",
    "trainer.interpolated": "${oc.env:PLANTED_TOKEN}",
    "trainer.with_default": "${oc.env:PLANTED_TOKEN,none}",
    "trainer.copied": "x-canary-5512-x",
}
PLANTED = "canary-5512"


@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_is_refused_and_not_repeated(main: Main, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """On the command line, where Hydra's own errors would repeat it, and in a config."""
    monkeypatch.setenv("PLANTED_TOKEN", PLANTED)
    override = f"+{key}='{SECRETS[key]}'"
    for line in (main.refused(override), refusal(preflight.check_config, composed(main.folder, override))):
        assert line.startswith(f"{key}: is ")
        assert "environment" in line
        assert SECRETS[key] not in line
        assert PLANTED not in line


def test_an_error_of_hydra_does_not_repeat_a_secret(main: Main) -> None:
    line = main.refused("trainer.note=[hf_abcdefghijklmnopqrstuvwx")
    assert "a Hugging Face token" in line
    assert "abcdefgh" not in line


def test_ordinary_settings_are_no_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among them verl's own `prompt_key` and `max_token_len`, a short value of a variable, and a disk-like name."""
    monkeypatch.setenv("SHORT_KEY", "1")
    preflight.check_config(composed(folder, "+trainer.note=task-sk-learn-models", "+trainer.place=${oc.env:HOME}"))


def test_errors_cannot_write_control_sequences(folder: Path, main: Main, tmp_path: Path) -> None:
    row = spoil(rows_of(folder)[0], data_source="a\x1b]0;owned\x07\u202e")
    line = main.refused(write_json(tmp_path / "x.jsonl", [row]), OUR_VERIFIERS)
    assert "data_source 'a\\x1b]0;owned\\x07" in line
    assert all(character.isprintable() for character in line)


def test_code_of_a_model_is_run_only_where_asked_for_and_warned_of(folder: Path) -> None:
    asked = composed(folder, "actor_rollout_ref.model.trust_remote_code=true")
    assert preflight.config_warnings(composed(folder)) == []
    (line,) = preflight.config_warnings(asked)
    assert line.startswith("actor_rollout_ref.model.trust_remote_code=true")


DOUBTS = {
    "none, divided base": (["fail2fix.advantage.scale=none"], ["fail2fix.advantage.scale=none", "in_grpo=false"]),
    "raw_std, plain base": (["algorithm.norm_adv_by_std_in_grpo=false"], ["scale=raw_std", "in_grpo=true"]),
    "inert penalty": (["fail2fix.advantage.scale=shaped_std"], ["fail2fix.risk.penalty=1.0 has no effect"]),
    "defaults": ([], []),
    "Dr. GRPO": (["fail2fix.advantage.scale=none", "algorithm.norm_adv_by_std_in_grpo=false"], []),
    "one stream": (["fail2fix.advantage.scale=none", "fail2fix.correction.enabled=false"], []),
}


@pytest.mark.parametrize("case", DOUBTS)
def test_what_is_hardly_meant_is_warned_of_once(folder: Path, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    overrides, named = DOUBTS[case]
    assert train.prepare(composed(folder, *overrides), dry_run=True, held=ExitStack()) is False
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fail2fix: warning: ")]
    assert len(lines) == bool(named), lines
    assert all(part in lines[0] for part in named)


def fails_with(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any) -> Any:
        raise error

    return fail


@pytest.fixture
def one_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """``main`` on one config, without Hydra and without changing this process's environment."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr(sys, "argv", ["train"])
    monkeypatch.setattr(train.environment, "set_defaults", lambda: None)
    monkeypatch.setattr(train, "compose", lambda: [DictConfig({})])


@pytest.mark.usefixtures("one_config")
@pytest.mark.parametrize(
    "error", [KeyError("no\nsuch"), AssertionError(), ZeroDivisionError("zero"), OSError(28, "full")]
)
def test_an_unforeseen_error_before_training_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train, "prepare", fails_with(error))
    with pytest.raises(SystemExit, match="2"):
        train.main()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"fail2fix: error: unexpected {type(error).__name__}: ")
    assert "HYDRA_FULL_ERROR=1" in line


@pytest.mark.usefixtures("one_config")
def test_an_error_of_the_training_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "prepare", lambda *_: True)
    monkeypatch.setattr(train, "train", fails_with(InputError("from a worker")))
    with pytest.raises(InputError, match="from a worker"):
        train.main()
