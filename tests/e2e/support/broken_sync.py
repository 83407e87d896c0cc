"""Negative control: a vLLM worker that applies the first weight sync and drops all later ones."""

from __future__ import annotations

from typing import Any

from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension


class BrokenSync(vLLMColocateWorkerExtension):
    _rounds = 0

    def update_weights_from_ipc(self, *args: Any, **kwargs: Any) -> Any:
        self._rounds += 1
        return super().update_weights_from_ipc(*args, **kwargs)

    def _update_weights(self, weights: Any, **kwargs: Any) -> Any:
        return super()._update_weights(weights, **kwargs) if self._rounds <= 1 else None
