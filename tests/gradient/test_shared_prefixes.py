"""The engine that reads shared starts once against verl's own, on one and two gloo ranks, in fp32."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gradient_cases import RANKS, Case
from gradient_reference import all_rows, save_model
from prefix_cases import ALL, INFERENCES, SPLITS, UPDATES
from test_joint_gradient import DIFFERENT, TOLERANCE, difference, run_to_the_end, start_ranks

pytestmark = pytest.mark.e2e

MEANS = ("actor/pg_clipfrac", "actor/pg_clipfrac_lower", "actor/ppo_kl")
APART = 1e-5  # log-probabilities and entropies in fp32


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("prefixes")
    torch.save(all_rows(save_model(folder / "model")), folder / "rows.pt")
    for ranks in RANKS:
        run_to_the_end(start_ranks(folder, ranks, "prefix_worker.py"))
    return {
        case: result
        for ranks in RANKS
        for case, result in torch.load(folder / f"prefixes_{ranks}.pt", weights_only=False).items()
    }


@pytest.mark.parametrize("case", ALL, ids=str)
def test_the_update_has_verls_gradient(results: dict, case: Case) -> None:
    ours, theirs = (results[case][engine]["gradients"] for engine in ("ours", "verl"))
    assert theirs.norm() > DIFFERENT
    assert difference(ours, theirs) <= TOLERANCE


@pytest.mark.parametrize("case", SPLITS, ids=str)
def test_every_split_has_verls_gradient(results: dict, case: Case) -> None:
    ours, theirs = (results["split", case][engine] for engine in ("ours", "verl"))
    assert ours.shape == theirs.shape
    assert ((ours - theirs).norm(dim=1) <= TOLERANCE * theirs.norm(dim=1)).all()


def test_activations_that_are_computed_again_give_the_same_gradient(results: dict) -> None:
    ours, theirs = results["checkpointing"], results[Case(rows="shared", micro=4)]["verl"]
    assert difference(ours["gradients"], theirs["gradients"]) <= TOLERANCE
    assert ours["metrics"]["perf/shared_token_share"] > 0


@pytest.mark.parametrize("case", ALL, ids=str)
def test_the_update_has_verls_metrics(results: dict, case: Case) -> None:
    ours, theirs = (results[case][engine]["metrics"] for engine in ("ours", "verl"))
    assert ours.keys() - theirs.keys() == {"perf/shared_token_share"}
    assert theirs.keys() <= ours.keys()
    for name, value in theirs.items():
        # Seconds and memory; and means of micro-batches' means, which other dynamic micro-batches weigh differently.
        if "perf/" not in name and not (case.micro is None and name in MEANS):
            assert ours[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


@pytest.mark.parametrize("rows", INFERENCES)
@pytest.mark.parametrize("name", ["log_probs", "entropy"])
def test_log_probabilities_and_entropies_are_verls(results: dict, rows: str, name: str) -> None:
    ours, theirs = (results[rows][engine][name] for engine in ("ours", "verl"))
    assert theirs.abs().max() > 1
    torch.testing.assert_close(ours, theirs, rtol=0, atol=APART)


def test_what_is_shared_is_read_once(results: dict) -> None:
    """The more rows of a group are together, the more."""
    share = {case: results[case]["ours"]["metrics"]["perf/shared_token_share"] for case in UPDATES}
    of_micro = {case.micro: share[case] for case in share if case == Case(rows="shared", micro=case.micro)}
    assert of_micro[1] < of_micro[4] < of_micro[24]
    assert of_micro[24] > 0.3
