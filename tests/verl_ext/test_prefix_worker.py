"""Which runs read shared starts once, which class verl then builds, and what a run says where it does not."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from tensordict import TensorDict
from verl.trainer.ppo.ray_trainer import Role
from verl.utils import tensordict_utils as tu
from verl.workers.engine import EngineRegistry, FSDPEngineWithLMHead
from verl.workers.engine_workers import ActorRolloutRefWorker

from fail2fix.preflight.warnings import config_warnings
from fail2fix.run.settings import shares_prefixes
from fail2fix.verl_ext.prefix_engine import (
    BACKEND,
    MODEL_TYPE,
    VENDOR,
    PrefixEngine,
    tree_micro_batches,
    unsupported_rows,
)
from fail2fix.verl_ext.prefix_worker import VENDOR_KEY, PrefixWorker, choose_engine
from fail2fix.verl_ext.task_runner import Fail2FixTaskRunner
from tests.verl_ext.test_contract import config


def run(asked: object, device: str = "cpu", strategy: str = "fsdp2") -> DictConfig:
    given = config(f"fail2fix.share_prefixes={asked}")
    given.trainer.device, given.actor_rollout_ref.actor.strategy = device, strategy
    return given


@pytest.mark.parametrize(
    ("device", "asked", "shared"),
    [("cpu", "auto", True), ("cuda", "auto", False), ("cpu", False, False), ("cuda", True, True)],
)
def test_starts_are_shared_where_asked_for_and_by_itself_on_a_cpu(device: str, asked: object, shared: bool) -> None:
    assert shares_prefixes(run(asked, device)) is shared


@pytest.mark.parametrize("asked", [True, False])
def test_the_task_runner_starts_the_worker(asked: bool) -> None:
    runner = Fail2FixTaskRunner()
    runner.add_actor_rollout_worker(run(asked))
    (worker,) = runner.role_worker_mapping.values()
    assert worker.__ray_metadata__.modified_class.__mro__[1] is (PrefixWorker if asked else ActorRolloutRefWorker)
    assert set(runner.role_worker_mapping) == {Role.ActorRolloutRef}


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("VERL_ENGINE_DEVICE", "cuda")
    monkeypatch.setenv(VENDOR_KEY, "")  # so that the test's own value is taken back
    monkeypatch.delenv(VENDOR_KEY)
    return monkeypatch


def built() -> type:
    return EngineRegistry.get_engine_cls(MODEL_TYPE, BACKEND)


def test_verl_builds_our_engine_only_where_it_is_chosen(vendor: pytest.MonkeyPatch) -> None:
    assert built() is FSDPEngineWithLMHead
    choose_engine()
    assert built() is PrefixEngine
    choose_engine()
    assert os.environ[VENDOR_KEY] == VENDOR
    assert EngineRegistry.get_engine_cls(MODEL_TYPE, "fsdp") is FSDPEngineWithLMHead


def test_another_vendor_keeps_its_engine_and_one_line_says_so(
    vendor: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor.setenv(VENDOR_KEY, "metax")
    choose_engine()
    assert built() is FSDPEngineWithLMHead
    assert "VERL_ENGINE_VENDOR=metax is set" in capsys.readouterr().out
    vendor.delenv(VENDOR_KEY)
    theirs = type("TheirEngine", (FSDPEngineWithLMHead,), {})
    vendor.setattr(EngineRegistry, "get_engine_cls", lambda *_: theirs)
    choose_engine()
    assert VENDOR_KEY not in os.environ
    assert "TheirEngine is this device's engine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "strategy", "warned"),
    [(True, "fsdp", 1), (True, "fsdp2", 0), (False, "fsdp", 0), ("auto", "fsdp", 0)],
)
def test_who_asks_for_it_is_warned_of_a_strategy_without_the_engine(asked: bool, strategy: str, warned: int) -> None:
    lines = [line for line in config_warnings(run(asked, strategy=strategy)) if "share_prefixes" in line]
    assert len(lines) == warned


# ------------------------------------------------------------------------------------------------- in the engine


def micro_batch(**changes: Any) -> TensorDict:
    """Two rows of 2 + 1 and 1 + 2 tokens."""
    nested = {
        "input_ids": torch.nested.as_nested_tensor([torch.tensor([5, 6, 7])] * 2, layout=torch.jagged),
        "position_ids": torch.nested.as_nested_tensor([torch.arange(3)] * 2, layout=torch.jagged),
    }
    dense = {"prompts": torch.zeros(2, 2), "attention_mask": torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1]])}
    given = nested | dense | {"temperature": 1.0} | changes
    tensors = {name: value for name, value in given.items() if isinstance(value, torch.Tensor)}
    others = {name: value for name, value in given.items() if name not in tensors and value is not None}
    return tu.get_tensordict({name: value for name, value in tensors.items() if value is not None}, others)


SHIFTED = torch.nested.as_nested_tensor([torch.arange(3), torch.arange(3) + 1], layout=torch.jagged)
ROWS = {
    "positions do not count": {"position_ids": SHIFTED},
    "temperatures of their own": {"temperature": torch.ones(2)},
    "more than log-probabilities": {"calculate_sum_pi_squared": True},
    "prompts and responses": {"prompts": None},
}


def test_plain_rows_are_supported() -> None:
    assert unsupported_rows(micro_batch()) == ""


@pytest.mark.parametrize(("reason", "change"), ROWS.items())
def test_rows_that_are_not_supported_are_named(reason: str, change: dict[str, Any]) -> None:
    assert reason in unsupported_rows(micro_batch(**change))


@pytest.mark.parametrize(("asked", "cut"), [({}, False), ({"calculate_sum_pi_squared": True}, True)])
def test_rows_that_verl_reads_are_cut_by_their_own_tokens(
    asked: dict[str, Any], cut: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two equal rows of 3 tokens and room for 4: as a tree they fit together."""
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda *_, **__: None)
    data = micro_batch(use_dynamic_bsz=True, max_token_len_per_gpu=4, **asked)
    parts, _ = tree_micro_batches(data)
    assert len(parts) == 1 + cut


def module(family: str) -> Any:
    return SimpleNamespace(config=SimpleNamespace(model_type=family, _attn_implementation="sdpa"))


@pytest.mark.parametrize(
    ("reason", "change"),
    {
        "": {},
        "Ulysses": {"use_ulysses_sp": True},
        "LoRA": {"_is_lora": True},
        "pad_to_length": {"pad_to_length": True},
        "use_fused_kernels": {"model_config": SimpleNamespace(use_fused_kernels=True)},
        "mixtral": {
            "module": SimpleNamespace(config=SimpleNamespace(model_type="mixtral", _attn_implementation="sdpa"))
        },
    }.items(),
)
def test_engines_that_are_not_supported_are_named(reason: str, change: dict[str, Any]) -> None:
    engine = PrefixEngine.__new__(PrefixEngine)
    own = {"use_ulysses_sp": False, "_is_lora": False, "pad_to_length": False, "module": module("llama")}
    vars(engine).update(own | {"model_config": SimpleNamespace(use_fused_kernels=False)} | change)
    assert reason in engine.unsupported
    assert bool(engine.unsupported) == bool(reason)


@pytest.mark.parametrize(("family", "asked"), [("mixtral", False), ("llama", True)])
def test_the_head_of_a_model_that_is_not_supported_is_left_alone(
    family: str, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, heads = PrefixEngine.__new__(PrefixEngine), []
    own = {"use_ulysses_sp": False, "_is_lora": False, "pad_to_length": False, "module": module(family)}
    vars(engine).update(own | {"model_config": SimpleNamespace(use_fused_kernels=False)})
    engine.module.get_output_embeddings = lambda: heads.append(torch.nn.Identity()) or heads[-1]
    monkeypatch.setattr(FSDPEngineWithLMHead, "forward_step", lambda *_: (0.0, {}))
    assert engine.forward_step(micro_batch(), None, forward_only=True) == (0.0, {})
    assert bool(heads) is asked


def test_a_reason_is_printed_once_and_on_the_first_rank(capsys: pytest.CaptureFixture[str]) -> None:
    for rank in (1, 0):
        engine = PrefixEngine.__new__(PrefixEngine)
        engine.rank = rank
        for reason in ("one", "one", "other"):
            engine._tell(reason)
    assert capsys.readouterr().out.count("fail2fix.share_prefixes") == 2
