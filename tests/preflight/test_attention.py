"""Preflight's table of models, attentions, fused kernels and strategies, with and without flash-attn.

tests/gradient/test_attention_cells.py runs verl's engine in the cells that a CPU can.
"""

from __future__ import annotations

import copy
from itertools import product
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf
from transformers import AutoConfig

from fail2fix.method.errors import InputError
from fail2fix.preflight import attention
from fail2fix.preflight.attention import KEY, check_attention, dry_run_note, settle_attention
from tests.verl_ext.test_contract import config

ATTENTIONS = (None, "flash_attention_2", "sdpa", "eager")
FLAGS = (True, False)
FAMILIES = ("llama", "qwen3")
FUSED = "actor_rollout_ref.model.use_fused_kernels"
STRATEGIES = ("actor_rollout_ref.actor.strategy", "actor_rollout_ref.ref.strategy")


@pytest.fixture(scope="module")
def cipo() -> DictConfig:
    """What the checks read of it."""
    whole = OmegaConf.to_container(config("setup=deepscaler"), resolve=True)
    return OmegaConf.create({"actor_rollout_ref": whole["actor_rollout_ref"]})


def with_flash_attn(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    monkeypatch.setattr(attention, "_has_flash_attention", lambda: installed)


def changed(base: DictConfig, **values: Any) -> DictConfig:
    """A copy with keys, whose dots are written as __, that hold other values."""
    given = copy.deepcopy(base)
    for key, value in values.items():
        OmegaConf.update(given, key.replace("__", "."), value, force_add=True)
    return given


def outcome(given: DictConfig, family: str, tied: bool) -> str:
    """What preflight says: runs, its warning, or its refusal."""
    settle_attention(given)
    try:
        lines = check_attention(given, AutoConfig.for_model(family, tie_word_embeddings=tied))
    except InputError as error:
        return f"refused: {error}"
    assert len(lines) <= 1
    return f"warned: {lines[0]}" if lines else "runs"


@pytest.mark.parametrize(("family", "tied", "fused"), list(product(FAMILIES, FLAGS, FLAGS)))
@pytest.mark.parametrize(("wanted", "installed"), list(product(ATTENTIONS, FLAGS)))
@pytest.mark.parametrize("strategy", ["fsdp", "fsdp2"])
def test_every_cell_says_what_happens(
    cipo: DictConfig, monkeypatch: pytest.MonkeyPatch,
    family: str, tied: bool, fused: bool, wanted: str | None, installed: bool, strategy: str,
) -> None:  # fmt: skip
    with_flash_attn(monkeypatch, installed)
    keys = dict.fromkeys(STRATEGIES, strategy) | {FUSED: fused} | ({KEY: wanted} if wanted else {})
    said = outcome(changed(cipo, **keys), family, tied)
    assert "\n" not in said
    if wanted == "flash_attention_2" and not installed:
        assert said.startswith(f"refused: {KEY}=flash_attention_2: flash-attn is not installed; remove the key")
    elif fused and not tied and strategy == "fsdp2":
        assert said.startswith(f"refused: {FUSED}=true")
        assert "set it to false" in said
    elif wanted in ("sdpa", "eager") or not installed:
        assert said.startswith(f"warned: {KEY}={wanted or 'sdpa'}")
        assert ("not installed" in said) == (not installed)
        assert "5.1 times" in said  # 2 x 24,576 / 9,728
        assert "=24576 can be as low as the longest row, 9728" in said
    else:
        assert said == "runs"


@pytest.mark.parametrize("tied", FLAGS)
def test_each_refusals_remedy_passes(cipo: DictConfig, monkeypatch: pytest.MonkeyPatch, tied: bool) -> None:
    """Also for the 8B code run, whose model has a head of its own: no build of flash-attn is asked for."""
    with_flash_attn(monkeypatch, False)
    assert outcome(changed(cipo, **{FUSED: True}), "llama", tied).startswith("warned" if tied else "refused")
    for setup in ("deepscaler", "leetcode", "gsm8k"):
        assert outcome(config(f"setup={setup}", name="cipo_code"), "llama", tied).startswith("warned")


def test_rows_without_neighbours_get_no_warning(cipo: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with_flash_attn(monkeypatch, False)
    assert outcome(changed(cipo, actor_rollout_ref__model__use_remove_padding=False), "llama", True) == "runs"
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    assert outcome(config("setup=arithmetic", "device=cpu"), "llama", True) == "runs"


def test_the_config_shows_what_runs(cipo: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of the user's stays, null too: transformers then chooses."""
    for installed, given, expected in [
        (False, {}, "sdpa"), (False, {KEY: "eager"}, "eager"), (False, {KEY: None}, None), (True, {}, "unset"),
    ]:  # fmt: skip
        with_flash_attn(monkeypatch, installed)
        settle_attention(settled := changed(cipo, **given))
        overrides = settled.actor_rollout_ref.model.override_config
        assert overrides.get("attn_implementation", "unset") == expected


def test_devices_that_share_a_sequence_need_flash_attn(cipo: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """sdpa would let each device attend to its own part: nothing is set for the user."""
    with_flash_attn(monkeypatch, False)
    said = outcome(changed(cipo, actor_rollout_ref__actor__ulysses_sequence_parallel_size=2), "llama", True)
    assert "ulysses_sequence_parallel_size=1" in said
    assert "remove the key" not in said


def test_an_architecture_without_sdpa_is_refused(cipo: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with_flash_attn(monkeypatch, False)
    said = outcome(changed(cipo), "gpt_oss", False)
    assert said.startswith("refused")
    assert "set it to eager" in said
    assert outcome(changed(cipo, **{KEY: "eager"}), "gpt_oss", False).startswith("warned")
    assert outcome(changed(cipo, **{KEY: None}), "gpt_oss", False) == "runs"  # transformers chooses


@pytest.mark.parametrize("installed", FLAGS)
def test_a_dry_run_says_what_it_leaves_open(cipo: DictConfig, monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    with_flash_attn(monkeypatch, installed)
    assert dry_run_note(cipo) == [f"flash-attn ({'present' if installed else 'not here: a run here uses sdpa'})"]
    assert dry_run_note(changed(cipo, **{KEY: "sdpa"})) == []
