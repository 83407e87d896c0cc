"""Exports are what was trained: real checkpoints of one and two FSDP ranks, full and LoRA, against the trained policy.

The trained policy is put together here without the product's code: shards are joined by hand, and PEFT's own forward
computes base plus adapter, unmerged.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.e2e.conftest import Bench, Run
from tests.e2e.support.rewards import compute_score

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

EXPORT = Path(__file__).parents[2] / "scripts" / "export.sh"
LORA = ("scale=[lora]", "actor_rollout_ref.model.lora_rank=6", "actor_rollout_ref.model.lora_alpha=24")
# A rate at which two steps change what the model says.
FAST = "actor_rollout_ref.actor.optim.lr=2e-2"
TWO = "trainer.n_gpus_per_node=2"
SAVED = "trainer.save_freq=2"
# The run's own template; the base model's has no `Human`.
TEMPLATE = (
    "{% for m in messages %}<|im_start|>Human: {{ m.content }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>{% endif %}"
)
RUNS = {
    "full": (FAST, SAVED, f"actor_rollout_ref.model.custom_chat_template='{TEMPLATE}'"),
    "full-2-ranks": (FAST, SAVED, TWO),
    "lora": (FAST, SAVED, *LORA),
    "lora-2-ranks": (FAST, SAVED, TWO, *LORA),
}


def export(checkpoint: Path, out: Path) -> str:
    done = subprocess.run(
        [EXPORT, checkpoint, out],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHON": sys.executable},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def checkpoint_of(run: Run) -> Path:
    return run.folder / "checkpoints" / "global_step_2"


def joined_by_hand(actor: Path) -> dict[str, torch.Tensor]:
    """FSDP2 shards every parameter along its first dimension."""
    ranks = len(list(actor.glob("model_world_size_*_rank_*.pt")))
    shards = [
        torch.load(actor / f"model_world_size_{ranks}_rank_{rank}.pt", weights_only=False) for rank in range(ranks)
    ]
    return {name: torch.cat([shard[name]._local_tensor for shard in shards]) for name in shards[0]}


def logits(model: torch.nn.Module) -> torch.Tensor:
    ids = torch.randint(0, 345, (4, 48), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.eval()(ids).logits.float()


def trained_logits(base: Path, actor: Path, lora: bool) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if lora:
        settings = LoraConfig(r=6, lora_alpha=24, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(model, settings)
    model.load_state_dict(joined_by_hand(actor), strict=True)
    return logits(model)


@pytest.mark.parametrize("name", RUNS)
def test_an_export_computes_what_the_trained_policy_computes(name: str, once: Callable[..., Run], bench: Bench) -> None:
    run = once(f"export-{name}", *RUNS[name])
    assert all(run.metrics()[step]["actor/grad_norm"] > 0 for step in (1, 2))
    out = bench.root / f"exported-{name}"
    export(checkpoint_of(run), out)
    exported = logits(AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32))
    trained = trained_logits(bench.model, checkpoint_of(run) / "actor", name.startswith("lora"))
    base = logits(AutoModelForCausalLM.from_pretrained(bench.model, dtype=torch.float32))
    difference, moved = (exported - trained).abs().max().item(), (exported - base).abs().max().item()
    print(f"{name}: exported to trained {difference:.2e}, exported to base {moved:.2e}")
    assert difference <= 1e-3
    assert moved > 0.1


def test_an_export_has_the_runs_own_chat_template(once: Callable[..., Run], bench: Bench) -> None:
    out = bench.root / "templated"
    export(checkpoint_of(once("export-full", *RUNS["full"])), out)
    assert AutoTokenizer.from_pretrained(out).chat_template == TEMPLATE


def test_an_exported_checkpoint_repeats_the_validation_in_vllm(once: Callable[..., Run], bench: Bench) -> None:
    """Both engines compute in fp32, where greedy ties are rare."""
    run = once(
        "exported",
        "actor_rollout_ref.rollout.val_kwargs.do_sample=false",
        "actor_rollout_ref.rollout.val_kwargs.temperature=0",
        "trainer.test_freq=2",
        SAVED,
    )
    out = bench.root / "hf"
    export(checkpoint_of(run), out)
    data = bench.root / "arithmetic" / "test.parquet"
    generate = Path(__file__).with_name("support") / "generate.py"
    answered = bench.python([str(generate), str(out), str(data)], run.folder).ok()
    line = next(line for line in answered.output.splitlines() if line.startswith('{"answers"'))
    answers = json.loads(line)["answers"]
    validated = [row["output"] for row in run.validation(2)]
    same = sum(a == b for a, b in zip(answers, validated, strict=True)) / len(validated)
    assert same >= 0.9, (answers[:3], validated[:3])
    accuracy = [
        sum(compute_score("", text, "")["acc"] for text in texts) / len(texts) for texts in (answers, validated)
    ]
    assert accuracy[0] == pytest.approx(accuracy[1], abs=0.1)
    assert run.metrics()[2]["val-core/fail2fix/arithmetic/acc/mean@1"] == pytest.approx(accuracy[1])
