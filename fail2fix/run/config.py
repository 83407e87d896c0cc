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
from dataclasses import dataclass, field
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
from fail2fix.verify.config import CodeBackendName, CodeConfig, VerifierConfig


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
    ``training/rollout_*`` are then those of the rows in the update.
    """

    seed: int = 0
    seeded_rollouts: Any = "auto"  # or a bool; `check` refuses all else
    groups_share_engine: bool = True
    skip_idle_rows: bool = True
    skip_old_log_probs: bool = False
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


def _check_correction(correction: CorrectionConfig) -> None:
    attempts, rollouts, marks = correction.attempts, correction.rollouts, correction.thinking_marks
    _require(attempts >= 1, "correction.attempts", attempts, "at least 1 (correction.enabled=false turns it off)")
    _require(rollouts >= 2, "correction.rollouts", rollouts, "at least 2: one rollout has no group to compare with")
    _require(correction.weight >= 0, "correction.weight", correction.weight, "0 or more")
    longest = correction.max_prompt_length
    _require(longest >= 1, "correction.max_prompt_length", longest, "a number of tokens")
    _require(
        all(len(pair) == 2 and all(mark.strip() for mark in pair) for pair in marks),
        "correction.thinking_marks",
        marks,
        "a list of pairs, an opening and a closing mark each, like [[<a>,</a>]]",
    )
    for key in ("header", "instruction"):
        words = getattr(correction, key)
        _require(words is None or words.strip(), f"correction.{key}", words, "words, or null for the template's")


def _check_replay(replay: ReplayConfig) -> None:
    low, high, limit = replay.band_low, replay.band_high, replay.max_attempts_per_prompt
    _require(0 <= low <= high <= 1, "replay.band_low", low, "0 <= band_low <= band_high <= 1")
    _require(limit >= 1, "replay.max_attempts_per_prompt", limit, "1 or more")


def _check_ratio(ratio: RatioConfig) -> None:
    low, first, high = ratio.minimum, ratio.initial, ratio.maximum
    _require(0 <= low <= high <= 1, "ratio.minimum", low, "0 <= minimum <= maximum <= 1")
    _require(low <= first <= high or not ratio.adaptive, "ratio.initial", first, "in [minimum, maximum]")
    for key in ("initial", "target_retention"):
        share = getattr(ratio, key)
        _require(0 <= share <= 1, f"ratio.{key}", share, "a share in [0, 1]")
    _require(0 <= ratio.retention_ema < 1, "ratio.retention_ema", ratio.retention_ema, "in [0, 1)")


def _check_risk(risk: RiskConfig) -> None:
    _require(risk.penalty >= 0, "risk.penalty", risk.penalty, "0 or more")
    scale = risk.reward_scale
    _require(0 < scale < math.inf, "risk.reward_scale", scale, "a number above 0: what right is worth above wrong")


def _check_verifier(verifier: VerifierConfig) -> None:
    _require(verifier.workers >= 1, "verifier.workers", verifier.workers, "at least 1")
    for key in ("deadline_s", "call_s"):
        seconds = getattr(verifier, key)
        _require(seconds > 0, f"verifier.{key}", seconds, "a number of seconds above 0")
    retry_s, retries = verifier.retry_s, verifier.retries
    _require(retry_s >= 0, "verifier.retry_s", retry_s, "0 or more seconds (0: never ask a service again)")
    _require(retries >= 0, "verifier.retries", retries, "0 or more")
    _check_code(verifier.code)


def _check_code(code: CodeConfig) -> None:
    http = code.endpoint.startswith(("http://", "https://"))
    wanted = "http://host:port of the service" if code.backend is CodeBackendName.sandbox_fusion else "empty for local"
    _require(http == (code.backend is CodeBackendName.sandbox_fusion), "verifier.code.endpoint", code.endpoint, wanted)
    _require(code.workers >= 1, "verifier.code.workers", code.workers, "at least 1")
    _require(code.total_s > 0, "verifier.code.total_s", code.total_s, "a number of seconds above 0")
    _require(0 < code.test_s <= code.total_s, "verifier.code.test_s", code.test_s, "above 0, at most code.total_s")
    _require(code.memory_mb >= 64, "verifier.code.memory_mb", code.memory_mb, "at least 64")


def _check_faults(faults: FaultsConfig) -> None:
    skipped = faults.max_skipped_updates
    _require(skipped >= 0, "faults.max_skipped_updates", skipped, "0 or more (0: any number)")
    for key in ("max_excluded_groups", "max_timeouts"):
        share = getattr(faults, key)
        _require(0 <= share <= 1, f"faults.{key}", share, "a share in [0, 1] (1: never stop)")
    _require(faults.min_failures >= 1, "faults.min_failures", faults.min_failures, "at least 1")


def _check_doors(config: Fail2FixConfig) -> None:
    for key, value in (
        ("replay.source", config.replay.source),
        ("replay.rule", config.replay.rule),
        ("correction.template", config.correction.template),
        ("risk.rule", config.risk.rule),
        ("advantage.estimator", config.advantage.estimator),
    ):
        named = re.fullmatch(r"[\w.]+", value)
        _require(named, key, value, "a shipped name, or the dotted path of your own (fail2fix/README.md)")


def check(config: Fail2FixConfig) -> None:
    """Refuse values that make no sense.

    Raises:
        InputError: naming the key, its value and what is allowed.
    """
    seeded, name = config.seeded_rollouts, config.run.name
    _require(isinstance(seeded, bool) or seeded == "auto", "seeded_rollouts", seeded, "auto, true or false")
    _check_correction(config.correction)
    _check_replay(config.replay)
    _check_ratio(config.ratio)
    _check_risk(config.risk)
    _check_verifier(config.verifier)
    _check_faults(config.faults)
    _check_doors(config)
    for key, limit_s in (("start_s", config.watchdog.start_s), ("limit_s", config.watchdog.limit_s)):
        _require(limit_s is None or limit_s > 0, f"watchdog.{key}", limit_s, "a number of seconds above 0, or null")
    for key, count in (
        ("offline.prompts", config.offline.prompts),
        ("held_out.problems", config.held_out.problems),
        ("held_out.samples", config.held_out.samples),
        ("budget.rollouts", config.budget.rollouts),
        ("budget.matched_prompts", config.budget.matched_prompts),
        ("checkpoint.keep_last", config.checkpoint.keep_last),
    ):
        _require(count is None or count >= 1, key, count, "at least 1")
    fits = name is None or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)
    _require(fits, "run.name", name, "one folder name of letters, digits, '.', '_' and '-'")


def _require(holds: object, key: str, value: object, allowed: str) -> None:
    if not holds:
        raise InputError(f"fail2fix.{key}={value}: must be {allowed}")
