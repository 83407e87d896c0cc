"""Which runs give every request its own seed, what changes without seeds, and what a run says about it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf
from verl import DataProto

from fail2fix import train
from fail2fix.preflight.unsupported import refuse_unsupported
from fail2fix.run.settings import fail2fix_settings, seeds_on_gpu, seeds_rollouts
from fail2fix.verl_ext.rollout import SEED, Fail2FixAgentLoopManager
from tests.verl_ext.test_contract import config

HELD = {
    ("cpu", "auto"): True,
    ("cpu", True): True,
    ("cpu", False): False,
    ("cuda", "auto"): False,
    ("cuda", True): True,
    ("cuda", False): False,
}


def run(device: str, asked: object) -> DictConfig:
    given = config(f"fail2fix.seeded_rollouts={asked}")
    given.trainer.device = device
    return given


@pytest.mark.parametrize(("device", "asked"), HELD)
def test_requests_have_seeds_where_asked_for_and_by_itself_on_a_cpu(device: str, asked: object) -> None:
    given, held = run(device, asked), HELD[device, asked]
    assert seeds_rollouts(given) is held
    manager: Any = Fail2FixAgentLoopManager.__new__(Fail2FixAgentLoopManager)
    manager.config = given
    twice = np.array([[{"role": "user", "content": "7 + 5?"}]] * 2, dtype=object)
    prompts = DataProto.from_dict(non_tensors={"raw_prompt": twice}, meta_info={"global_steps": 3})
    manager._seed(prompts)
    assert (SEED in prompts.non_tensor_batch) is held
    assert not held or len(set(prompts.non_tensor_batch[SEED])) == 2


@pytest.mark.parametrize(("device", "asked"), HELD)
def test_prompts_in_pieces_are_refused_for_seeds_on_a_cpu_only(device: str, asked: object) -> None:
    given = run(device, asked)
    assert given.actor_rollout_ref.rollout.enable_chunked_prefill is True
    if device == "cpu" and HELD[device, asked]:
        with pytest.raises(ValueError, match="enable_chunked_prefill"):
            refuse_unsupported(given, fail2fix_settings(given))
    else:
        refuse_unsupported(given, fail2fix_settings(given))


def test_a_run_on_a_gpu_says_what_seeds_cost_or_what_it_does_without() -> None:
    assert seeds_on_gpu(run("cpu", True)) == seeds_on_gpu(run("cpu", False)) == ""
    costs = seeds_on_gpu(run("cuda", True))
    assert all(part in costs for part in ("seeded_rollouts=true", "first model runner", "not measured", "CPUs only"))
    without = seeds_on_gpu(run("cuda", "auto"))
    assert all(part in without for part in ("no seeds", "resumed run samples other rollouts", "CPUs only"))


def test_the_config_of_a_run_shows_whether_its_requests_have_seeds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    given = config("data.train_files=x", "data.val_files=y")
    train.prepare(given, dry_run=True, held=ExitStack())
    assert given.fail2fix.seeded_rollouts is False
    assert "seeded_rollouts: false" in capsys.readouterr().out
    assert OmegaConf.to_container(given.fail2fix)["seeded_rollouts"] is False
