"""One FSDP2 rank: every case of ``prefix_cases`` by verl's engine and by ours, in one process.

Run as a script like ``gradient_worker`` with a folder that holds ``model/`` and ``rows.pt``. Rank 0 writes
``prefixes_<ranks>.pt``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from gradient_cases import Case
from gradient_reference import Rows
from gradient_worker import actor_worker, batch_rows, update
from prefix_cases import ALL, INFERENCES, SPLITS, grouped, rows_of
from verl import DataProto
from verl.utils import tensordict_utils as tu
from verl.workers.engine import FSDPEngineWithLMHead
from verl.workers.engine_workers import TrainingWorker
from verl.workers.utils.padding import left_right_2_no_padding, no_padding_2_padding

from fail2fix.verl_ext.prefix_engine import PrefixEngine
from fail2fix.verl_ext.prefix_worker import choose_engine


def inferred(worker: TrainingWorker, rows: Rows, micro: int) -> dict[str, torch.Tensor]:
    """Log-probabilities and entropies (rows, response width), as the passes for old and reference ones give them."""
    batch = DataProto.concat([batch_rows(stream) for stream in (rows.base, rows.correction)])
    batch.meta_info["temperature"] = 0.9
    data = left_right_2_no_padding(batch.to_tensordict())
    tu.assign_non_tensor(
        data,
        calculate_entropy=True,
        compute_loss=False,
        use_dynamic_bsz=False,
        micro_batch_size_per_gpu=micro,
        global_token_num=batch.batch["attention_mask"].sum(-1).tolist(),
    )
    found = worker.infer_batch(data)
    return {name: no_padding_2_padding(tu.get(found, name), data) for name in ("log_probs", "entropy")}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    ranks = int(os.environ["WORLD_SIZE"])
    verls = actor_worker(str(folder / "model"))
    choose_engine()
    ours = actor_worker(str(folder / "model"))
    assert type(verls.engine) is FSDPEngineWithLMHead
    assert type(ours.engine) is PrefixEngine
    both = {"verl": verls, "ours": ours}
    cases = [case for case in ALL if case.ranks == ranks]
    results: dict = {case: {name: update(it, case, rows_of(case.rows)) for name, it in both.items()} for case in cases}
    every = torch.load(folder / "rows.pt", weights_only=False)
    for case in SPLITS:
        if case.ranks == ranks:
            rows = grouped(every[case.rows])
            results["split", case] = {name: update(it, case, rows)["gradients"] for name, it in both.items()}
    if ranks == 1:
        case, other = Case(rows="shared", micro=4), actor_worker(str(folder / "model"), checkpointing=True)
        assert type(other.engine) is PrefixEngine
        assert other.engine.module.is_gradient_checkpointing
        results["checkpointing"] = update(other, case, rows_of(case.rows))
    for name in INFERENCES if ranks == 1 else ():
        results[name] = {engine: inferred(it, rows_of(name), 4) for engine, it in both.items()}
    if torch.distributed.get_rank() == 0:
        torch.save(results, folder / f"prefixes_{ranks}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
