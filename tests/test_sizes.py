"""The estimates of memory: against numbers worked out by hand, and against the setups they stand for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fail2fix.sizes import GIB, RUNTIME, SETUPS, Model, Plan, fits, main, read_model, sizes, table, token_bytes
from tests.verl_ext.test_contract import config

ROOT = Path(__file__).resolve().parents[1]
SMALL = Model(2, 8, 16, 4, 2, 2, 100, tied=False)  # A = 8, K = 4; a layer: 2*8*12 + 3*8*16 + 16 = 592


@pytest.mark.parametrize(
    ("name", "parameters"), [("gsm8k", 494_032_768), ("deepscaler", 4_022_468_096), ("leetcode", 8_250_462_208)]
)
def test_parameters_are_those_of_the_published_models(name: str, parameters: int) -> None:
    assert SETUPS[name][0].parameters == parameters


def test_a_small_model_by_hand() -> None:
    assert (SMALL.layer, SMALL.embeddings, SMALL.parameters) == (592, 1600, 2 * 592 + 1600 + 8)
    assert SMALL.adapters(rank=2) == 2 * 2 * (2 * 16 + 2 * 12 + 3 * 24)
    assert token_bytes(SMALL) == 2 * 2 * 2 * 4
    found = sizes(SMALL, Plan(tokens=10), gpus=4)
    assert (found["weights"], found["gradients"], found["optimizer"]) == (2792, 2792, 5584)
    assert found["gathered"] == 2 * (2 * 592 + 1600)
    assert found["activations"] == 2 * 10 * (2 * 8 + 4 * 8 + 2 * 8 + 2 * 4 + 3 * 16)
    assert found["logits"] == 8 * 10 * 100
    assert found["update"] == 2792 + 2792 + 5584 + 5568 + 2400 + 8000 + RUNTIME


def test_four_billion_parameters_on_eight_gpus_by_hand() -> None:
    found = sizes(*SETUPS["deepscaler"], gpus=8)
    assert found["weights"] / GIB == pytest.approx(4 * 4.022468096e9 / 8 / 2**30)
    assert found["logits"] / GIB == pytest.approx(8 * 24576 * 151936 / 2**30)  # 27.8
    # .7 x 80 - 7.49 of weights - 2, at 147,456 bytes a token and 9,728 tokens a context.
    assert found["cache"] / GIB == pytest.approx(56 - 7.4925 - 2, abs=0.001)
    assert found["contexts"] == 34
    assert found["generate"] / GIB == pytest.approx(1.873 + 3.746 + 56 + 4, abs=0.01)


def test_more_gpus_share_what_fsdp_shards_and_nothing_else() -> None:
    one, eight = (sizes(*SETUPS["leetcode"], gpus) for gpus in (1, 8))
    for name in ("weights", "gradients", "optimizer"):
        assert eight[name] == one[name] / 8
    for name in ("gathered", "activations", "logits", "cache", "contexts"):
        assert eight[name] == one[name]


def test_offload_empties_the_gpu_for_the_engine_but_not_for_the_update() -> None:
    model = SETUPS["leetcode"][0]
    kept, offloaded = sizes(model, Plan(), 8), sizes(model, Plan(offload=True), 8)
    assert kept["generate"] - offloaded["generate"] == pytest.approx(12 * model.parameters / 8)
    assert kept["update"] == offloaded["update"]


def test_lora_has_no_gradients_and_optimizer_for_the_models_own_weights() -> None:
    model = SETUPS["leetcode"][0]
    found = sizes(model, Plan(lora=32), 8)
    assert found["optimizer"] == 8 * model.adapters(32) / 8
    assert found["weights"] == 4 * (model.parameters + model.adapters(32)) / 8


@pytest.mark.parametrize("name", SETUPS)
def test_the_setups_are_those_of_the_configs(name: str) -> None:
    given, plan = config(f"setup={name}"), SETUPS[name][1]
    rollout = given.actor_rollout_ref.rollout
    assert plan.tokens == given.actor_rollout_ref.actor.ppo_max_token_len_per_gpu
    assert plan.context == rollout.prompt_length + rollout.response_length
    assert plan.utilization == rollout.gpu_memory_utilization
    assert rollout.checkpoint_engine.update_weights_bucket_megabytes == 2048
    assert not given.actor_rollout_ref.actor.fsdp_config.param_offload
    assert OmegaConf.select(given, "actor_rollout_ref.actor.fsdp_config.model_dtype") == "fp32"


def test_each_setup_fits_the_gpus_that_its_script_names() -> None:
    for name, gpus, gib in (("gsm8k", 1, 24), ("deepscaler", 8, 80), ("leetcode", 8, 80)):
        model, plan = SETUPS[name]
        plan = replace(plan, gpu_gib=gib)
        assert fits(sizes(model, plan, gpus), plan), name


def test_the_document_has_the_table_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert capsys.readouterr().out in (ROOT / "configs" / "SIZES.md").read_text()


def test_a_models_folder_is_read(tmp_path: Path) -> None:
    said = {
        "num_hidden_layers": 2, "hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 100,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(said))
    assert read_model(tmp_path) == SMALL
    del said["vocab_size"]
    (tmp_path / "config.json").write_text(json.dumps(said))
    with pytest.raises(ValueError, match="not a dense decoder's .KeyError: 'vocab_size'"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["nowhere"], "neither a setup"), (["--gpus", "0"], "--gpus: must be above 0"),
     (["--tokens", "-1"], "--tokens: must be above 0")],
)  # fmt: skip
def test_bad_arguments_end_in_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert words in said
    assert said.count("\n") == 1


def test_the_table_says_what_does_not_fit() -> None:
    lines = list(table([("x", SETUPS["leetcode"][0], Plan(), gpus) for gpus in (1, 8)]))
    assert lines[2].endswith("| no |")
    assert lines[3].endswith("| yes |")
