"""GPU memory that training needs: ``python -m fail2fix.sizes [MODEL ...] --gpus 1 8 32 [option ...]``

Estimates from the shape of a model (formulas: configs/SIZES.md). A step has three phases, and each must fit: the engine
*generates* beside the idle trainer; the trainer *updates* while the engine sleeps; the weights *sync* into an engine
without a cache. MODEL is one of our setups or a model's folder.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fail2fix.console.command_line import OneLineParser, add_fields, run_command
from fail2fix.console.printable import input_errors_in_one_line
from fail2fix.method.errors import reading

GIB = 1 << 30
BF16, FP32 = 2, 4
ADAM = 2 * FP32  # two moments
LOGIT = 8  # of a logit: bf16, its gradient in bf16, and a copy in fp32
RUNTIME = 4 * GIB  # CUDA contexts, NCCL, kernels' own buffers, a sleeping engine: assumed
ENGINE = 2 * GIB  # the engine's memory beside weights and cache: assumed
PHASES = ("update", "generate", "sync")
BUCKET = 2048 << 20  # actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes


@dataclass(frozen=True)
class Model:
    """The shape of a dense decoder with gated MLPs and grouped-query attention.

    ``qkv_bias``: Qwen2's; ``qk_norm``: Qwen3's; ``tied``: one matrix embeds and unembeds.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    qkv_bias: bool = False
    qk_norm: bool = False

    @property
    def queries(self) -> int:
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        return self.kv_heads * self.head_dim

    @property
    def layer(self) -> int:
        """Parameters of one layer."""
        attention = 2 * self.hidden * (self.queries + self.keys)
        bias = (self.queries + 2 * self.keys) * self.qkv_bias
        return (
            attention + bias + 3 * self.hidden * self.intermediate + 2 * self.hidden + 2 * self.head_dim * self.qk_norm
        )

    @property
    def embeddings(self) -> int:
        """Parameters outside the layers, but for the last norm."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        return self.layers * self.layer + self.embeddings + self.hidden

    def adapters(self, rank: int) -> int:
        """Parameters of LoRA on every linear layer."""
        ends = 2 * (self.hidden + self.queries) + 2 * (self.hidden + self.keys) + 3 * (self.hidden + self.intermediate)
        return rank * self.layers * ends


def _option(default: Any, text: str, **options: Any) -> Any:
    return field(default=default, metadata={"help": text} | options)


@dataclass(frozen=True)
class Plan:
    """Settings of training; the engine's context is a longest prompt and its longest response."""

    tokens: int = _option(24576, "of a micro-batch on one GPU: ppo_max_token_len_per_gpu")
    context: int = _option(9728, "prompt_length + response_length")
    utilization: float = _option(0.7, "the engine's share of the GPU: rollout.gpu_memory_utilization")
    gpu_gib: float = _option(80.0, "memory of one GPU (80)")
    tensor_parallel: int = _option(1, "rollout.tensor_model_parallel_size")
    offload: bool = _option(False, "scale=[offload]")
    lora: int = _option(0, "model.lora_rank", metavar="RANK")


# Those of configs/setup.
SETUPS = {
    "gsm8k": (  # Qwen2.5-0.5B-Instruct
        Model(24, 896, 4864, 14, 2, 64, 151936, tied=True, qkv_bias=True),
        Plan(tokens=8192, context=2048 + 1024, utilization=0.5),
    ),
    "deepscaler": (  # Qwen3-4B
        Model(36, 2560, 9728, 32, 8, 128, 151936, tied=True, qk_norm=True),
        Plan(tokens=24576, context=5632 + 4096, utilization=0.7),
    ),
    "leetcode": (  # Seed-Coder-8B-Instruct
        Model(32, 4096, 14336, 32, 8, 128, 155136, tied=False),
        Plan(tokens=24576, context=6144 + 4096, utilization=0.6),
    ),
}


Sizes = dict[str, float]
"""Bytes on each GPU by purpose and by phase, and `contexts`: whole contexts that the engine's cache holds."""


def sizes(model: Model, plan: Plan, gpus: int) -> Sizes:
    """The estimate for one GPU of ``gpus``, all in one FSDP group."""
    trained = model.adapters(plan.lora) if plan.lora else model.parameters
    held = model.parameters + (trained if plan.lora else 0)
    # Numbers a token leaves inside the one layer that is recomputed: norms, attention, MLP.
    recomputed = 4 * model.hidden + 2 * model.queries + 2 * model.keys + 3 * model.intermediate
    found = {
        "weights": FP32 * held / gpus,
        "gradients": FP32 * trained / gpus,
        "optimizer": ADAM * trained / gpus,
        # Two layers (the running and the prefetched one), embedding and head.
        "gathered": BF16 * (2 * model.layer + model.embeddings),
        "activations": BF16 * plan.tokens * (model.layers * model.hidden + recomputed),
        "logits": LOGIT * plan.tokens * model.vocabulary,
    }
    idle = 0.0 if plan.offload else found["weights"] + found["optimizer"]
    engine = BF16 * model.parameters / plan.tensor_parallel
    share = plan.utilization * plan.gpu_gib * GIB
    cache = share - engine - ENGINE
    return found | {
        "update": sum(found.values()) + RUNTIME,
        "generate": idle + share + RUNTIME,
        "sync": max(found["weights"], idle) + engine + BUCKET + FP32 * model.vocabulary * model.hidden + RUNTIME,
        "cache": cache,
        "contexts": max(0, int(cache // (plan.context * token_bytes(model) / plan.tensor_parallel))),
    }


def fits(found: Sizes, plan: Plan) -> bool:
    """Whether every phase fits, and the engine can hold one whole context."""
    return max(found[phase] for phase in PHASES) <= plan.gpu_gib * GIB and found["contexts"] >= 1


def token_bytes(model: Model) -> int:
    """A token's keys and values in the engine's cache."""
    return 2 * BF16 * model.layers * model.keys


def table(rows: Iterable[tuple[str, Model, Plan, int]]) -> Iterator[str]:
    """A Markdown table in GiB a GPU."""
    for index, (name, model, plan, gpus) in enumerate(rows):
        found = sizes(model, plan, gpus)
        *columns, last = found
        if index == 0:
            heads = ["model", "GPUs", *found, "fits"]
            yield f"| {' | '.join(heads)} |"
            yield "|---" + "|---:" * (len(heads) - 2) + "|---|"
        numbers = [f"{found[name] / GIB:.1f}" for name in columns]
        words = [f"{name} ({model.parameters / 1e9:.2f} B)", str(gpus), *numbers, str(found[last])]
        yield f"| {' | '.join(words)} | {'yes' if fits(found, plan) else 'no'} |"


def read_model(folder: Path) -> Model:
    """The shape in a model folder's config.json. Raises ``InputError``: it is missing or incomplete."""
    with reading(f"{folder}: neither a setup ({', '.join(SETUPS)}) nor a model's folder", OSError, ValueError):
        said: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with reading(f"{folder / 'config.json'}: not a dense decoder's", KeyError):
        heads, hidden = said["num_attention_heads"], said["hidden_size"]
        return Model(
            layers=said["num_hidden_layers"], hidden=hidden, intermediate=said["intermediate_size"], heads=heads,
            kv_heads=said.get("num_key_value_heads", heads), head_dim=said.get("head_dim") or hidden // heads,
            vocabulary=said["vocab_size"], tied=bool(said.get("tie_word_embeddings", False)),
            qkv_bias=said.get("model_type") == "qwen2", qk_norm=said.get("model_type") == "qwen3",
        )  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    form = argparse.RawTextHelpFormatter
    parser = OneLineParser("python -m fail2fix.sizes", description=__doc__, formatter_class=form)
    parser.add_argument("models", nargs="*", metavar="MODEL", default=list(SETUPS))
    parser.add_argument("--gpus", nargs="+", type=int, default=[1, 8, 32], metavar="N")
    add_fields(parser, Plan, show_defaults=False)  # a setup has its own
    given = parser.parse_args(arguments)
    changed = {name: value for name, value in vars(given).items() if name not in ("models", "gpus")}
    wrong = [name for name, value in changed.items() if value < (0 if name == "lora" else 1e-9)]
    if wrong or min(given.gpus) < 1:
        parser.error(f"--{(wrong or ['gpus'])[0].replace('_', '-')}: must be above 0")
    with input_errors_in_one_line("sizes"):
        setups = {name: SETUPS.get(name) or (read_model(Path(name)), Plan()) for name in given.models}
    rows = ((name, model, replace(plan, **changed), n) for name, (model, plan) in setups.items() for n in given.gpus)
    for line in table(rows):
        print(line)


if __name__ == "__main__":
    run_command(main)
