"""verl's FSDP engine, reading starts that rows of a micro-batch share once (`fail2fix.prefix`).

``PrefixEngine`` changes what the model reads and how its output becomes log-probabilities and entropies; losses,
optimizer and checkpoints are verl's. Old and reference log-probabilities and the update all pass through it. What it
cannot read as a tree goes through verl's own pass, after one line that says why.

The engine is registered under a vendor of its own, so verl's engines stay what they are; ``prefix_worker`` selects it.

Legend: n rows of a micro-batch, R their response tokens, P different ones of them, V vocabulary.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property
from typing import Any

import torch
from tensordict import TensorDict
from torch.utils.checkpoint import checkpoint
from verl.utils import tensordict_utils as tu
from verl.utils.device import get_device_name
from verl.utils.metric import AggregationType, Metric
from verl.utils.torch_functional import logprobs_from_logits
from verl.workers.engine import EngineRegistry, FSDPEngineWithLMHead
from verl.workers.engine.fsdp import transformer_impl
from verl.workers.engine.utils import prepare_micro_batches

from fail2fix.prefix.attention import pair_cost
from fail2fix.prefix.micro_batches import micro_batches
from fail2fix.prefix.model_inputs import head_sees, model_inputs
from fail2fix.prefix.packing import Packed, needed_tokens, pack
from fail2fix.prefix.support import unsupported_model
from fail2fix.prefix.tree import Ints

VENDOR = "fail2fix"
MODEL_TYPE, BACKEND = "language_model", "fsdp2"
TOKENS, READ = "fail2fix/update/tokens", "fail2fix/update/read_tokens"  # metrics of a micro-batch
OTHER_OUTPUTS = ("calculate_sum_pi_squared", "distillation_use_topk", "distillation_only")


@EngineRegistry.register(model_type=MODEL_TYPE, backend=BACKEND, device=["cuda", "npu"], vendor=VENDOR)
class PrefixEngine(FSDPEngineWithLMHead):
    """verl's engine of actor and reference, over a prefix tree."""

    @cached_property
    def unsupported(self) -> str:
        """Why no micro-batch is read as a tree; empty if they are."""
        for holds, reason in (
            (self.use_ulysses_sp, "devices share sequences (Ulysses)"),
            (self._is_lora, "the model has LoRA adapters"),
            (self.pad_to_length, "packed rows are padded to a bucket (pad_to_length)"),
            (self.model_config.use_fused_kernels, "actor_rollout_ref.model.use_fused_kernels=true"),
        ):
            if holds:
                return reason
        return unsupported_model(self.module.config)

    def forward_backward_batch(self, data: TensorDict, loss_function: Any, forward_only: bool = False) -> Any:
        """verl's passes over a mini-batch; dynamic micro-batches are parts of the tree's order."""
        theirs = transformer_impl.prepare_micro_batches
        transformer_impl.prepare_micro_batches = theirs if self.unsupported else tree_micro_batches
        try:
            return super().forward_backward_batch(data, loss_function, forward_only)
        finally:
            transformer_impl.prepare_micro_batches = theirs

    def prepare_model_inputs(self, micro_batch: TensorDict) -> tuple[dict[str, Any], dict[str, Any]]:
        """The model's arguments for the trees of the rows, and the packed rows for `prepare_model_outputs`."""
        tokens = micro_batch["input_ids"].values()
        self.counts, self.packed = {TOKENS: len(tokens), READ: len(tokens)}, None
        if reason := self.unsupported or unsupported_rows(micro_batch):
            self._tell(reason)
            return super().prepare_model_inputs(micro_batch)
        config = self.module.config
        packed = self.packed = pack(*rows_and_responses(micro_batch), pair_cost(config))
        self.counts[READ] = packed.nodes
        return model_inputs(packed, config._attn_implementation, tokens.device), {"packed": packed}

    def prepare_model_outputs(
        self, output: Any, output_args: dict[str, Any], micro_batch: TensorDict, logits_processor_func: Any
    ) -> dict[str, torch.Tensor]:
        """Log-probabilities and, if asked for, entropies: nested (n, tokens of the row), zero where nothing reads."""
        packed: Packed | None = output_args.get("packed")
        if packed is None:
            return super().prepare_model_outputs(output, output_args, micro_batch, logits_processor_func)
        logits, temperature = output.logits[0], float(micro_batch["temperature"])
        if temperature != 1.0:  # rounded and bounded as verl does
            logits = logits / torch.tensor(max(temperature, 1e-8)).to(logits)
        labels = torch.from_numpy(packed.labels).to(logits.device)
        entropy = tu.get_non_tensor_data(data=micro_batch, key="calculate_entropy", default=False)
        values = {"log_probs": logprobs_from_logits(logits=logits, labels=labels, inplace_backward=not entropy)}
        if entropy:
            values["entropy"] = self._entropies(logits)
        return {name: unpacked(value, packed, micro_batch) for name, value in values.items()}

    def forward_step(self, micro_batch: TensorDict, loss_function: Any, forward_only: bool) -> tuple[Any, Any]:
        """verl's step; an update also counts the rows' tokens, and those that the model read."""
        # A model that is not supported may have no head.
        with nullcontext() if self.unsupported else head_sees(self.module, lambda: self.packed):
            loss, result = super().forward_step(micro_batch, loss_function, forward_only)
        if not forward_only:
            result["metrics"] |= {name: Metric(AggregationType.SUM, count) for name, count in self.counts.items()}
        return loss, result

    def _entropies(self, logits: torch.Tensor) -> torch.Tensor:
        """(P,) entropies of (P, V) logits, in nats, as verl's engine settings say."""
        config = self.engine_config
        if config.entropy_checkpointing:
            return checkpoint(self.compute_entropy_from_logits, logits, use_reentrant=False)  # type: ignore[no-any-return]
        chunked = config.entropy_from_logits_with_chunking
        chunks = {"chunk_size": config.entropy_from_logits_chunk_size} if chunked else {}
        return self.compute_entropy_from_logits(logits, **chunks)  # type: ignore[no-any-return]

    def _tell(self, reason: str) -> None:
        """Print a reason once, on the first rank."""
        told = self.__dict__.setdefault("told", set())
        if self.rank == 0 and reason not in told:
            told.add(reason)
            print(f"fail2fix: fail2fix.share_prefixes: verl's own pass is used: {reason}", flush=True)


def tree_micro_batches(data: TensorDict, dp_group: Any = None, **options: Any) -> tuple[list[TensorDict], Any]:
    """verl's ``prepare_micro_batches``; those of a dynamic size hold so many nodes, equally many on every rank."""

    def of_all_ranks(count: int) -> int:
        most = torch.tensor(count, device=get_device_name())
        torch.distributed.all_reduce(most, op=torch.distributed.ReduceOp.MAX, group=dp_group)
        return int(most)

    dynamic = tu.get_non_tensor_data(data=data, key="use_dynamic_bsz", default=True)
    if not dynamic or of_all_ranks(bool(unsupported_rows(data))):
        return prepare_micro_batches(data, dp_group=dp_group, **options)
    needed = needed_tokens(*rows_and_responses(data))
    parts = micro_batches(needed, int(data["max_token_len_per_gpu"]), of_all_ranks)
    return [tu.index_select_tensor_dict(data, part) for part in parts], parts


def has_fixed_width(data: TensorDict) -> bool:
    """Whether rows say which of their tokens are the response, as verl's first trainer does."""
    return {"prompts", "attention_mask"} <= set(data.keys()) and not data["prompts"].is_nested


def rows_and_responses(data: TensorDict) -> tuple[list[Ints], list[int]]:
    """Token ids of each row in verl's no-padding form, and the length of its response."""
    rows = [row.cpu().numpy() for row in data["input_ids"].unbind()]
    return rows, data["attention_mask"][:, data["prompts"].shape[1] :].sum(-1).tolist()


def unsupported_rows(micro_batch: TensorDict) -> str:
    """Why a micro-batch is not read as a tree; empty if it is."""
    positions = micro_batch["position_ids"]
    if not has_fixed_width(micro_batch):
        return "rows are not prompts and responses of a fixed width"
    if any(tu.get_non_tensor_data(data=micro_batch, key=key, default=False) for key in OTHER_OUTPUTS):
        return "more than log-probabilities and entropies of responses is asked for"
    if isinstance(micro_batch["temperature"], torch.Tensor):
        return "rows have temperatures of their own"
    if positions.dim() != 2 or not torch.equal(positions.values(), counted(micro_batch["input_ids"].offsets())):
        return "positions do not count the tokens of a row"
    return ""


def counted(offsets: torch.Tensor) -> torch.Tensor:
    """0, 1, ... within each row, one row after the other."""
    rows = torch.repeat_interleave(offsets[:-1], offsets.diff())
    return torch.arange(len(rows), device=offsets.device) - rows


def unpacked(values: torch.Tensor, packed: Packed, micro_batch: TensorDict) -> torch.Tensor:
    """(P,) values of response tokens where verl looks for them: at the token that predicts, nested (n, tokens)."""
    places, responses = (torch.from_numpy(of).to(values.device) for of in (packed.unpacked, packed.responses))
    flat = values.new_zeros(packed.row_tokens).index_copy(0, places, values[responses])
    return torch.nested.nested_tensor_from_jagged(flat, micro_batch["input_ids"].offsets())
