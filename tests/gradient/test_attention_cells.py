"""What ``preflight/attention.py`` says of models, attentions and fused kernels, held against verl's own FSDP2 engine.

One gloo rank in fp32, two families, several rows in each micro-batch. flash_attention_2 and fsdp need a GPU.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from attention_cells import CELLS, DIES, RUNS, Cell
from gradient_cases import Case
from gradient_reference import Reference, Rows, all_rows, save_model
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from test_joint_gradient import TOLERANCE, difference, run_to_the_end, start_ranks
from transformers import AutoConfig, AutoModelForCausalLM

from fail2fix.method.errors import InputError
from fail2fix.preflight.attention import check_attention
from fail2fix.run.shipped_configs import config_dir
from fail2fix.train import register_configs

pytestmark = pytest.mark.e2e

APART = 1e-5  # log-probabilities in fp32 give about 2e-6


class Cells:
    """Every cell's outcome, and what plain transformers compute from the same model, row by row."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, (family, tied) in {cell.model: (cell.family, cell.tied) for cell in CELLS}.items():
            model = save_model(folder / name / "model", family, tied)
            torch.save(all_rows(model)["plain"], folder / name / "rows.pt")
        run_to_the_end(start_ranks(folder, 1, "attention_worker.py"))
        self.outcomes: dict[Cell, dict[str, Any]] = torch.load(folder / "cells.pt", weights_only=False)

    def reference(self, cell: Cell) -> tuple[Reference, Rows]:
        path = self.folder / cell.model / "model"
        model = AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager", dtype=torch.float32)
        return Reference(model), torch.load(self.folder / cell.model / "rows.pt", weights_only=False)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Cells:
    return Cells(tmp_path_factory.mktemp("cells"))


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_what_preflight_accepts_runs_and_what_it_refuses_dies(cells: Cells, cell: Cell) -> None:
    register_configs()
    with initialize_config_dir(config_dir(), version_base="1.3"):
        config = compose("cipo", [f"actor_rollout_ref.model.path={cells.folder / cell.model / 'model'}"])
    model = config.actor_rollout_ref.model
    model.use_remove_padding, model.use_fused_kernels = cell.packed, cell.fused
    OmegaConf.update(model, "override_config.attn_implementation", cell.attention, force_add=True)
    try:
        check_attention(config, AutoConfig.from_pretrained(model.path))
        refused = False
    except InputError:
        refused = True
    assert refused == ("error" in cells.outcomes[cell]), cells.outcomes[cell].get("error")


@pytest.mark.parametrize("cell", DIES, ids=str)
def test_fused_kernels_die_on_a_sharded_head_of_its_own(cells: Cells, cell: Cell) -> None:
    assert "mixed torch.Tensor and DTensor" in cells.outcomes[cell]["error"]


@pytest.mark.parametrize("cell", RUNS, ids=str)
def test_a_row_is_computed_as_if_it_were_alone(cells: Cells, cell: Cell) -> None:
    """Also where it is packed with others, by fused kernels, and by our log-probabilities as by verl's loop."""
    found = cells.outcomes[cell]
    reference, rows = cells.reference(cell)
    with torch.no_grad():
        truth = [reference.output(row)[0] for row in rows.base]
    for way in ("log_probs", "verl_loop"):
        if way == "verl_loop" and cell.fused:  # which computes none of its own
            continue
        for one, alone in zip(found[way], truth, strict=True):
            torch.testing.assert_close(one[: len(alone)], alone, rtol=0, atol=APART)


@pytest.mark.parametrize("cell", RUNS, ids=str)
def test_the_gradient_is_the_one_by_hand(cells: Cells, cell: Cell) -> None:
    reference, rows = cells.reference(cell)
    assert difference(cells.outcomes[cell]["gradients"], reference.gradients(rows, Case().mode, 1)) <= TOLERANCE
