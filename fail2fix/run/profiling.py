"""Decide when to profile (``global_profiler.steps``), as verl's own loop does."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import DictConfig


@dataclass(frozen=True)
class ProfilePlan:
    """Profiling at one step.

    Attributes:
        active: the step is profiled.
        start, stop: start the workers' profilers at its beginning, and stop them at its end.
        finish: run the finish command; only at the last profiled step.
    """

    active: bool
    start: bool
    stop: bool
    finish: bool


def plan_profiling(config: DictConfig, step: int, last: bool) -> ProfilePlan:
    """The plan of a step."""
    steps = config.global_profiler.steps or []
    active = step in steps
    continuous = config.global_profiler.profile_continuous_steps
    return ProfilePlan(
        active=active,
        start=active and not (continuous and step - 1 in steps),
        stop=active and not (continuous and step + 1 in steps and not last),
        finish=active and (step == max(steps) or last),
    )
