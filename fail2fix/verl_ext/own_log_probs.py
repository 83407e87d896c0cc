"""log pi_old from the update's own forward pass, where a step has one optimizer step (ours).

The weights of that pass are pi_old's, so a pass of its own computes the same numbers again. The update also gives the
entropies, and both come back to the trainer with the metrics of each micro-batch. Rows that the update leaves out have
no values here.

Legend: N rows, R response width, n rows of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from tensordict import TensorDict
from verl import DataProto
from verl.workers.utils.padding import no_padding_2_padding

from fail2fix.run.step_sizes import mini_batches
from fail2fix.verl_ext.joint_batch import ROW

OWN = "fail2fix/own_log_probs"  # among the metrics of a micro-batch


@dataclass(frozen=True)
class OwnLogProbs:
    """Of one micro-batch: places (n,) in the update's batch, log pi_old and entropies (n, R), in nats."""

    rows: NDArray[np.int64]
    log_probs: NDArray[np.float32]
    entropies: NDArray[np.float32]


def update_gives_log_probs(config: DictConfig) -> bool:
    """Whether log pi_old may come from the update: asked for, one optimizer step, and nothing reads it before."""
    actor, algorithm = config.actor_rollout_ref.actor, config.algorithm
    correction = algorithm.get("rollout_correction") or {}
    read_before = (
        algorithm.use_kl_in_reward
        or any(correction.get(name) for name in ("rollout_is", "rollout_rs", "bypass_mode"))
        or actor.get("calculate_sum_pi_squared", False)
        or (actor.get("router_replay") or {}).get("mode", "disabled") != "disabled"
    )
    return config.fail2fix.skip_old_log_probs and mini_batches(config) * actor.ppo_epochs == 1 and not read_before


def with_own_log_probs(model_output: dict[str, torch.Tensor], data: TensorDict) -> tuple[TensorDict, dict[str, Any]]:
    """The micro-batch with its own log-probabilities as the old ones, and the metric that takes them to the trainer.

    Args:
        model_output: nested ``log_probs`` and ``entropy`` of the rows' tokens.
        data: the micro-batch in verl's no-padding form.
    """
    log_probs, entropies = (
        no_padding_2_padding(model_output[name], data).detach().float() for name in ("log_probs", "entropy")
    )
    own = data.copy()
    own["old_log_probs"] = log_probs
    return own, {OWN: OwnLogProbs(data[ROW].cpu().numpy(), log_probs.cpu().numpy(), entropies.cpu().numpy())}


def collected(parts: Sequence[OwnLogProbs], rows: DataProto) -> DataProto:
    """The rows (N,) of an update with what its forward passes gave: ``old_log_probs`` and ``entropys``, (N, R)."""
    width = rows.batch["responses"].shape[1]
    for name, values in (("old_log_probs", "log_probs"), ("entropys", "entropies")):
        column = torch.zeros(len(rows), width)
        for part in parts:
            given = torch.from_numpy(getattr(part, values))
            column[part.rows, : given.shape[1]] = given
        rows.batch[name] = column
    return rows
