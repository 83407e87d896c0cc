"""verl's FSDP2 actor, on one rank, in every cell: log-probabilities and the gradient of an update, or its error.

Run as a script like ``gradient_worker`` with a folder that holds, for each model, ``<model>/model`` and
``<model>/rows.pt``. Writes ``cells.pt``. Also ``verl_loop``: a cell's log-probabilities as verl computes them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from attention_cells import CELLS, Cell
from gradient_cases import Case
from gradient_reference import Rows
from gradient_worker import actor_worker, batch_rows, update, verl_log_probs
from transformers import LlamaForCausalLM, Qwen2ForCausalLM
from verl.utils import tensordict_utils as tu
from verl.workers.engine_workers import TrainingWorker
from verl.workers.utils.padding import left_right_2_no_padding, no_padding_2_padding

# verl's fused kernels replace the forward of the class, for every later model of the process.
FORWARDS = {family: family.forward for family in (LlamaForCausalLM, Qwen2ForCausalLM)}
ROWS_TOGETHER = 8


def outcome(folder: Path, cell: Cell) -> dict[str, Any]:
    for family, forward in FORWARDS.items():
        family.forward = forward
    rows: Rows = torch.load(folder / cell.model / "rows.pt", weights_only=False)
    worker = actor_worker(str(folder / cell.model / "model"), cell.attention, cell.fused)
    try:
        log_probs = inferred(worker, cell, rows)
    except Exception as error:  # the outcome of this cell
        return {"error": f"{type(error).__name__}: {error}"}
    case = Case(remove_padding=cell.packed)
    found = {"log_probs": log_probs, "gradients": update(worker, case, rows)["gradients"]}
    if not cell.fused:
        with verl_log_probs():
            found["verl_loop"] = inferred(worker, cell, rows)
    return found


def inferred(worker: TrainingWorker, cell: Cell, rows: Rows) -> torch.Tensor:
    """Log-probabilities of the base rows' responses (rows, response width), several rows a micro-batch."""
    batch = batch_rows(rows.base)
    batch.meta_info["temperature"] = 0.9
    data = left_right_2_no_padding(batch.to_tensordict())
    tu.assign_non_tensor(
        data,
        calculate_entropy=True,
        compute_loss=False,
        use_remove_padding=cell.packed,
        use_dynamic_bsz=False,
        micro_batch_size_per_gpu=ROWS_TOGETHER,
        global_token_num=batch.batch["attention_mask"].sum(-1).tolist(),
    )
    return no_padding_2_padding(tu.get(worker.infer_batch(data), "log_probs"), data)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.save({cell: outcome(folder, cell) for cell in CELLS}, folder / "cells.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
