"""The method's keys, typed: one dataclass a concept of METHOD.md, with its defaults and their sources.

The whole `fail2fix:` section, and the values that are refused: `fail2fix.run.config`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class PromptForm(Enum):
    """How an attempt enters the correction prompt: data inside the user's turn, or the assistant's own turn."""

    block = "block"
    turn = "turn"


class Thinking(Enum):
    """What happens to thinking blocks inside an attempt."""

    strip = "strip"
    keep = "keep"


class Scale(Enum):
    """What a correction group's centred rewards are divided by."""

    raw_std = "raw_std"
    shaped_std = "shaped_std"
    none = "none"


class Baseline(Enum):
    """Over what a correction group's mean and std are taken."""

    group = "group"
    with_attempt = "with_attempt"


@dataclass
class CorrectionConfig:
    """The correction stream: ``attempts`` (K) prompts with ``rollouts`` (G') rollouts each, ``weight`` (lambda).

    ``template``: default, diagnosis, review, verdict, or the dotted path of your own
    `fail2fix.method.templates.PromptTemplate`. ``header`` and ``instruction`` replace its words.
    """

    enabled: bool = True
    attempts: int = 128  # K (paper)
    rollouts: int = 8  # G', at least 2 (paper)
    weight: float = 1.0  # lambda (F2F)
    alternate: bool = False  # update on solving, then correct and update on that (ThinkTwice, arXiv 2604.01591)
    form: PromptForm = PromptForm.block
    thinking: Thinking = Thinking.strip
    # [opening, closing] marks beside the known ones (`fail2fix.method.thinking.KNOWN_MARKS`)
    thinking_marks: list[list[str]] = field(default_factory=list)
    max_prompt_length: int = 5632  # tokens of a correction prompt: problem + fixed words + attempt
    template: str = "default"
    header: str | None = None  # before a quoted attempt (block); null: the template's
    instruction: str | None = None  # after the attempt; null: the template's


@dataclass
class ReplayConfig:
    """Which attempts are replayed (METHOD.md, "Replay selection").

    ``source``: online, offline, lagged, or the dotted path of your own `fail2fix.verl_ext.sources.AttemptSource`.
    ``rule``: quotas, uniform, or the dotted path of your own `fail2fix.method.selection.SelectionRule`.
    """

    source: str = "online"
    rule: str = "quotas"
    band_low: float = 0.375  # delta_low (F2F)
    band_high: float = 0.75  # delta_high (F2F)
    max_attempts_per_prompt: int = 2  # (ours)
    difficulty: bool = True  # problems inside the band first; False: all alike
    keep_probe: bool = True  # (ours)


@dataclass
class OfflineConfig:
    """The pool of ``replay.source=offline``: ``prompts`` training problems, G rollouts each, by the starting model.

    ``file`` is written by the first run that does not find it and read by the others; null puts it into the run's
    own folder.
    """

    prompts: int | None = None  # null: 4 B (METHOD.md, item 2)
    file: str | None = None


@dataclass
class HeldOutConfig:
    """Held-out corrections: at most one right and one wrong attempt of the starting model a validation problem.

    They are frozen in ``file`` (null: in the run's folder), so that runs which share it answer the same prompts.
    """

    enabled: bool = False
    problems: int | None = None  # null: the whole validation set
    samples: int = 4  # corrections a prompt at each validation
    revisions: int = 0  # of each of the policy's own answers at each validation; 0: none
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
    pass_rate: bool = False  # rho is the share of correct rollouts to choose from, instead of the controller's (ours)
    retention_ema: float = 0.0  # share of the last retention kept in the next (F2F: 0)


@dataclass
class RiskConfig:
    """Risk-averse shaping: ``penalty`` (lambda_risk) for turning a correct attempt into a wrong answer.

    ``reward_scale`` (s): what a right answer is worth above a wrong one in the reward function's reward. The shaped
    reward loses ``penalty * reward_scale``, so that ``penalty`` means the same for every reward. ``rule``: ``broken``,
    or the dotted path of your own `fail2fix.method.shaping.PenaltyRule`.
    """

    penalty: float = 1.0  # (F2F)
    reward_scale: float = 1.0  # (ours)
    rule: str = "broken"

    @property
    def beyond_broken(self) -> bool:
        """Whether another rule than ``broken`` takes from the rewards."""
        return self.rule != "broken"


@dataclass
class AdvantageConfig:
    """How a correction group's rewards become advantages (METHOD.md, "The penalty that does nothing").

    ``scale=raw_std`` divides the reward and the risk term each by its own spread: rewards may have any units.
    ``estimator``: group_relative, or the dotted path of your own `fail2fix.method.advantage.Estimator`.
    """

    scale: Scale = Scale.raw_std
    baseline: Baseline = Baseline.group
    estimator: str = "group_relative"
