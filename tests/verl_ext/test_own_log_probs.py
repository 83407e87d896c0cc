"""When the update gives log pi_old, and how its micro-batches become columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from verl import DataProto

from fail2fix.verl_ext.own_log_probs import OwnLogProbs, collected, update_gives_log_probs


def config(**changes: Any) -> Any:
    correction = {"rollout_is": None, "rollout_rs": None, "bypass_mode": False}
    given = OmegaConf.create(
        {
            "fail2fix": {"skip_old_log_probs": True},
            "data": {"train_batch_size": 8},
            "algorithm": {"use_kl_in_reward": False, "rollout_correction": correction},
            "actor_rollout_ref": {
                "actor": {
                    "ppo_mini_batch_size": 8,
                    "ppo_epochs": 1,
                    "calculate_sum_pi_squared": False,
                    "router_replay": {"mode": "disabled"},
                }
            },
        }
    )
    for key, value in changes.items():
        OmegaConf.update(given, key, value)
    return given


def test_one_optimizer_step_gives_them() -> None:
    assert update_gives_log_probs(config())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fail2fix.skip_old_log_probs", False),
        ("actor_rollout_ref.actor.ppo_mini_batch_size", 4),
        ("actor_rollout_ref.actor.ppo_epochs", 2),
        ("algorithm.use_kl_in_reward", True),
        ("algorithm.rollout_correction.rollout_is", "token"),
        ("algorithm.rollout_correction.rollout_rs", "seq_mean_k1"),
        ("algorithm.rollout_correction.bypass_mode", True),
        ("actor_rollout_ref.actor.calculate_sum_pi_squared", True),
        ("actor_rollout_ref.actor.router_replay.mode", "R2"),
    ],
)
def test_whatever_reads_them_before_the_update_keeps_their_own_pass(key: str, value: Any) -> None:
    assert not update_gives_log_probs(config(**{key: value}))


def test_micro_batches_of_any_order_and_width_fill_the_rows() -> None:
    rows = DataProto.from_dict({"responses": torch.zeros(4, 3, dtype=torch.long)})
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    values[[0, 3], 2] = 0  # shorter
    parts = [
        OwnLogProbs(np.array(index), values[index, :width], -values[index, :width])
        for index, width in (([3, 0], 2), ([2], 3), ([1], 3))
    ]
    batch = collected(parts, rows).batch
    np.testing.assert_array_equal(batch["old_log_probs"], values)
    np.testing.assert_array_equal(batch["entropys"], -values)
