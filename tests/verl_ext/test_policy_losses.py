"""verl's policy losses under the joint objective: lambda means the same however a batch is cut into micro-batches."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict
from verl.trainer.ppo.core_algos import POLICY_LOSS_REGISTRY
from verl.utils import tensordict_utils as tu
from verl.workers.config import FSDPActorConfig, PolicyLossConfig

from fail2fix.method.rollouts import BASE, CORRECTION
from fail2fix.preflight.unsupported import BY_MICRO_BATCH
from fail2fix.verl_ext.loss import SEQUENCES, STREAM, TOKENS, joint_loss
from tests.tiers import heavy_where

P, R, ROWS = 3, 5, 4  # prompt and response width, rows of each stream
MEANS = ("token-mean", "seq-mean-token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm")
CUTS = ([[0, 1, 2, 3, 4, 5, 6, 7]], [[0, 4], [1, 2, 5, 6], [3, 7]], [[0, 1, 2, 3], [4], [5, 6, 7]])


def actor(mode: str, agg: str = "seq-mean-token-mean") -> FSDPActorConfig:
    """verl's actor; clip_cov and kl_cov, which draw tokens from each micro-batch, draw none that count."""
    policy_loss = PolicyLossConfig(loss_mode=mode, dro_beta=0.5, clip_cov_lb=9.0, clip_cov_ub=8.0, ppo_kl_coef=0.0)
    return FSDPActorConfig(
        strategy="fsdp2", rollout_n=2, policy_loss=policy_loss, loss_agg_mode=agg, ppo_micro_batch_size_per_gpu=1
    )


def rows() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Columns of both streams' rows, and their log probabilities token by token."""
    draw = torch.Generator().manual_seed(0)
    lengths = torch.tensor([5, 3, 1, 4, 2, 5, 5, 3])
    mask = (torch.arange(R) < lengths[:, None]).long()
    stream = torch.tensor([0] * ROWS + [1] * ROWS)
    tokens = torch.stack([lengths[stream == s].sum() for s in (0, 1)])[stream]
    log_probs = -torch.rand((2 * ROWS, P + R), generator=draw) - 0.5
    old = torch.cat([log_probs[:, P - 1 : -1] + 0.2 * torch.randn((2 * ROWS, R), generator=draw)])
    columns = {
        "prompts": torch.ones(2 * ROWS, P, dtype=torch.long),
        "responses": torch.ones(2 * ROWS, R, dtype=torch.long),
        "attention_mask": torch.cat([torch.ones(2 * ROWS, P, dtype=torch.long), mask], dim=1),
        "response_mask": mask,
        "old_log_probs": old,
        "advantages": torch.randn((2 * ROWS, 1), generator=draw).expand(-1, R) * mask,
        STREAM: stream,
        SEQUENCES: torch.full((2 * ROWS,), float(ROWS)),
        TOKENS: tokens.float(),
    }
    return columns, log_probs


def loss(config: FSDPActorConfig, cut: list[list[int]], weight: float) -> float:
    """What the micro-batches of a mini-batch add up to."""
    columns, log_probs = rows()
    total = 0.0
    for part in cut:
        data = TensorDict({name: column[part] for name, column in columns.items()}, batch_size=[len(part)])
        tu.assign_non_tensor(data, dp_size=1, batch_num_tokens=None, global_batch_size=None)
        used = columns["attention_mask"][part].sum(-1)
        nested = torch.nested.as_nested_tensor(
            [log_probs[row, :length] for row, length in zip(part, used, strict=True)], layout=torch.jagged
        )
        weights = {BASE: 1.0, CORRECTION: weight}
        total += float(joint_loss(config, {"log_probs": nested}, data, weights)[0])
    return total


def depends_on_the_cut(config: FSDPActorConfig) -> bool:
    whole, *others = [[loss(config, cut, weight) for weight in (0.0, 1.0, 2.0)] for cut in CUTS]
    assert whole[1] != whole[0], "corrections have a loss"
    return any(cut != pytest.approx(whole, abs=1e-5) for cut in others)


@pytest.mark.parametrize("agg", heavy_where(MEANS, MEANS[1:]))
@pytest.mark.parametrize("mode", sorted(POLICY_LOSS_REGISTRY.keys() - set(BY_MICRO_BATCH)))
def test_a_loss_that_is_allowed_does_not_depend_on_micro_batches(mode: str, agg: str) -> None:
    assert not depends_on_the_cut(actor(mode, agg))


def test_the_losses_that_are_refused_do_or_fail_on_a_micro_batch_of_one_stream() -> None:
    assert depends_on_the_cut(actor("geo_mean"))
    with pytest.raises(ValueError, match="valid"):
        loss(actor("bypass_mode"), CUTS[-1], 1.0)
