"""The model card of an export: how the model was trained, and its prompts. Unknown facts are left out."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from fail2fix.console.secret_text import kind_of_secret
from fail2fix.console.suggestions import config_name
from fail2fix.export.run import TrainingRun
from fail2fix.report.template import render

# What a reader compares: validation's means, held-out corrections, and the last step's own two streams.
SHOWN_METRICS = re.compile(
    r"val-core/.*|fail2fix/held_out/(fix_rate|keep_rate|gain_over_keep|gain_over_resolve)"
    r"|fail2fix/(base|correction)/accuracy|fail2fix/transition/(fix_rate|keep_rate)"
)
SHOWN_PACKAGES = ("fail2fix", "verl", "vllm", "torch", "transformers")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def model_card(
    name: str, run: TrainingRun | None, step: int | None, weights: str, asked: Mapping[str, Any] | None
) -> str:
    """README.md of an exported folder `name`; `weights`: a description of them; `asked`: its correction prompt."""
    base = None if run is None else base_model(run)
    line = {} if run is None or step is None else run.metrics.get(step, {})
    shown = {name: value for name, value in line.items() if SHOWN_METRICS.fullmatch(name)}
    values = {
        "name": _cell(name),
        "base": base and _code(base),
        "training": [] if run is None else list(_training(run, step, line, weights)),
        "measured_at": step,
        "metrics": [(_code(name), f"{value:.4g}") for name, value in shown.items() if isinstance(value, int | float)],
        "folder": repr(name),
        "sampling": _sampling(run),
        "options": repr(run.options("data.apply_chat_template_kwargs") if run else {}),
        "asked": asked,
        "shown_words": [] if asked is None else _shown(asked),
    }
    head = ModelCardData(
        base_model=base if run is not None and _on_the_hub(run) else None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["fail2fix", "verl", "reinforcement-learning", *(["self-correction"] if asked else [])],
    )
    text = re.sub(r"\n{3,}", "\n\n", render("fail2fix.export", "card.md.jinja", values, escape=False))
    return f"---\n{head.to_yaml()}\n---\n\n{text}"


def base_model(run: TrainingRun) -> str:
    """The starting model: its hub id, or the last part of its path."""
    path = run.text("actor_rollout_ref.model.path") or "unknown"
    return path if _on_the_hub(run) else Path(path).name


def _on_the_hub(run: TrainingRun) -> bool:
    path = run.text("actor_rollout_ref.model.path") or ""
    return _HUB_ID.fullmatch(path) is not None and not Path(path).exists()


def _training(run: TrainingRun, step: int | None, line: Mapping[str, Any], weights: str) -> Iterator[tuple[str, str]]:
    """The rows of the card's first table."""
    rollout = "actor_rollout_ref.rollout"
    steps = run.text("trainer.total_training_steps")
    packages = run.versions.get("packages") or {}
    facts = {
        "config": config_name(run.versions.get("command") or [], ""),
        "base model": base_model(run),
        "data": ", ".join("/".join(file.parts[-2:]) for file in run.data_files()) or None,
        "step": None if step is None else f"{step} of {steps}" if steps else str(step),
        "weights": weights,
        "estimator": run.text("algorithm.adv_estimator"),
        "learning rate": run.text("actor_rollout_ref.actor.optim.lr"),
        "problems a step": run.text("data.train_batch_size"),
        "rollouts a problem": run.text(f"{rollout}.n"),
        "temperature": run.text(f"{rollout}.temperature"),
        "rollouts so far": _count(line.get("fail2fix/ledger/total/rollouts")),
        "tokens generated": _count(line.get("fail2fix/ledger/total/generated_tokens")),
        "versions": ", ".join(f"{name} {packages[name]}" for name in SHOWN_PACKAGES if name in packages),
        "commit of Fail2Fix": run.versions.get("commit"),
    }
    for label, value in facts.items():
        if value:
            yield label, _code(str(value))


def _shown(asked: Mapping[str, Any]) -> list[str]:
    """The lines of a correction prompt, as the card shows them."""
    quoted = f"PROBLEM{asked['before_attempt']}ATTEMPT{asked['after_attempt']}"
    return (quoted if asked["form"] == "block" else str(asked["instruction"])).splitlines()


def _sampling(run: TrainingRun | None) -> str:
    """Arguments of SamplingParams as in the run's validation."""
    if run is None:
        return "temperature=0.7, max_tokens=2048"
    used = "actor_rollout_ref.rollout.val_kwargs"
    greedy = run.text(f"{used}.do_sample") == "False"
    temperature = "0" if greedy else run.text(f"{used}.temperature")
    return f"temperature={temperature}, max_tokens={run.text('data.max_response_length')}"


def _count(value: object) -> str | None:
    return f"{value:,.0f}" if isinstance(value, int | float) else None


def _code(text: str) -> str:
    """A value of a table as it is: neither markup nor a cell's end."""
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    """Any text of the card's tables and titles; a remark in the place of a secret."""
    if kind := kind_of_secret("", text, os.environ):
        return f"(left out: {kind})"
    return text.replace("`", "'").replace("|", "/")
