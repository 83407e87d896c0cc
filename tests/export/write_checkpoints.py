"""Write a small model's checkpoints as verl's FSDP2 actor does on one and two ranks.

Every case becomes ``FOLDER/<case>-<ranks>/global_step_2/actor``, with the trained model's own logits (``logits.pt``)
and the base model's (``base.pt``) beside it, both computed before anything is sharded. No Ray, no vLLM, no verl.
"""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from peft import LoraConfig, get_peft_model
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import LlamaConfig, LlamaForCausalLM

from tests.e2e.support.tiny import make_tokenizer

RANK, ALPHA = 3, 12
LIMIT_S = 300


@dataclass(frozen=True)
class Case:
    """``lora``: what the adapter is on. ``replicas``: of the sharded model, as under HSDP."""

    name: str
    lora: str | tuple[str, ...] = ()
    tied: bool = False
    dtype: torch.dtype = torch.float32
    replicas: int = 1


CASES = (
    Case("full"),
    Case("full-tied", tied=True),
    Case("full-bf16", dtype=torch.bfloat16),
    Case("full-replicas", replicas=2),
    Case("lora", "all-linear"),
    Case("lora-tied", "all-linear", tied=True),
    Case("lora-bf16", "all-linear", dtype=torch.bfloat16),
    Case("lora-head", ("q_proj", "lm_head"), tied=True),
    Case("lora-embedding", ("embed_tokens", "up_proj")),
)


def make_base(case: Case) -> LlamaForCausalLM:
    """Odd sizes, so that ranks hold unequal shards."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=345,
        hidden_size=32,
        intermediate_size=45,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=case.tied,
        eos_token_id=2,
        pad_token_id=2,
        dtype=case.dtype,
    )
    model = LlamaForCausalLM(config).to(case.dtype)
    for weight in model.parameters():
        weight.data.mul_(4)
    return model


def train(case: Case, base: LlamaForCausalLM) -> torch.nn.Module:
    """Random changes of what is trained, large enough to matter."""
    torch.manual_seed(2)
    if not case.lora:
        for weight in base.parameters():
            weight.data.add_(torch.randn_like(weight), alpha=0.05)
        return base
    targets = case.lora if isinstance(case.lora, str) else list(case.lora)
    model = get_peft_model(base, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets, task_type="CAUSAL_LM"))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = (torch.randn_like(weight) * 0.1).to(case.dtype)
    return model


def logits(model: torch.nn.Module) -> torch.Tensor:
    ids = torch.randint(0, 345, (3, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.eval()(ids).logits.float()


def write(case: Case, folder: Path, rank: int, ranks: int) -> None:
    base = make_base(case)
    before = logits(base)
    model = train(case, base)
    after = logits(model)
    replicated = case.replicas > 1
    mesh = init_device_mesh(
        "cpu",
        (case.replicas, ranks // case.replicas) if replicated else (ranks,),
        mesh_dim_names=("ddp", "fsdp") if replicated else ("fsdp",),
    )
    for layer in base.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    actor = folder / f"{case.name}-{ranks}" / "global_step_2" / "actor"
    actor.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), actor / f"model_world_size_{ranks}_rank_{rank}.pt")
    if rank:
        return
    torch.save(before, actor.parent / "base.pt")
    torch.save(after, actor.parent / "logits.pt")
    base.config.save_pretrained(actor / "huggingface")
    base.generation_config.save_pretrained(actor / "huggingface")
    make_tokenizer().save_pretrained(actor / "huggingface")
    (actor / "fsdp_config.json").write_text(json.dumps({"FSDP_version": 2, "world_size": ranks}))
    if case.lora:
        meta = {"r": RANK, "lora_alpha": ALPHA, "task_type": "CAUSAL_LM"}
        (actor / "lora_train_meta.json").write_text(json.dumps(meta))


def write_all(folder: Path, rank: int, ranks: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/ranks-{ranks}", rank=rank, world_size=ranks)
    for case in CASES:
        if ranks % case.replicas == 0:
            write(case, folder, rank, ranks)
    dist.barrier()
    dist.destroy_process_group()


def write_checkpoints(folder: Path) -> None:
    """Write every case; each rank is a process that shares the imports of this one."""
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=write_all, args=(folder, rank, ranks)) for ranks in (1, 2) for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT_S)
        process.kill()
    assert [process.exitcode for process in processes] == [0, 0, 0]
