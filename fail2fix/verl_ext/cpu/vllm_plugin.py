"""vLLM general plugin (entry point ``vllm.general_plugins``), loaded in every vLLM process.

Does nothing unless ``VERL_PLATFORM=cpu``.
"""

import os
from typing import Any


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
