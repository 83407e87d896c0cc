"""Track the best checkpoint by one validation metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fail2fix.method.errors import InputError
from fail2fix.run.config import CheckpointConfig


@dataclass
class Best:
    """Step and value of the best validated checkpoint; both are None before the first."""

    config: CheckpointConfig
    step: int | None = None
    value: float | None = None

    def note(self, step: int, metrics: Mapping[str, Any]) -> bool:
        """Whether a checkpoint's validation is the best so far; of two equal ones the earlier stays best.

        Raises:
            InputError: validation has no such metric.
        """
        name = self.config.best_metric
        if name is None:
            return False
        if name not in metrics:
            names = ", ".join(sorted(key for key in metrics if key.startswith(("val-core/", "fail2fix/held_out/"))))
            raise InputError(f"fail2fix.checkpoint.best_metric={name}: validation has no such metric; it has {names}")
        value = metrics[name]
        if value is None or math.isnan(value):
            return False
        if self.value is not None and not (value < self.value if self.config.best_is_lowest else value > self.value):
            return False
        self.step, self.value = step, float(value)
        return True

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "value": self.value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.step, self.value = state["step"], state["value"]
