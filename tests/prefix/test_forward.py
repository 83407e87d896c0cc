"""One pass over a prefix tree against one pass a row: log-probabilities, entropies, gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from fail2fix.prefix import model_inputs as inputs_of
from fail2fix.prefix.attention import pair_cost
from fail2fix.prefix.model_inputs import head_sees, model_inputs
from fail2fix.prefix.packing import Packed, pack
from fail2fix.prefix.support import FAMILIES, unsupported_model

VOCABULARY = 97
NEAR = 1e-5
Exchange = tuple[list[int], list[int]]


def tiny_model(family: str, **overrides: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "initializer_range": 0.15,
        "attn_implementation": "sdpa",
    }
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **shape | overrides)).float().train()


def words(random: np.random.Generator, length: int) -> list[int]:
    return random.integers(0, VOCABULARY, length).tolist()


def exchanges_of(kind: str) -> list[Exchange]:
    """(prompt, response) of each row."""
    random = np.random.default_rng(3)
    prompts = [words(random, length) for length in (11, 4, 7)]
    answers = [words(random, length) for length in (5, 1, 9, 3, 6, 2)]
    groups = [(prompts[at % 3], answer) for at, answer in enumerate(answers)]
    corrections = [(prompt + answer + [5, 6], words(random, 4)) for prompt, answer in groups[:3]]
    return {
        "groups": groups,
        "single rows": [(words(random, 5), words(random, 4)) for _ in range(3)],
        "one row": groups[:1],
        "both streams": groups + corrections,
        "equal rows": groups + groups[:2],
        "equal prompts in both streams": groups + [(prompts[0], words(random, 8))],
        "a row is another one's prompt": groups + [(prompts[0] + answers[0], words(random, 4))],
        "empty responses": [*groups, (prompts[1], []), (words(random, 9), [])],
        "one token": [([3], [4]), ([3], [5])],
    }[kind]


KINDS = [
    "groups",
    "single rows",
    "one row",
    "both streams",
    "equal rows",
    "equal prompts in both streams",
    "a row is another one's prompt",
    "empty responses",
    "one token",
]


def packed_rows(exchanges: list[Exchange], cost: float) -> Packed:
    rows = [np.array(prompt + response, dtype=np.int64) for prompt, response in exchanges]
    return pack(rows, [len(response) for _, response in exchanges], cost)


def measured(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    log_probs = logits.log_softmax(-1)
    return log_probs.gather(-1, labels[:, None])[:, 0], -(log_probs.exp() * log_probs).sum(-1)


def together(model: PreTrainedModel, exchanges: list[Exchange], cost: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    packed = packed_rows(exchanges, cost)
    with head_sees(model, lambda: packed):
        logits = model(**model_inputs(packed, "sdpa", "cpu"), use_cache=False).logits[0]
    assert logits.shape == (len(packed.labels), VOCABULARY), "logits exist only where a response token is predicted"
    log_probs, entropies = measured(logits, torch.from_numpy(packed.labels))
    return log_probs[packed.responses], entropies[packed.responses]


def alone(model: PreTrainedModel, exchanges: list[Exchange]) -> tuple[torch.Tensor, torch.Tensor]:
    parts = []
    for prompt, response in exchanges:
        logits = model(torch.tensor([prompt + response]), use_cache=False).logits[0, len(prompt) - 1 : -1]
        parts.append(measured(logits, torch.tensor(response, dtype=torch.long)))
    log_probs, entropies = zip(*parts, strict=True)
    return torch.cat(log_probs), torch.cat(entropies)


def gradient(model: PreTrainedModel, outcome: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Of a loss that weighs every response token differently."""
    weights = torch.randn(2, len(outcome[0]), generator=torch.Generator().manual_seed(1))
    model.zero_grad()
    (weights * torch.stack(outcome)).sum().backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def apart(model: PreTrainedModel, exchanges: list[Exchange], cost: float = 0.0) -> tuple[float, float]:
    """The largest difference of a log-probability or entropy, and that of the gradients over their norm."""
    one, other = together(model, exchanges, cost), alone(model, exchanges)
    values = max(float((ours - theirs).detach().abs().max()) for ours, theirs in zip(one, other, strict=True))
    ours, theirs = gradient(model, one), gradient(model, other)
    return values, float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_tree_gives_what_rows_give_alone(family: str, kind: str) -> None:
    assert max(apart(tiny_model(family), exchanges_of(kind))) <= NEAR


@pytest.mark.parametrize("cost", [0.01, 0.02, 1e9])
@pytest.mark.parametrize("kind", KINDS)
def test_several_trees_give_what_one_gives(kind: str, cost: float) -> None:
    assert max(apart(tiny_model("llama"), exchanges_of(kind), cost)) <= NEAR


def test_the_dearer_a_pair_the_more_trees() -> None:
    counts = [len(packed_rows(exchanges_of("both streams"), cost).tokens) for cost in (0.0, 0.01, 0.02, 1e9)]
    assert counts == [1, 2, 3, 3]


def test_the_head_is_as_before_afterwards_and_where_nothing_is_packed() -> None:
    model, tokens = tiny_model("qwen3"), torch.tensor([[1, 2, 3]])
    plain = model(tokens).logits
    with head_sees(model, lambda: None):
        assert torch.equal(model(tokens).logits, plain)
    with pytest.raises(ZeroDivisionError), head_sees(model, lambda: packed_rows([([1, 2], [3])], 1 / 0)):
        model(tokens)
    assert torch.equal(model(tokens).logits, plain)


def test_a_pair_costs_less_of_a_token_the_wider_the_model() -> None:
    model = AutoConfig.for_model("llama", hidden_size=576, intermediate_size=1536, num_attention_heads=9,
                                 num_key_value_heads=3, attn_implementation="sdpa")  # fmt: skip
    matrices = 576 * (2 * 576 + 2 * 192 + 3 * 1536)  # SmolLM2-135M's
    assert pair_cost(model) == pytest.approx(2 * 576 / matrices)
    model._attn_implementation = "flex_attention"
    assert pair_cost(model) == 0


@pytest.mark.parametrize("kind", ["both streams", "empty responses"])
def test_activations_computed_again_in_the_backward_pass_change_nothing(kind: str) -> None:
    model = tiny_model("llama")
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert max(apart(model, exchanges_of(kind))) <= NEAR


def test_rows_without_responses_have_a_gradient_of_zero() -> None:
    model = tiny_model("qwen2")
    assert not gradient(model, together(model, [([1, 2, 3], []), ([4], [])])).any()


@pytest.mark.parametrize("wrong", ["causal", "positions"])
def test_a_wrong_mask_and_wrong_positions_are_told_apart(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, exchanges = tiny_model("llama"), exchanges_of("groups")

    def wrongly(packed: Packed, attention: str, device: str) -> dict[str, Any]:
        inputs = inputs_of.model_inputs(packed, attention, device)
        size = packed.nodes
        changed = {
            "causal": {"attention_mask": torch.ones(size, size).tril().bool()[None, None]},
            "positions": {"position_ids": torch.arange(size)[None]},
        }
        return inputs | changed[wrong]

    monkeypatch.setitem(globals(), "model_inputs", wrongly)
    assert min(apart(model, exchanges)) > 100 * NEAR


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda config: setattr(config, "model_type", "mixtral"), "mixtral"),
        (lambda config: setattr(config, "layer_types", ["full_attention", "sliding_attention"]), "sliding"),
        (lambda config: setattr(config, "attention_dropout", 0.1), "attention_dropout"),
        (lambda config: config.rope_parameters.update(rope_type="dynamic"), "dynamic"),
        (lambda config: config.rope_parameters.update(rope_type="longrope"), "longrope"),
        (lambda config: setattr(config, "_attn_implementation", "flash_attention_2"), "flash_attention_2"),
    ],
)
def test_what_is_not_supported_is_named(change: Callable[[Any], None], reason: str) -> None:
    config = tiny_model("qwen2").config
    assert unsupported_model(config) == ""
    change(config)
    assert reason in unsupported_model(config)
