"""Patch vLLM for CPU runs, as general plugins (entry points ``vllm.general_plugins``) in every vLLM process.

They have no effect unless ``VERL_PLATFORM=cpu``.
"""

import os
import time
from collections.abc import Callable
from typing import Any

from fail2fix.verl_ext.cpu.patches import replace

SLEEP_MS = 2


def keep_cpu_weights() -> None:
    """Keep ``layer.weight`` after vLLM has packed it for oneDNN, so that new weights can be loaded.

    vLLM's CPU path frees the weight once it is packed. verl re-runs ``process_weights_after_loading`` after
    every sync, which packs the kept weight again.
    """
    if os.environ.get("VERL_PLATFORM") == "cpu":
        import vllm.model_executor.layers.utils as layer_utils

        replace(layer_utils, "dispatch_cpu_unquantized_gemm", _keeping_weights)


def _keeping_weights(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda layer, remove_weight: original(layer, remove_weight=False)


def wait_asleep() -> None:
    """Let vLLM's scheduler and its worker sleep while they wait for each other.

    They poll shared memory in a loop until a second has passed without a message. A generation has no such second, so
    on few cores the waiting process takes a core from the computing one. A message is also announced over a socket,
    which wakes a sleeper in a fraction of a millisecond. Announcements in close succession get lost, so each sleep is
    short.
    """
    if os.environ.get("VERL_PLATFORM") == "cpu":
        from vllm.distributed.device_communicators.shm_broadcast import SpinCondition

        replace(SpinCondition, "wait", _asleep)


def _asleep(original: Callable[..., None]) -> Callable[..., None]:
    import zmq

    def wait(self: Any, timeout_ms: int | None = None) -> None:
        if time.monotonic() > self.last_read + self.busy_loop_s:
            original(self, timeout_ms)
        elif self.local_notify_socket in dict(self.poller.poll(timeout=SLEEP_MS)):
            self.local_notify_socket.recv(flags=zmq.NOBLOCK, copy=False)

    return wait
