"""The adaptive replay ratio rho: the wanted share of correct attempts (paper; update rule F2F; METHOD.md, item 7).

If the policy breaks correct attempts (retention below the target), the next steps replay more of them. The terms f2
and f3 only increase rho, so with retention noisy around the target rho drifts up.

Example::

    ratio = ReplayRatio(RatioConfig())
    ratio.update(kept=11, measured=16)
    ratio.rho
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from fail2fix.method.config import RatioConfig
from fail2fix.method.selection import PromptGroup


@dataclass(frozen=True)
class RatioState:
    """The controller's state, part of every checkpoint.

    Attributes:
        rho: wanted share of correct attempts, in [0, 1].
        retention: s of the last measured step; None before the first measurement.
        below: c, consecutive measured steps with s below the target.
    """

    rho: float
    retention: float | None = None
    below: int = 0


class ReplayRatio:
    """Controller of rho: read ``rho``, call ``update`` once per step."""

    def __init__(self, config: RatioConfig) -> None:
        self.config = config
        self.state = RatioState(rho=config.initial)

    @property
    def rho(self) -> float:
        return self.state.rho

    def follow(self, groups: Sequence[PromptGroup]) -> None:
        """With ``pass_rate``: rho becomes what `pass_rate_ratio` says of the rollouts to choose from."""
        self.state = pass_rate_ratio(self.state, groups, self.config)

    def update(self, kept: int, measured: int) -> dict[str, float]:
        """Update from a step: ``kept`` of ``measured`` corrections of correct attempts are correct.

        With ``measured`` = 0 nothing changes. With ``adaptive`` off, or ``pass_rate`` on, retention is tracked and rho
        stays.

        Returns:
            The controller's metrics, under ``fail2fix/replay/``.
        """
        metrics = {"retention_n": float(measured)}
        if measured:
            metrics["retention"] = kept / measured
            self.state = next_state(self.state, kept / measured, self.config)
        if self.state.retention is not None:
            metrics["retention_smoothed"] = self.state.retention
        return {f"fail2fix/replay/{name}": value for name, value in (metrics | {"rho_next": self.rho}).items()}

    def state_dict(self) -> dict[str, float | int | None]:
        return asdict(self.state)

    def load_state_dict(self, state: dict[str, float | int | None]) -> None:
        self.state = RatioState(**state)  # type: ignore[arg-type]


def next_state(state: RatioState, measured: float, config: RatioConfig) -> RatioState:
    """Compute rho <- clip(rho (1 + w1 f1 + w2 f2 + w3 f3)) from a measured retention in [0, 1] (F2F)."""
    previous = state.retention
    s = measured if previous is None else config.retention_ema * previous + (1 - config.retention_ema) * measured
    below = state.below + 1 if s < config.target_retention else 0
    f1 = config.target_retention - s
    f2 = 0.0 if previous is None else max(0.0, previous - s)
    f3 = min(below, 3)
    rho = state.rho
    if config.adaptive and not config.pass_rate:
        factor = 1 + config.w1 * f1 + config.w2 * f2 + config.w3 * f3
        rho = min(max(rho * factor, config.minimum), config.maximum)
    return RatioState(rho=rho, retention=s, below=below)


def pass_rate_ratio(state: RatioState, groups: Sequence[PromptGroup], config: RatioConfig) -> RatioState:
    """With ``pass_rate``: rho is the share of correct rollouts among ``groups``, in [minimum, maximum] (ours).

    So attempts are about as often right as the policy is. Unchanged without ``pass_rate`` or without rollouts.
    """
    rollouts = sum(len(group.attempts) for group in groups)
    if not config.pass_rate or not rollouts:
        return state
    share = sum(group.solved for group in groups) / rollouts
    return replace(state, rho=min(max(share, config.minimum), config.maximum))
