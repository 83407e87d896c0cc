"""The method's keys, typed: the ``fail2fix:`` section of every config.

One dataclass a concept of METHOD.md; the defaults live here and nowhere else. Hydra registers
``Fail2FixConfig`` as the schema of the section, so an unknown key or a wrong type is refused while the
config is composed; ``check`` refuses values that make no sense. Knows nothing of verl.

Example::

    config = Fail2FixConfig(correction=CorrectionConfig(attempts=8, rollouts=4))
    check(config)
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

DEFAULT_HEADER = "Below is an attempt at this problem, quoted as it was written."
DEFAULT_INSTRUCTION = (
    "The attempt above may be right or wrong. Check it step by step, preserve what is right and repair what "
    "is wrong. Then write out the full corrected solution and give the final answer in the form the problem "
    "asks for."
)


SOURCES_ALLOWED = "online, offline, lagged, or the dotted path of a class of your own"


class BadInput(ValueError):
    """Something the user gave is wrong. The message is one line: which key, file or row, what, and what to do."""


class PromptForm(Enum):
    """How an attempt enters the correction prompt: data inside the user's turn, or the assistant's own turn."""

    block = "block"
    turn = "turn"


class Thinking(Enum):
    """What happens to thinking blocks inside an attempt."""

    strip = "strip"
    keep = "keep"


class Schedule(Enum):
    """When a step's corrections start.

    serial: when its last base rollout has ended. streaming: a group's, as soon as the group's own rollouts have ended;
    late groups' with the next step (`fail2fix.core.admission`). lagged: at once, on the attempts of the step before.
    """

    serial = "serial"
    streaming = "streaming"
    lagged = "lagged"


class Scale(Enum):
    """What a correction group's centred rewards are divided by."""

    raw_std = "raw_std"
    shaped_std = "shaped_std"
    none = "none"


class Baseline(Enum):
    """Over what a correction group's mean and std are taken."""

    group = "group"
    with_attempt = "with_attempt"


class Channel(Enum):
    """Where a prompt asks for the answer: in a box, on a line of its own, or (``auto``) wherever one is found."""

    auto = "auto"
    boxed = "boxed"
    answer_line = "answer_line"


@dataclass
class CorrectionConfig:
    """The correction stream: ``attempts`` (K) prompts with ``rollouts`` (G') rollouts each, ``weight`` (lambda)."""

    enabled: bool = True
    attempts: int = 128  # K (paper)
    rollouts: int = 8  # G', at least 2 (paper)
    weight: float = 1.0  # lambda (F2F)
    form: PromptForm = PromptForm.block
    thinking: Thinking = Thinking.strip
    # [opening, closing] marks beside the known ones (`fail2fix.core.thinking.KNOWN_MARKS`)
    thinking_marks: list[list[str]] = field(default_factory=list)
    max_prompt_length: int = 5632  # tokens of a correction prompt: problem + fixed words + attempt
    header: str = DEFAULT_HEADER  # before a quoted attempt (block); says nothing of its verdict
    instruction: str = DEFAULT_INSTRUCTION  # after the attempt: check, preserve what is right, repair what is wrong


@dataclass
class ReplayConfig:
    """Which attempts are replayed (METHOD.md, "Replay selection").

    ``source``: online, offline, lagged, or the dotted path of an ``AttemptSource`` of your own.
    """

    source: str = "online"
    band_low: float = 0.375  # delta_low (F2F)
    band_high: float = 0.75  # delta_high (F2F)
    max_attempts_per_prompt: int = 2  # (ours)
    difficulty: bool = True  # problems inside the band first; False: all alike
    keep_probe: bool = True  # (ours)


@dataclass
class StreamingConfig:
    """``schedule=streaming`` (ours).

    ``patience``: a group is late if one of its rollouts is longer than this share of the longest of the step before.
    Its corrections then belong to the next step. More patience replays more of a step's own attempts and takes longer.

    A step's rows have to divide (by ranks, mini-batches and fixed micro-batches), and how many attempts it admits shows
    only in the end: those beyond the last multiple wait for the next step (``fail2fix/replay/trimmed``), and their
    corrections are written again then. With the paper's sizes on eight ranks every number divides; in fixed
    micro-batches of K * G' rows only multiples of K do.
    """

    patience: float = 0.3  # (ours)


@dataclass
class OfflineConfig:
    """The pool of ``replay.source=offline``: ``prompts`` training problems, G rollouts each, by the starting model.

    ``file`` is written by the first run that does not find it and read by the others; null puts it into the run's
    own folder.
    """

    prompts: int | None = None  # null: 4 B (METHOD.md)
    file: str | None = None


@dataclass
class HeldOutConfig:
    """Held-out corrections: at most one right and one wrong attempt of the starting model a validation problem.

    They are frozen in ``file`` (null: in the run's folder), so that runs which share it answer the same prompts.
    """

    enabled: bool = False
    problems: int | None = None  # null: the whole validation set
    samples: int = 4  # corrections a prompt at each validation
    file: str | None = None


@dataclass
class RatioConfig:
    """The adaptive replay ratio rho (METHOD.md, item 7)."""

    adaptive: bool = True
    initial: float = 0.3  # rho_0 (F2F)
    minimum: float = 0.2  # (F2F)
    maximum: float = 0.8  # (F2F)
    target_retention: float = 0.8  # tau (F2F)
    w1: float = 0.8  # (F2F)
    w2: float = 0.3  # (F2F)
    w3: float = 0.05  # (F2F)
    retention_ema: float = 0.0  # share of the last retention kept in the next (F2F: 0)


@dataclass
class RiskConfig:
    """Risk-averse shaping: ``penalty`` (lambda_risk) for turning a correct attempt into a wrong answer.

    ``reward_scale`` (s): what a right answer is worth above a wrong one in the reward function's reward. The shaped
    reward loses ``penalty * reward_scale``, so that ``penalty`` means the same for every reward.
    """

    penalty: float = 1.0  # (F2F)
    reward_scale: float = 1.0  # (ours)


@dataclass
class AdvantageConfig:
    """How a correction group's rewards become advantages (METHOD.md, "The penalty that does nothing").

    ``scale=raw_std`` divides the reward and the risk term each by its own spread: rewards may have any units.
    """

    scale: Scale = Scale.raw_std
    baseline: Baseline = Baseline.group


class CodeBackend(Enum):
    """Where programs run: bubblewrap sandboxes on this machine, or SandboxFusion's HTTP service."""

    local = "local"
    sandbox_fusion = "sandbox_fusion"


@dataclass
class CodeConfig:
    """The verifier of programs; a row's ground truth may ask for less time and memory, never for more."""

    backend: CodeBackend = CodeBackend.local
    endpoint: str = ""  # of sandbox_fusion: http://host:port
    workers: int = 2  # sandboxes, or requests, at a time in each reward worker
    test_s: float = 6.0  # seconds of one test
    total_s: float = 30.0  # seconds of all tests of a program
    memory_mb: int = 1024  # of each process


@dataclass
class VerifierConfig:
    """Our verifiers, which judge where the run has no reward function of its own, and what counts as correct there.

    ``sources``: which verifier judges the rows of a data source, by name (`fail2fix.verify.registry`); it adds to the
    registry's own list and outweighs it.

    ``retry_s`` and ``retries`` bound how a failed check is repeated (`fail2fix.backoff`). ``retry_s``: seconds for
    which a service that is down or overloaded (connection errors, HTTP 429 and 5xx) is asked again with growing pauses,
    counted from the first failure; at most half of the watchdog's limit. ``retries``: repetitions after anything else
    that is not an error of the reward function's code: a worker or sandbox that died, a call beyond ``call_s``.
    """

    correct_threshold: float = 1.0
    workers: int = 2  # processes in each reward worker
    deadline_s: float = 3.0  # seconds one check may take before its process is killed
    channel: Channel = Channel.auto  # where the prompt asks for the answer
    retry_s: float = 300.0  # seconds to ask a failing service again; 0: never
    retries: int = 2  # of other failures, not of a wrong answer
    call_s: float = 600.0  # seconds a call of the run's own reward function may take before it counts as failed
    sources: dict[str, str] = field(default_factory=dict)
    code: CodeConfig = field(default_factory=CodeConfig)


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
    ``trainer.resume_mode`` says.
    """

    root: str = "outputs"
    name: str | None = None
    restart: bool = False


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
    ``fail2fix/base/*`` and ``fail2fix/correction/*`` these rows count as zero.
    """

    seed: int = 0
    seeded_rollouts: Any = "auto"  # or a bool; `check` refuses all else
    groups_share_engine: bool = True
    skip_idle_rows: bool = True
    schedule: Schedule = Schedule.serial
    streaming: StreamingConfig = field(default_factory=StreamingConfig)
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


def _check_code(code: CodeConfig) -> None:
    http = code.endpoint.startswith(("http://", "https://"))
    wanted = "http://host:port of the service" if code.backend is CodeBackend.sandbox_fusion else "empty for local"
    _require(http == (code.backend is CodeBackend.sandbox_fusion), "verifier.code.endpoint", code.endpoint, wanted)
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


def _check_schedule(config: Fail2FixConfig) -> None:
    sources = {Schedule.streaming: ("online",), Schedule.lagged: ("online", "lagged")}.get(config.schedule)
    _require(
        sources is None or config.replay.source in sources,
        "schedule",
        config.schedule.value,
        f"serial where replay.source={config.replay.source}: it has a schedule of its own",
    )
    _require(0 < config.streaming.patience <= 1, "streaming.patience", config.streaming.patience, "in (0, 1]")


def check(config: Fail2FixConfig) -> None:
    """Refuse values that make no sense.

    Raises:
        BadInput: naming the key, its value and what is allowed.
    """
    c, r, q, v = config.correction, config.replay, config.ratio, config.verifier
    seeded = config.seeded_rollouts
    _require(isinstance(seeded, bool) or seeded == "auto", "seeded_rollouts", seeded, "auto, true or false")
    _require(
        c.attempts >= 1,
        "correction.attempts",
        c.attempts,
        "at least 1 (correction.enabled=false turns it off)",
    )
    _require(
        c.rollouts >= 2,
        "correction.rollouts",
        c.rollouts,
        "at least 2: one rollout has no group to compare with",
    )
    _require(c.weight >= 0, "correction.weight", c.weight, "0 or more")
    _require(c.max_prompt_length >= 1, "correction.max_prompt_length", c.max_prompt_length, "a number of tokens")
    _require(
        all(len(pair) == 2 and all(mark.strip() for mark in pair) for pair in c.thinking_marks),
        "correction.thinking_marks",
        c.thinking_marks,
        "a list of pairs, an opening and a closing mark each, like [[<a>,</a>]]",
    )
    for key, words in (("correction.header", c.header), ("correction.instruction", c.instruction)):
        _require(words.strip() != "", key, words, "words; every attempt needs them around it")
    _require(0 <= r.band_low <= r.band_high <= 1, "replay.band_low", r.band_low, "0 <= band_low <= band_high <= 1")
    _require(
        r.max_attempts_per_prompt >= 1,
        "replay.max_attempts_per_prompt",
        r.max_attempts_per_prompt,
        "1 or more",
    )
    _require(0 <= q.minimum <= q.maximum <= 1, "ratio.minimum", q.minimum, "0 <= minimum <= maximum <= 1")
    _require(
        q.minimum <= q.initial <= q.maximum or not q.adaptive,
        "ratio.initial",
        q.initial,
        "in [minimum, maximum]",
    )
    _require(0 <= q.initial <= 1, "ratio.initial", q.initial, "a share in [0, 1]")
    _require(0 <= q.target_retention <= 1, "ratio.target_retention", q.target_retention, "a share in [0, 1]")
    _require(0 <= q.retention_ema < 1, "ratio.retention_ema", q.retention_ema, "in [0, 1)")
    _require(config.risk.penalty >= 0, "risk.penalty", config.risk.penalty, "0 or more")
    scale = config.risk.reward_scale
    _require(0 < scale < math.inf, "risk.reward_scale", scale, "a number above 0: what right is worth above wrong")
    _require(v.workers >= 1, "verifier.workers", v.workers, "at least 1")
    _require(v.deadline_s > 0, "verifier.deadline_s", v.deadline_s, "a number of seconds above 0")
    _require(v.retry_s >= 0, "verifier.retry_s", v.retry_s, "0 or more seconds (0: never ask a service again)")
    _require(v.retries >= 0, "verifier.retries", v.retries, "0 or more")
    _require(v.call_s > 0, "verifier.call_s", v.call_s, "a number of seconds above 0")
    _check_code(v.code)
    _check_schedule(config)
    _check_faults(config.faults)
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
    _require(re.fullmatch(r"[\w.]+", r.source) is not None, "replay.source", r.source, SOURCES_ALLOWED)
    name = config.run.name
    _require(
        name is None or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) is not None,
        "run.name",
        name,
        "one folder name of letters, digits, '.', '_' and '-'",
    )


def _require(holds: bool, key: str, value: object, allowed: str) -> None:
    if not holds:
        raise BadInput(f"fail2fix.{key}={value}: must be {allowed}")
