"""vLLM general plugins (entry points ``vllm.general_plugins``), loaded in every vLLM process.

They do nothing unless ``VERL_PLATFORM=cpu``.
"""

import os
import time
from typing import Any

SLEEP_MS = 2


def keep_cpu_weights() -> None:
    """Keep ``layer.weight`` after vLLM has packed it for oneDNN, so that new weights can be loaded.

    vLLM's CPU path frees the weight once it is packed. verl re-runs ``process_weights_after_loading`` after
    every sync, which packs the kept weight again.
    """
    if os.environ.get("VERL_PLATFORM") != "cpu":
        return
    import vllm.model_executor.layers.utils as layer_utils

    original = layer_utils.dispatch_cpu_unquantized_gemm
    if hasattr(original, "_fail2fix_cpu"):
        return

    def dispatch_cpu_unquantized_gemm(layer: Any, remove_weight: bool) -> Any:
        return original(layer, remove_weight=False)

    dispatch_cpu_unquantized_gemm._fail2fix_cpu = True  # type: ignore[attr-defined]
    layer_utils.dispatch_cpu_unquantized_gemm = dispatch_cpu_unquantized_gemm


def wait_asleep() -> None:
    """Let vLLM's scheduler and its worker sleep while they wait for each other.

    They poll shared memory in a loop until a second has passed without a message, that is during all of a generation:
    on few cores the one that waits takes a core from the one that computes. A message is also announced over a socket,
    which wakes a sleeper in a fraction of a millisecond. Announcements that follow each other closely get lost, so
    nobody sleeps for long.
    """
    if os.environ.get("VERL_PLATFORM") != "cpu":
        return
    import zmq
    from vllm.distributed.device_communicators.shm_broadcast import SpinCondition

    original = SpinCondition.wait
    if hasattr(original, "_fail2fix_cpu"):
        return

    def wait(self: Any, timeout_ms: int | None = None) -> None:
        if time.monotonic() > self.last_read + self.busy_loop_s:
            original(self, timeout_ms)
        elif self.local_notify_socket in dict(self.poller.poll(timeout=SLEEP_MS)):
            self.local_notify_socket.recv(flags=zmq.NOBLOCK, copy=False)

    wait._fail2fix_cpu = True  # type: ignore[attr-defined]
    SpinCondition.wait = wait
