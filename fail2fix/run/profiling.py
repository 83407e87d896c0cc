"""verl's profiling steps (``global_profiler.steps``): when to start and stop, as its own loop does."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import DictConfig


@dataclass(frozen=True)
class ProfilePlan:
    """What to do at a step.

    Attributes:
        active: the step is profiled.
        start, stop: switch the workers' profilers at its beginning and end.
        finish: run the finish command; only at the last profiled step.
    """

    active: bool
    start: bool
    stop: bool
    finish: bool


def plan_profiling(config: DictConfig, step: int, last: bool) -> ProfilePlan:
    steps = config.global_profiler.steps or []
    active = step in steps
    continuous = config.global_profiler.profile_continuous_steps
    return ProfilePlan(
        active=active,
        start=active and not (continuous and step - 1 in steps),
        stop=active and not (continuous and step + 1 in steps and not last),
        finish=active and (step == max(steps) or last),
    )
