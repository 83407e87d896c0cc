"""The joint loss: verl's own PPO loss, once a stream, each averaged over its own stream.

    loss = sum over streams of weight * L_stream          (weights: 1 for base, lambda for corrections)

``L_stream`` is verl's ``ppo_loss`` (policy gradient of the configured kind, KL and entropy) on the stream's rows. The
stream's size in the mini-batch takes the place of the batch's. So every ``loss_agg_mode`` with a mean and every policy
loss keep verl's meaning, and lambda = 0 is stock GRPO on the base rows.

The trainer puts three columns on every row (METHOD.md, item 6; ``JointBatch.for_update``). ``fail2fix_stream`` is the
stream's place among the weights. ``fail2fix_sequences`` and ``fail2fix_tokens`` count the sequences and valid tokens of
the row's stream in the row's mini-batch, over all ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import torch
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.utils.metric import AggregationType, Metric
from verl.workers.config import ActorConfig
from verl.workers.utils.losses import ppo_loss

from fail2fix.verl_ext.joint_batch import SEQUENCES, STREAM, TOKENS
from fail2fix.verl_ext.log_probs import use_chunks
from fail2fix.verl_ext.own_log_probs import with_own_log_probs

# Every worker imports this module with its loss (Fail2FixTrainer.init_workers), before its first log-probabilities; the
# reference policy is in the same process.
use_chunks()

PROPORTIONAL_LOSSES = ("vanilla", "gspo")
"""Policy losses whose gradient in a row is proportional to the row's own advantage."""


def joint_loss(
    config: ActorConfig,
    model_output: dict[str, torch.Tensor],
    data: TensorDict,
    weights: Mapping[str, float],
    dp_group: Any = None,
) -> tuple[torch.Tensor, dict[str, Any]]:
    """One micro-batch's share of J = sum of weight * J_stream (as a loss).

    Args:
        config: verl's actor config.
        model_output: nested ``log_probs`` and, if asked for, ``entropy``, (rows, prompt + response tokens).
        data: the micro-batch in verl's no-padding form, with the three columns. Without ``old_log_probs`` the model's
            own are the old ones, and come back among the metrics.
        weights: of each stream by name, in the order of ``fail2fix_stream``.
        dp_group: verl passes it; not needed, the columns are global already.

    Returns:
        scalar loss, and metrics: verl's names for the joint loss, ``fail2fix/<stream>/...`` for each stream.
    """
    own: dict[str, Any] = {}
    if "old_log_probs" not in data:
        data, own = with_own_log_probs(model_output, data)
        if not (config.calculate_entropy or config.entropy_coeff):
            del model_output["entropy"]  # measured; without its graph the backward pass keeps no probabilities for it
    losses = [_stream_loss(place, config, model_output, data) for place in range(len(weights))]
    loss = reduce(add, [weight * part.loss for weight, part in zip(weights.values(), losses, strict=True)])
    metrics = losses[0].constants | _joint_metrics(losses, list(weights.values()))
    for name, part in zip(weights, losses, strict=True):
        metrics |= part.named(name)
    return loss, metrics | own


@dataclass(frozen=True)
class _StreamLoss:
    """A stream's part of a micro-batch.

    Attributes:
        loss: scalar, this micro-batch's share of the stream's mean.
        tokens: valid tokens of the stream in this micro-batch.
        weight: turns a mean over those tokens into this micro-batch's share of the stream's token mean.
        sums: verl's metrics that add up over micro-batches (losses).
        means: verl's metrics that are means over this micro-batch's tokens (clip fractions, ppo_kl).
        constants: verl's metrics that are plain numbers.
    """

    loss: torch.Tensor
    tokens: float
    weight: float
    sums: dict[str, float]
    means: dict[str, float]
    constants: dict[str, float]

    def named(self, stream: str) -> dict[str, Metric]:
        values = self.sums | {name: mean * self.weight for name, mean in self.means.items()}
        return {f"fail2fix/{stream}/{name}": Metric(AggregationType.SUM, value) for name, value in values.items()}


def _stream_loss(
    stream: int, config: ActorConfig, model_output: dict[str, torch.Tensor], data: TensorDict
) -> _StreamLoss:
    rows = data[STREAM] == stream
    view = data.copy()
    view["response_mask"] = data["response_mask"] * rows[:, None]
    stream_tokens = _size(data[TOKENS], rows)
    tu.assign_non_tensor(view, global_batch_size=_size(data[SEQUENCES], rows), batch_num_tokens=stream_tokens)
    loss, metrics = ppo_loss(config, model_output, view)
    tokens = float(view["response_mask"].sum())
    values = {name.removeprefix("actor/"): metric for name, metric in metrics.items()}
    return _StreamLoss(
        loss=loss,
        tokens=tokens,
        weight=tokens / stream_tokens * data["dp_size"],
        sums=_aggregated(values, AggregationType.SUM),
        means=_aggregated(values, AggregationType.MEAN),
        constants={name: value for name, value in values.items() if not isinstance(value, Metric)},
    )


def _size(column: torch.Tensor, rows: torch.Tensor) -> float:
    """The stream's size in this mini-batch; 1 where the micro-batch holds none of its rows."""
    return float(column[rows][0]) if bool(rows.any()) else 1.0


def _aggregated(metrics: dict[str, Any], kind: AggregationType) -> dict[str, float]:
    return {n: float(m.aggregate()) for n, m in metrics.items() if isinstance(m, Metric) and m.aggregation is kind}


def _joint_metrics(losses: Sequence[_StreamLoss], weights: Sequence[float]) -> dict[str, Metric]:
    """verl's own names: losses as the objective adds them, token means over the tokens of all streams."""
    tokens = max(sum(part.tokens for part in losses), 1.0)
    metrics = {}
    for name in losses[0].sums:
        total = sum(weight * part.sums[name] for weight, part in zip(weights, losses, strict=True))
        metrics[name] = Metric(AggregationType.SUM, total)
    for name in losses[0].means:
        pooled = sum(part.means[name] * part.tokens for part in losses) / tokens
        metrics[name] = Metric(AggregationType.MEAN, pooled)
    return metrics
