"""One FSDP2 rank: verl's actor worker, updated by our trainer's own ``update_policy`` or by verl's ``_update_actor``.

Run as a script with RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT and a folder that holds ``model/`` and ``rows.pt``.
Rank 0 writes ``gradients_<ranks>.pt``: for every case the gradients (M, parameters) and the metrics. No Ray, no vLLM
engine; the worker group is this process's share of one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gradient_cases import (
    ALL,
    CORRECTIONS,
    DYNAMIC_TOKENS,
    ENTROPY_COEF,
    KL_COEF,
    PROBLEMS,
    PROMPT_WIDTH,
    RESPONSE_WIDTH,
    ROLLOUTS,
    TEMPERATURE,
    Case,
)
from gradient_reference import Row, Rows
from omegaconf import DictConfig, OmegaConf
from tensordict import TensorDict
from verl import DataProto
from verl.trainer.ppo.ray_trainer import RayPPOTrainer
from verl.utils import tensordict_utils as tu
from verl.utils import torch_functional
from verl.utils.torch_functional import logprobs_from_logits_v2 as VERL_LOG_PROBS  # before ours takes its place
from verl.workers.config import (
    FSDPActorConfig,
    FSDPEngineConfig,
    FSDPOptimizerConfig,
    HFModelConfig,
    TrainingWorkerConfig,
)
from verl.workers.engine_workers import TrainingWorker
from verl.workers.utils.losses import ppo_loss

from fail2fix.method.ledger import Ledger
from fail2fix.method.objective import BatchSplit
from fail2fix.run.config import Fail2FixConfig
from fail2fix.run.faults import SkippedUpdates
from fail2fix.verl_ext.joint_batch import JointBatch, join
from fail2fix.verl_ext.log_probs import use_chunks
from fail2fix.verl_ext.loss import joint_loss
from fail2fix.verl_ext.requests import Requests
from fail2fix.verl_ext.step import Step
from fail2fix.verl_ext.stream import Reading, Stream
from fail2fix.verl_ext.trainer import Fail2FixTrainer

FP32 = {"param_dtype": "fp32", "reduce_dtype": "fp32", "buffer_dtype": "fp32"}


def actor_config(case: Case) -> FSDPActorConfig:
    return FSDPActorConfig(
        strategy="fsdp2",
        rollout_n=ROLLOUTS,
        ppo_micro_batch_size_per_gpu=1,
        loss_agg_mode=case.mode,
        use_kl_loss=case.regularized,
        kl_loss_coef=KL_COEF,
        kl_loss_type="low_var_kl",
        entropy_coeff=ENTROPY_COEF if case.regularized else 0.0,
        fsdp_config=FSDPEngineConfig(mixed_precision=FP32, use_torch_compile=False),
    )


def trainer_config(case: Case) -> DictConfig:
    """What the two trainers' updates read."""
    actor = {
        "ppo_mini_batch_size": PROBLEMS // case.mini_batches,
        "calculate_entropy": False,
        "entropy_coeff": ENTROPY_COEF if case.regularized else 0.0,
        "use_kl_loss": case.regularized,
        "loss_agg_mode": case.mode,
        "loss_scale_factor": None,
        "policy_loss": {"loss_mode": "vanilla"},
        "ppo_epochs": 1,
        "data_loader_seed": 42,
        "shuffle": False,
    }
    rollout = {"n": ROLLOUTS, "temperature": TEMPERATURE, "multi_turn": {"enable": False}}
    return OmegaConf.create(
        {
            "data": {"train_batch_size": PROBLEMS},
            "actor_rollout_ref": {"actor": actor, "rollout": rollout},
            "algorithm": {"rollout_correction": {"rollout_is": None, "rollout_rs": None, "bypass_mode": False}},
        }
    )


def actor_worker(
    model_path: str, attention: str = "sdpa", fused: bool = False, checkpointing: bool = False
) -> TrainingWorker:
    """verl's actor, built as its ``ActorRolloutRefWorker.init_model`` builds it; lr 0, so that weights stay."""
    actor = actor_config(Case())
    model = HFModelConfig(
        path=model_path,
        override_config={"attn_implementation": attention},
        enable_gradient_checkpointing=checkpointing,
        use_fused_kernels=fused,
        fused_kernel_options={"impl_backend": "torch"},  # verl's default
    )
    config = TrainingWorkerConfig(
        model_type="language_model",
        model_config=model,
        engine_config=actor.engine,
        optimizer_config=FSDPOptimizerConfig(lr=0.0, total_training_steps=1000),
        checkpoint_config=actor.checkpoint,
    )
    worker = TrainingWorker(config=config)
    worker.reset()
    return worker


class RankOfGroup:
    """A worker group as seen by one rank: takes the whole batch, trains on this rank's contiguous chunk.

    Keeps the full gradient of every optimizer step, taken before clipping.
    """

    def __init__(self, worker: TrainingWorker, case: Case) -> None:
        self.worker, self.case = worker, case
        self.gradients: list[torch.Tensor] = []

    def update_actor(self, data: TensorDict) -> TensorDict:
        chunk = tu.chunk_tensordict(data, self.case.ranks)[torch.distributed.get_rank()]
        tu.assign_non_tensor(chunk, use_remove_padding=self.case.remove_padding)
        if self.case.micro is None:
            tu.assign_non_tensor(chunk, use_dynamic_bsz=True, max_token_len_per_gpu=DYNAMIC_TOKENS)
        else:
            tu.assign_non_tensor(chunk, use_dynamic_bsz=False, micro_batch_size_per_gpu=self.case.micro)
        engine = self.worker.engine
        verl_step = type(engine).optimizer_step

        def optimizer_step() -> Any:
            self.gradients.append(full_gradient(engine.module))
            return verl_step(engine)

        engine.optimizer_step = optimizer_step
        return self.worker.train_mini_batch(chunk)


def full_gradient(module: torch.nn.Module) -> torch.Tensor:
    parts = [parameter.grad.full_tensor().flatten() for _, parameter in sorted(module.named_parameters())]
    return torch.cat(parts).clone()


def batch_rows(rows: list[Row]) -> DataProto:
    """The rows as verl's trainer holds them: prompts padded on the left, responses on the right."""
    batch = {
        "prompts": torch.stack([_padded(row.prompt, PROMPT_WIDTH, left=True) for row in rows]),
        "responses": torch.stack([_padded(row.response, RESPONSE_WIDTH) for row in rows]).long(),
        "old_log_probs": torch.stack([_padded(row.old_log_prob, RESPONSE_WIDTH) for row in rows]),
        "ref_log_prob": torch.stack([_padded(row.ref_log_prob, RESPONSE_WIDTH) for row in rows]),
        "response_mask": torch.stack([_padded([1] * len(row.response), RESPONSE_WIDTH) for row in rows]).long(),
    }
    prompt_mask = torch.stack([_padded([1] * len(row.prompt), PROMPT_WIDTH, left=True) for row in rows])
    batch["attention_mask"] = torch.cat([prompt_mask, batch["response_mask"]], dim=1)
    batch["input_ids"] = torch.cat([batch["prompts"], batch["responses"]], dim=1)
    batch["position_ids"] = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    batch["advantages"] = torch.tensor([row.advantage for row in rows])[:, None] * batch["response_mask"]
    batch["returns"] = batch["advantages"]
    batch["rm_scores"] = torch.zeros_like(batch["advantages"])
    status = np.array(["ok" if row.included else "error" for row in rows], dtype=object)
    return DataProto.from_dict(batch, non_tensors={"verify_status": status})


def _padded(values: list[int] | torch.Tensor, width: int, left: bool = False) -> torch.Tensor:
    values = torch.as_tensor(values)
    padding = width - len(values)
    return torch.nn.functional.pad(values, (padding, 0) if left else (0, padding))


def joint_batch(case: Case, rows: Rows) -> JointBatch:
    streams = [stream("base", batch_rows(rows.base), ROLLOUTS)]
    if case.corrections:
        streams.append(stream("correction", batch_rows(rows.correction), CORRECTIONS))
    return join(streams, BatchSplit(case.ranks, case.mini_batches), balance=True)


def stream(name: str, rows: DataProto, rollouts: int) -> Stream:
    return Stream.of(name, rows, Requests(rows, rows), rollouts, Reading())


def update(worker: TrainingWorker, case: Case, rows: Rows) -> dict[str, Any]:
    """One update; its gradients and metrics. The trainer is ours, with only what an update reads."""
    trainer = Fail2FixTrainer.__new__(Fail2FixTrainer)
    trainer.config, trainer.ledger, trainer.updates = trainer_config(case), Ledger(), SkippedUpdates(0)
    trainer.actor_rollout_wg = RankOfGroup(worker, case)
    trainer.settings = Fail2FixConfig(skip_idle_rows=case.skip)
    trainer.split = BatchSplit(case.ranks, case.mini_batches, update_micro=case.micro or 1)
    joint, actor = joint_batch(case, rows), actor_config(case)
    if case.own:
        del joint.rows.batch["old_log_probs"]
        joint.rows.batch["rollout_log_probs"] = joint.rows.batch["ref_log_prob"]  # off by as much
    step = Step(number=1, epoch=0, last=False, profile=None, ledger=trainer.ledger)
    if case.stock:
        worker.set_loss_fn(partial(ppo_loss, config=actor))
        with verl_log_probs():
            RayPPOTrainer._update_actor(trainer, joint.rows)
    else:
        worker.set_loss_fn(partial(joint_loss, config=actor, weights={"base": 1.0, "correction": case.weight}))
        trainer.update_policy(joint, step, case.only)
    metrics = {name: float(value) for name, value in step.metrics.items()}
    return {"gradients": torch.stack(trainer.actor_rollout_wg.gradients), "metrics": metrics}


@contextmanager
def verl_log_probs() -> Iterator[None]:
    """Log-probabilities as verl computes them without flash-attn."""
    torch_functional.logprobs_from_logits_v2 = VERL_LOG_PROBS
    yield
    use_chunks()


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    ranks = int(os.environ["WORLD_SIZE"])
    rows = torch.load(folder / "rows.pt", weights_only=False)
    worker = actor_worker(str(folder / "model"))
    results = {case: update(worker, case, rows[case.rows]) for case in ALL if case.ranks == ranks}
    if torch.distributed.get_rank() == 0:
        torch.save(results, folder / f"gradients_{ranks}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
