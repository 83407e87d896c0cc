"""The method's keys: their defaults are METHOD.md's, and values that make no sense are refused by name."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass
from functools import reduce
from typing import Any

import pytest
from omegaconf import OmegaConf

from fail2fix.method.config import Baseline, PromptForm, Scale, Thinking
from fail2fix.method.errors import InputError
from fail2fix.run.config import Fail2FixConfig, check
from fail2fix.run.settings import fail2fix_settings
from fail2fix.verify.config import Channel, CodeBackendName

SYMBOLS = {  # METHOD.md, "Symbols", and the constants its items name, with their marks
    "correction.attempts": (128, "paper"),
    "correction.rollouts": (8, "paper"),
    "correction.weight": (1.0, "F2F"),
    "replay.band_low": (3 / 8, "F2F"),
    "replay.band_high": (6 / 8, "F2F"),
    "replay.max_attempts_per_prompt": (2, "ours"),
    "replay.keep_probe": (True, "ours"),
    "ratio.initial": (0.3, "F2F"),
    "ratio.minimum": (0.2, "F2F"),
    "ratio.maximum": (0.8, "F2F"),
    "ratio.target_retention": (0.8, "F2F"),
    "ratio.w1": (0.8, "F2F"),
    "ratio.w2": (0.3, "F2F"),
    "ratio.w3": (0.05, "F2F"),
    "ratio.retention_ema": (0.0, "F2F"),
    "risk.penalty": (1.0, "F2F"),
    "risk.reward_scale": (1.0, "ours"),
    "budget.matched_prompts": (256, "paper"),
}
CHOICES = {
    "seeded_rollouts": "auto",
    "groups_share_engine": True,
    "skip_idle_rows": True,
    "skip_old_log_probs": False,
    "share_prefixes": "auto",
    "correction.enabled": True,
    "correction.alternate": False,
    "correction.form": PromptForm.block,
    "correction.thinking": Thinking.strip,
    "correction.thinking_marks": [],
    "correction.template": "default",
    "replay.source": "online",
    "replay.rule": "quotas",
    "risk.rule": "broken",
    "advantage.estimator": "group_relative",
    "replay.difficulty": True,
    "ratio.adaptive": True,
    "ratio.pass_rate": False,
    "held_out.enabled": False,
    "held_out.revisions": 0,
    "held_out.file": None,
    "offline.file": None,
    "advantage.scale": Scale.raw_std,
    "advantage.baseline": Baseline.group,
    "verifier.correct_threshold": 1.0,
    "verifier.channel": Channel.auto,
    "verifier.code.backend": CodeBackendName.local,
}
REFUSED = {
    "seeded_rollouts": ["on", "", "AUTO", 1, None, []],
    "share_prefixes": ["on", 1, None],
    "correction.attempts": [0, -1],
    "correction.rollouts": [1, 0],
    "correction.weight": [-0.1],
    "correction.max_prompt_length": [0],
    "correction.thinking_marks": [[["<a>"]], [["<a>", ""]], [["<a>", "</a>", "<b>"]]],
    "correction.header": ["", " "],
    "correction.instruction": ["", " "],
    "replay.band_low": [-0.1, 0.8, 1.1],
    "replay.max_attempts_per_prompt": [0],
    "replay.source": ["", "a b", "-"],
    "replay.rule": ["", "a b"],
    "correction.template": ["", "a b"],
    "risk.rule": ["", "a b"],
    "advantage.estimator": ["", "a b"],
    "offline.prompts": [0],
    "held_out.problems": [0],
    "held_out.samples": [0],
    "held_out.revisions": [-1],
    "budget.rollouts": [0, -1],
    "budget.matched_prompts": [0],
    "checkpoint.keep_last": [0],
    "ratio.minimum": [-0.1, 0.9],
    "ratio.initial": [0.1, 0.9],
    "ratio.target_retention": [-0.1, 1.1],
    "ratio.retention_ema": [-0.1, 1.0],
    "risk.penalty": [-1.0],
    "risk.reward_scale": [0.0, -1.0, float("inf"), float("nan")],
    "verifier.workers": [0],
    "verifier.deadline_s": [0.0, -1.0],
    "verifier.retry_s": [-1.0],
    "verifier.retries": [-1],
    "verifier.call_s": [0.0, -1.0],
    "verifier.code.workers": [0],
    "verifier.code.test_s": [0.0, 31.0],
    "verifier.code.total_s": [0.0, -1.0],
    "verifier.code.memory_mb": [0],
    "verifier.code.endpoint": ["http://localhost:8080"],
    "faults.max_skipped_updates": [-1],
    "faults.max_excluded_groups": [-0.1, 1.1],
    "faults.max_timeouts": [-0.1, 1.1],
    "faults.min_failures": [0],
    "watchdog.start_s": [0.0, -1.0],
    "watchdog.limit_s": [0.0, -1.0],
    "run.name": ["", "a/b", "..", "-x", "a b"],
}


def value_at(config: Fail2FixConfig, key: str) -> Any:
    return reduce(getattr, key.split("."), config)


def with_value(key: str, value: Any) -> Fail2FixConfig:
    """The defaults with one key changed."""
    config = Fail2FixConfig()
    section, _, name = key.rpartition(".")
    setattr(value_at(config, section) if section else config, name, value)
    return config


def keys(config: Any, prefix: str = "") -> list[str]:
    """Every key of the section, dotted."""
    found = []
    for f in fields(config):
        value, key = getattr(config, f.name), prefix + f.name
        found += keys(value, f"{key}.") if is_dataclass(value) else [key]
    return found


@pytest.mark.parametrize("key", SYMBOLS)
def test_a_symbol_has_its_default(key: str) -> None:
    assert value_at(Fail2FixConfig(), key) == SYMBOLS[key][0]


@pytest.mark.parametrize("key", CHOICES)
def test_a_choice_has_its_default(key: str) -> None:
    assert value_at(Fail2FixConfig(), key) == CHOICES[key]


@pytest.mark.parametrize("key", SYMBOLS)
def test_a_default_says_where_it_comes_from(key: str) -> None:
    """No number can be taken for the paper's that is not: the mark stands on its line."""
    body = inspect.getsource(type(value_at(Fail2FixConfig(), key.split(".")[0])))
    (line,) = re.findall(rf"^    {key.split('.')[1]}: .*$", body, re.M)
    assert re.search(rf"\b{SYMBOLS[key][1]}\b", line.partition("#")[2])
    assert not any(
        re.search(rf"\b{mark}\b", line.partition("#")[2]) for mark in {"paper", "F2F", "ours"} - {SYMBOLS[key][1]}
    )


def test_the_defaults_make_sense() -> None:
    check(Fail2FixConfig())


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in REFUSED.items() for value in values])
def test_a_senseless_value_is_refused_by_its_key_in_one_line(key: str, value: Any) -> None:
    with pytest.raises(InputError, match=re.escape(f"fail2fix.{key}={value}: must be ")) as refused:
        check(with_value(key, value))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("correction.attempts", 1),
        ("correction.rollouts", 2),
        ("correction.weight", 0.0),
        ("replay.band_low", 0.75),
        ("ratio.initial", 0.2),
        ("ratio.initial", 0.8),
        ("ratio.target_retention", 1.0),
        ("ratio.retention_ema", 0.0),
        ("risk.penalty", 0.0),
        ("verifier.retry_s", 0.0),
        ("verifier.retries", 0),
        ("faults.max_skipped_updates", 0),
        ("faults.max_excluded_groups", 1.0),
        ("faults.max_timeouts", 0.0),
        ("watchdog.limit_s", None),
        ("run.name", "2026-07-01_12.00-a"),
        ("run.name", None),
    ],
)
def test_the_last_sensible_value_is_accepted(key: str, value: Any) -> None:
    check(with_value(key, value))


def test_a_fixed_ratio_may_lie_outside_the_range() -> None:
    """The failed-attempts-only ablation: rho 0 with the controller off."""
    config = with_value("ratio.initial", 0.0)
    config.ratio.adaptive = False
    check(config)
    config.ratio.initial = 1.1
    with pytest.raises(InputError, match=r"fail2fix\.ratio\.initial=1\.1"):
        check(config)


def test_every_number_of_the_section_is_held_against_something() -> None:
    """A new key comes with a default of METHOD.md's or a refusal here."""
    known = {
        *SYMBOLS,
        *CHOICES,
        *REFUSED,
        "seed",
        "checkpoint.best_metric",
        "checkpoint.best_is_lowest",
        "run.root",
        "run.restart",
        "run.validate_on_stop",
        "verifier.allow_echoes",
        "verifier.sources",
    }
    assert set(keys(Fail2FixConfig())) == known


@pytest.mark.parametrize("section", [{"verifier": {"sources": {1: "math"}}}, {"correction": {"header": b"x"}}])
def test_values_of_another_kind_are_refused_without_a_schema(section: dict[str, Any]) -> None:
    """As the reward manager reads a section in another recipe; `1` and `True` are no text, nor are bytes."""
    with pytest.raises(InputError):
        fail2fix_settings(OmegaConf.create({"fail2fix": section}))


def test_settings_of_one_section_are_each_callers_own() -> None:
    config = OmegaConf.create({"fail2fix": {"seed": 3}})
    fail2fix_settings(config).seed = 4
    assert fail2fix_settings(config).seed == 3
