"""The whole ``fail2fix:`` section, typed; and the values that are refused.

One dataclass a concept; the defaults live in them and nowhere else. Hydra registers ``Fail2FixConfig`` as the schema of
the section: it refuses an unknown key or a wrong type while the config is composed. ``check`` refuses values that make
no sense.

Example::

    config = Fail2FixConfig(correction=CorrectionConfig(attempts=8, rollouts=4))
    check(config)
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from fail2fix.method.config import (
    AdvantageConfig,
    CorrectionConfig,
    HeldOutConfig,
    OfflineConfig,
    RatioConfig,
    ReplayConfig,
    RiskConfig,
)
from fail2fix.method.errors import InputError
from fail2fix.verify.config import CodeBackendName, VerifierConfig


@dataclass
class BudgetConfig:
    """When a run ends, beside ``trainer.total_training_steps``; and what an equal cost is.

    ``rollouts``: no step starts that would take the run past so many training rollouts; null: steps alone decide.
    ``matched_prompts``: problems a step of a run without corrections that spends what both streams do: B + K G'/G.
    """

    rollouts: int | None = None
    matched_prompts: int = 256  # (paper: GRPO BS256)


@dataclass
class CheckpointConfig:
    """Which checkpoints stay. One goes only after a newer one is complete.

    Attributes:
        keep_last: so many of the newest; null: ``trainer.max_actor_ckpt_to_keep``, or all.
        best_metric: a validation's metric, as ``metrics.jsonl`` names it: the best checkpoint by it stays too. One of
            verl's majority votes (``/maj@``) makes every validation take them, which costs CPU time on the driver.
        best_is_lowest: the best is the lowest.
    """

    keep_last: int | None = None
    best_metric: str | None = None
    best_is_lowest: bool = False


@dataclass
class FaultsConfig:
    """When a step is too broken to go on (ours): the run stops before, or with, a checkpoint of healthy weights.

    Fewer than ``min_failures`` groups or checks never stop a run, whatever their share of a small stream.
    """

    max_skipped_updates: int = 3  # non-finite gradients in a row; 0: any number
    max_excluded_groups: float = 0.5  # share of a stream's groups that leave a step because a check failed
    max_timeouts: float = 0.9  # share of a stream's checks that timed out (not of programs over their limits)
    min_failures: int = 4


@dataclass
class WatchdogConfig:
    """How long nothing may happen (ours): seconds within one phase; then the run ends and says where it hung.

    ``start_s``: before the first step, where engines load and compile; ``limit_s``: from then on. null: no limit.
    """

    start_s: float | None = 3600.0
    limit_s: float | None = 3600.0


@dataclass
class RunConfig:
    """Where a run leaves its files: ``<root>/<trainer.experiment_name>/<name>/``; no name means the start time.

    ``restart``: continue the run of this name: from its newest checkpoint, or, if it has none, as
    ``trainer.resume_mode`` says. ``validate_on_stop``: a run that is asked to stop validates its last step.
    """

    root: str = "outputs"
    name: str | None = None
    restart: bool = False
    validate_on_stop: bool = False


@dataclass
class Fail2FixConfig:
    """The whole ``fail2fix:`` section.

    ``seeded_rollouts``: every request has its own seed, so that a resumed run samples what an uninterrupted one does:
    true, false, or auto (true on a CPU; false on a GPU, where equal bits are not promised and vLLM may then sample
    request by request). ``groups_share_engine``: all rollouts of a problem go to one engine, all corrections of an
    attempt to one (in form ``turn`` to its problem's), whose prefix cache then holds what they have in common; verl
    spreads them. ``skip_idle_rows``: rows without a gradient (no advantage, no KL loss, no entropy bonus) stay out of
    the update's passes, not of what its loss is divided by; of fixed micro-batches (no ``use_dynamic_bsz``) whole ones
    only. ``actor/ppo_kl``, clip fractions and ``actor/entropy_loss`` are then means over the other rows, and in
    ``fail2fix/base/*`` and ``fail2fix/correction/*`` these rows count as zero. ``skip_old_log_probs``: where a step has
    one optimizer step and nothing needs log pi_old before it, the update's own forward pass gives it; entropies and
    ``training/rollout_*`` are then those of the rows in the update. ``share_prefixes``: a start that rows of a
    micro-batch share passes through the model once (`fail2fix.prefix`): true, false, or auto (true on a CPU; false on a
    GPU, where it is not measured).
    """

    seed: int = 0
    seeded_rollouts: Any = "auto"  # or a bool; `check` refuses all else
    groups_share_engine: bool = True
    skip_idle_rows: bool = True
    skip_old_log_probs: bool = False
    share_prefixes: Any = "auto"  # or a bool; `check` refuses all else
    correction: CorrectionConfig = field(default_factory=CorrectionConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    offline: OfflineConfig = field(default_factory=OfflineConfig)
    ratio: RatioConfig = field(default_factory=RatioConfig)
    risk: RiskConfig = field(default_factory=RiskConfig)
    advantage: AdvantageConfig = field(default_factory=AdvantageConfig)
    verifier: VerifierConfig = field(default_factory=VerifierConfig)
    held_out: HeldOutConfig = field(default_factory=HeldOutConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    faults: FaultsConfig = field(default_factory=FaultsConfig)
    watchdog: WatchdogConfig = field(default_factory=WatchdogConfig)
    run: RunConfig = field(default_factory=RunConfig)


def _at_least(least: float) -> Callable[[Any], bool]:
    """Whether a number reaches ``least``; null passes where the schema allows it."""
    return lambda value: value is None or value >= least


def _above_zero(value: float | None) -> bool:
    return value is None or value > 0


def _is_share(value: float) -> bool:
    return 0 <= value <= 1


def _are_pairs(marks: Any) -> bool:
    return all(len(pair) == 2 and all(mark.strip() for mark in pair) for pair in marks)


# The allowed values of single keys: in words, as a test, and the keys.
ALLOWED: tuple[tuple[str, Callable[[Any], object], str], ...] = (
    ("auto, true or false", lambda value: isinstance(value, bool) or value == "auto", "seeded_rollouts share_prefixes"),
    ("at least 1 (correction.enabled=false turns it off)", _at_least(1), "correction.attempts"),
    ("at least 2: one rollout has no group to compare with", _at_least(2), "correction.rollouts"),
    (
        "at least 1",
        _at_least(1),
        "correction.max_prompt_length replay.max_attempts_per_prompt offline.prompts held_out.problems "
        "held_out.samples budget.rollouts budget.matched_prompts checkpoint.keep_last faults.min_failures "
        "verifier.workers verifier.code.workers",
    ),
    ("at least 64", _at_least(64), "verifier.code.memory_mb"),
    (
        "0 or more",
        _at_least(0),
        "correction.weight risk.penalty verifier.retries held_out.revisions",
    ),
    ("0 or more (0: any number)", _at_least(0), "faults.max_skipped_updates"),
    ("0 or more seconds (0: never ask a service again)", _at_least(0), "verifier.retry_s"),
    ("a number of seconds above 0", _above_zero, "verifier.deadline_s verifier.call_s verifier.code.total_s"),
    ("a number of seconds above 0, or null", _above_zero, "watchdog.start_s watchdog.limit_s"),
    ("a share in [0, 1]", _is_share, "ratio.initial ratio.target_retention"),
    ("a share in [0, 1] (1: never stop)", _is_share, "faults.max_excluded_groups faults.max_timeouts"),
    ("in [0, 1)", lambda value: 0 <= value < 1, "ratio.retention_ema"),
    ("a number above 0: what right is worth above wrong", lambda value: 0 < value < math.inf, "risk.reward_scale"),
    ("a list of pairs, an opening and a closing mark each, like [[<a>,</a>]]", _are_pairs, "correction.thinking_marks"),
    (
        "words, or null for the template's",
        lambda value: value is None or value.strip(),
        "correction.header correction.instruction",
    ),
    (
        "a shipped name, or the dotted path of your own (fail2fix/README.md)",
        lambda value: re.fullmatch(r"[\w.]+", value),
        "replay.source replay.rule correction.template risk.rule advantage.estimator",
    ),
    (
        "one folder name of letters, digits, '.', '_' and '-'",
        lambda value: value is None or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value),
        "run.name",
    ),
)


def check(config: Fail2FixConfig) -> None:
    """Refuse values that make no sense.

    Raises:
        InputError: naming the key, its value and what is allowed.
    """
    for allowed, holds, keys in ALLOWED:
        for key in keys.split():
            _require(holds(value := attrgetter(key)(config)), key, value, allowed)
    replay, ratio, code = config.replay, config.ratio, config.verifier.code
    low, high = replay.band_low, replay.band_high
    _require(0 <= low <= high <= 1, "replay.band_low", low, "0 <= band_low <= band_high <= 1")
    low, first, high = ratio.minimum, ratio.initial, ratio.maximum
    _require(0 <= low <= high <= 1, "ratio.minimum", low, "0 <= minimum <= maximum <= 1")
    _require(low <= first <= high or not ratio.adaptive, "ratio.initial", first, "in [minimum, maximum]")
    http, fusion = code.endpoint.startswith(("http://", "https://")), code.backend is CodeBackendName.sandbox_fusion
    wanted = "http://host:port of the service" if fusion else "empty for local"
    _require(http == fusion, "verifier.code.endpoint", code.endpoint, wanted)
    _require(0 < code.test_s <= code.total_s, "verifier.code.test_s", code.test_s, "above 0, at most code.total_s")


def _require(holds: object, key: str, value: object, allowed: str) -> None:
    if not holds:
        raise InputError(f"fail2fix.{key}={value}: must be {allowed}")
