"""Log-probabilities in chunks: verl's values and gradients, in more precise arithmetic and without copies."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from verl.utils import torch_functional

from fail2fix.verl_ext import log_probs as ours
from fail2fix.verl_ext.log_probs import log_probs
from tests.forked import run_code, run_script

ROOT = Path(__file__).resolve().parents[2]
VOCABULARY = 300


def verls_own() -> ModuleType:
    """A fresh copy of verl's module: in this process ours may have taken the loop's place."""
    spec = importlib.util.spec_from_file_location("verls_own", torch_functional.__file__)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verl_loop = verls_own().logprobs_from_logits_v2


@pytest.fixture(autouse=True)
def _many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "CHUNK", 7 * VOCABULARY)


def case(*shape: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, labels, and weights of the sum that is differentiated."""
    torch.manual_seed(0)
    logits = (3 * torch.randn(*shape, VOCABULARY)).to(dtype)
    return logits, torch.randint(VOCABULARY, shape), torch.randn(shape)


LogProbs = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def both(way: LogProbs, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> list[torch.Tensor]:
    """Values and gradient."""
    logits = logits.clone().requires_grad_()
    values = way(logits, labels)
    (gradient,) = torch.autograd.grad((values.float() * weights).sum(), logits)
    return [values.detach(), gradient]


@pytest.mark.parametrize("shape", [(1,), (7,), (23,), (3, 11), (0,)], ids=str)
def test_values_and_gradients_are_verls_in_fp32(shape: tuple[int, ...]) -> None:
    logits, labels, weights = case(*shape)
    if shape == (0,):  # verl's loop cannot stack nothing
        assert log_probs(logits, labels).shape == shape
        return
    ways = (both(way, logits, labels, weights) for way in (log_probs, verl_loop))
    for mine, theirs in zip(*ways, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=2e-6)


@pytest.mark.heavy
def test_the_gradient_is_the_derivative() -> None:
    logits, labels, _ = case(9, dtype=torch.float64)
    logits, labels = logits[:, :40].contiguous().requires_grad_(), labels % 40
    assert torch.autograd.gradcheck(lambda x: log_probs(x, labels), (logits,))


def test_bf16_is_nearer_to_the_truth_than_verls_loop() -> None:
    """The truth: verl's loop on the same rounded logits in fp32."""
    logits, labels, weights = case(64, dtype=torch.bfloat16)
    truth = both(verl_loop, logits.float(), labels, weights)
    mine, theirs = (both(way, logits, labels, weights) for way in (log_probs, verl_loop))
    for exact, one, other in zip(truth, mine, theirs, strict=True):
        assert (one.float() - exact).norm() < (other.float() - exact).norm()
    assert mine[0].dtype == torch.float32
    torch.testing.assert_close(mine[0], truth[0], rtol=1e-6, atol=2e-6)


def test_nothing_but_logits_and_labels_waits_for_the_backward_pass() -> None:
    logits, labels, _ = case(23, dtype=torch.bfloat16)
    kept: dict[int, int] = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.update({t.data_ptr(): t.nbytes}) or t, lambda t: t):
        log_probs(logits.requires_grad_(), labels)
    assert sum(kept.values()) == logits.nbytes + labels.nbytes


IN_A_WORKER = """
import sys, cloudpickle, torch
from verl.utils import torch_functional
from verl.workers.engine.fsdp import transformer_impl
before = torch_functional.logprobs_from_logits_v2
cloudpickle.loads(bytes.fromhex(sys.argv[1]))
after = torch_functional.logprobs_from_logits_v2
assert (before.__module__, after.__module__) == ("verl.utils.torch_functional", "fail2fix.verl_ext.log_probs"), after
logits, labels = torch.randn(4, 9).bfloat16(), torch.arange(4)
assert transformer_impl.logprobs_from_logits(logits, labels).dtype == torch.float32
torch_functional.FLAH_ATTN_CROSS_ENTROPY_LOSS_AVAILABLE = True
torch_functional.logprobs_from_logits_flash_attn = lambda logits, labels, inplace_backward: labels + 7
assert transformer_impl.logprobs_from_logits(logits, labels).tolist() == [7, 8, 9, 10]
"""


@pytest.mark.heavy
def test_a_worker_that_is_given_our_loss_uses_ours_and_flash_attn_where_it_is() -> None:
    """A process of its own, as ``set_loss_fn`` reaches it: with a pickled loss."""
    from functools import partial

    import cloudpickle

    from fail2fix.verl_ext.loss import joint_loss

    loss = cloudpickle.dumps(partial(joint_loss, correction_weight=1.0)).hex()
    done = run_code(IN_A_WORKER, loss, preload=["verl.workers.engine_workers"])
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.heavy
def test_the_benchmark_runs_on_this_device() -> None:
    sizes = ["--tokens", "32", "--vocabulary", "500", "700", "--repeats", "1"]
    said = run_script(ROOT / "scripts" / "bench" / "log_probs.py", *sizes, preload=["verl.workers.engine_workers"])
    cases = json.loads(said)["cases"]
    assert [one["vocabulary"] for one in cases] == [500, 700]
    assert all(one[f"{phase}_times_faster"] > 0 for one in cases for phase in ("forward", "backward"))
