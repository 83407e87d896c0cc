"""The gradient of one update, on verl's own FSDP2 actor: stock GRPO at lambda = 0, the two-loss sum otherwise.

What runs is the product's path from ``join`` to ``Fail2FixTrainer.update_policy`` and ``joint_loss``, and verl's
worker and engine below it, on one and on two gloo ranks, in fp32; what it is held against is ``gradient_reference``
or verl's own ``_update_actor`` with ``ppo_loss``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from gradient_cases import (
    ALONE,
    BROKEN,
    DUPLICATED,
    EXCLUDED,
    IDLE,
    JOINT,
    MODES,
    OWN,
    PADDED,
    RANKS,
    RISK,
    WEIGHT,
    WITHOUT_CORRECTIONS,
    WITHOUT_WEIGHT,
    Case,
    stock,
)
from gradient_reference import Reference, Rows, all_rows, clipped, dual_clipped, save_model, stream_mean

pytestmark = pytest.mark.e2e

TOLERANCE = 1e-5  # of the gradient's norm; fp32 gives about 1e-6
DIFFERENT = 1e-2


class Lab:
    """Gradients of every case, from verl's worker and by hand."""

    def __init__(self, rows: dict[str, Rows], results: dict[Case, dict[str, Any]], reference: Reference) -> None:
        self.rows, self.results, self.reference = rows, results, reference

    def gradients(self, case: Case) -> torch.Tensor:
        return self.results[case]["gradients"]

    def by_hand(self, case: Case, weight: float = WEIGHT, pooled: bool = False) -> torch.Tensor:
        return self._by_hand(case.rows, case.mode, case.mini_batches, weight, pooled)

    @cache  # noqa: B019  (one lab a session)
    def _by_hand(self, rows: str, mode: str, mini_batches: int, weight: float, pooled: bool) -> torch.Tensor:
        return self.reference.gradients(self.rows[rows], mode, mini_batches, weight, pooled)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny tensors; more threads only wait for each other on a busy machine
    folder = tmp_path_factory.mktemp("gradient")
    model = save_model(folder / "model")
    rows = all_rows(model)
    torch.save(rows, folder / "rows.pt")
    run_to_the_end(start_ranks(folder, 1) | start_ranks(folder, 2))
    results = [torch.load(folder / f"gradients_{ranks}.pt", weights_only=False) for ranks in RANKS]
    yield Lab(rows, results[0] | results[1], Reference(model))
    torch.set_num_threads(threads)


def start_ranks(folder: Path, ranks: int, worker: str = "gradient_worker.py") -> dict[Path, subprocess.Popen]:
    """One process a rank, by the log it writes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"VERL_PLATFORM": "cpu", "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, str(Path(__file__).with_name(worker)), str(folder)]
    processes = {}
    for rank in range(ranks):
        environment = os.environ | shared | {"RANK": str(rank), "WORLD_SIZE": str(ranks)}
        log = folder / f"log_{ranks}_{rank}.txt"
        with log.open("w") as output:
            processes[log] = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    return processes


def run_to_the_end(processes: dict[Path, subprocess.Popen]) -> None:
    try:
        for log, process in processes.items():
            assert process.wait(timeout=600) == 0, log.read_text()[-4000:]
    finally:
        for process in processes.values():
            process.kill()


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest |ours - theirs| / |theirs| over mini-batches."""
    assert ours.shape == theirs.shape
    return float(((ours - theirs).norm(dim=1) / theirs.norm(dim=1)).max())


# ------------------------------------------------------------------------------------------ lambda = 0 is GRPO


@pytest.mark.parametrize("case", WITHOUT_WEIGHT, ids=str)
def test_lambda_zero_is_stock_grpo_on_the_base_rows(lab: Lab, case: Case) -> None:
    theirs = lab.gradients(stock(case.ranks, case.mode, case.mini_batches))
    assert difference(lab.gradients(case), theirs) <= TOLERANCE


@pytest.mark.parametrize("case", WITHOUT_CORRECTIONS, ids=str)
def test_without_corrections_is_stock_grpo(lab: Lab, case: Case) -> None:
    theirs = lab.gradients(stock(case.ranks, case.mode, case.mini_batches))
    assert difference(lab.gradients(case), theirs) <= TOLERANCE


def test_corrections_do_change_the_gradient(lab: Lab) -> None:
    """The two properties above are not empty."""
    case = JOINT[0]
    assert difference(lab.gradients(case), lab.gradients(stock(case.ranks, case.mode, 1))) > DIFFERENT


# ------------------------------------------------------------------------------------ the joint gradient by hand


@pytest.mark.parametrize("case", JOINT + PADDED, ids=str)
def test_joint_gradient_is_the_sum_of_two_stream_means(lab: Lab, case: Case) -> None:
    assert difference(lab.gradients(case), lab.by_hand(case)) <= TOLERANCE


@pytest.mark.parametrize("case", EXCLUDED, ids=str)
def test_excluded_groups_do_not_count_in_the_stream_means(lab: Lab, case: Case) -> None:
    """Also where a mini-batch loses its whole correction stream: then it is GRPO."""
    assert difference(lab.gradients(case), lab.by_hand(case)) <= TOLERANCE


@pytest.mark.parametrize("case", [case for case in IDLE if case.skip], ids=str)
def test_rows_without_a_gradient_need_no_passes(lab: Lab, case: Case) -> None:
    """They stay in the denominators: the gradient is the one of the whole batch.

    Dynamic micro-batches are packed otherwise without them, and packing alone moves the sum in its last bits.
    """
    tolerance = 1e-6 if case.micro else TOLERANCE
    assert difference(lab.gradients(case), lab.gradients(replace(case, skip=False))) <= tolerance
    skipped = lab.results[case]["metrics"]["fail2fix/update/skipped_rows"]
    needed = 8 if case.ranks * case.mini_batches < 4 else 4
    assert skipped >= 24 - case.mini_batches * needed - 4


@pytest.mark.parametrize("case", ALONE, ids=str)
def test_an_update_on_corrections_alone_has_their_part_of_the_joint_gradient(lab: Lab, case: Case) -> None:
    """Idle corrections are left out, and no base row fills up. A difference of two gradients is less exact."""
    together = replace(case, only=None, micro=None, skip=False)
    theirs = lab.gradients(together) - lab.gradients(replace(together, weight=0.0))
    assert difference(lab.gradients(case), theirs) <= 10 * TOLERANCE


@pytest.mark.parametrize("case", OWN, ids=str)
def test_one_optimizer_step_needs_no_pass_for_old_log_probs(lab: Lab, case: Case) -> None:
    """The update's own log-probs are the old ones: the gradient is the one of a batch that brings them."""
    assert difference(lab.gradients(case), lab.gradients(replace(case, own=False))) <= TOLERANCE
    if case.regularized:
        assert difference(lab.gradients(case), lab.by_hand(case)) <= TOLERANCE


@pytest.mark.parametrize("case", [case for case in OWN if case.regularized], ids=str)
def test_the_update_measures_what_the_pass_for_old_log_probs_measures(lab: Lab, case: Case) -> None:
    """Entropies and the agreement with the engines."""
    metrics, rows = lab.results[case]["metrics"], lab.rows[case.rows]
    both = [*rows.base, *rows.correction]
    for name, its in {"fail2fix/base": rows.base, "fail2fix/correction": rows.correction, "actor": both}.items():
        entropy = stream_mean([lab.reference.output(row)[1].detach() for row in its], case.mode)
        assert metrics[f"{name}/entropy"] == pytest.approx(float(entropy), rel=1e-4)
    old = torch.cat([row.old_log_prob for row in both]).exp()
    engine = torch.cat([row.ref_log_prob for row in both]).exp()
    correlation = float(torch.corrcoef(torch.stack([old, engine]))[0, 1])
    assert metrics["training/rollout_actor_probs_pearson_corr"] == pytest.approx(correlation, rel=1e-4)
    assert "rollout_corr/kl" in metrics


@pytest.mark.parametrize("case", DUPLICATED, ids=str)
def test_duplicated_correction_groups_change_nothing(lab: Lab, case: Case) -> None:
    """lambda means the same whatever K is."""
    once = replace(case, rows="plain", micro=3)
    assert difference(lab.gradients(case), lab.gradients(once)) <= TOLERANCE


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wrong", [{"weight": WEIGHT * 1.01}, {"weight": 1.0}, {"pooled": True}], ids=str)
def test_a_wrong_objective_is_told_apart(lab: Lab, mode: str, wrong: dict[str, Any]) -> None:
    """A slightly wrong lambda and pooled means are far outside the tolerance."""
    case = Case(mode=mode, mini_batches=2)
    assert difference(lab.gradients(case), lab.by_hand(case, **wrong)) > 100 * TOLERANCE


@pytest.mark.parametrize(("one", "other"), list(combinations(MODES, 2)))
def test_modes_differ(lab: Lab, one: str, other: str) -> None:
    assert difference(lab.gradients(Case(mode=one)), lab.gradients(Case(mode=other))) > DIFFERENT


@pytest.mark.parametrize("micro", [3, None])
@pytest.mark.parametrize("ranks", RANKS)
def test_clipping_is_active_and_reported(lab: Lab, ranks: int, micro: int | None) -> None:
    """Both clips act in both streams, and each stream's clip fraction is over its own tokens."""
    metrics = lab.results[Case(ranks, mode="token-mean", micro=micro)]["metrics"]
    rows = lab.rows["plain"]
    for name, stream in (("base", rows.base), ("correction", rows.correction)):
        for metric, by_hand in (("pg_clipfrac", clipped), ("pg_clipfrac_lower", dual_clipped)):
            share = torch.cat([by_hand(row, lab.reference.output(row)[0]) for row in stream]).float().mean().item()
            assert share > 0
            assert metrics[f"fail2fix/{name}/{metric}"] == pytest.approx(share, rel=1e-5)


# ------------------------------------------------------------------------------------------------ the risk term


def test_risk_changes_the_gradient_under_raw_std(lab: Lab) -> None:
    without, with_risk = (lab.gradients(case) for case in RISK if case.rows.startswith("raw_std"))
    assert difference(with_risk, without) > DIFFERENT


def test_risk_does_nothing_under_shaped_std(lab: Lab) -> None:
    """Normalization removes the affine risk term, all but what epsilon leaves.

    In a mixed group of a right attempt both the centred rewards and their std grow (1 + lambda_risk)-fold, so its
    advantages d / (s + eps) change by less than eps / s = 1.4e-6 of themselves; an all-broken group is zero either way.
    The gradient is linear in advantages whose signs stay, so it moves by as little; 1e-4 leaves room for fp32.
    """
    without, with_risk = (lab.gradients(case) for case in RISK if case.rows.startswith("shaped_std"))
    assert difference(with_risk, without) < 1e-4


def test_an_all_broken_group_teaches_only_with_the_attempt_in_the_baseline(lab: Lab) -> None:
    group, with_attempt = (lab.gradients(case).norm() for case in BROKEN)
    assert group == 0
    assert with_attempt > DIFFERENT
