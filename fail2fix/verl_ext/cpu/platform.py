"""Register a CPU platform in verl's public platform registry."""

from __future__ import annotations

import types
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import psutil
import torch
from verl.plugin.platform import PlatformBase, PlatformRegistry


class _CPUDeviceModule(types.ModuleType):
    """torch.cpu with the functions of torch.cuda that verl calls on its device module."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.cpu, name)


def _nothing(*_args: object, **_kwargs: object) -> None:
    return None


def _resident_bytes(*_args: object, **_kwargs: object) -> int:
    return psutil.Process().memory_info().rss


def _free_and_total_bytes(*_args: object, **_kwargs: object) -> tuple[int, int]:
    memory = psutil.virtual_memory()
    return memory.available, memory.total


NO_OPS = (
    "empty_cache", "ipc_collect", "manual_seed", "manual_seed_all", "reset_accumulated_memory_stats",
    "reset_peak_memory_stats", "set_device", "set_per_process_memory_fraction", "synchronize",
)  # fmt: skip
MEMORY = ("max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved")


def _device_module() -> types.ModuleType:
    module = _CPUDeviceModule("fail2fix.verl_ext.cpu.device_module")
    vars(module).update(
        dict.fromkeys(NO_OPS, _nothing),
        **dict.fromkeys(MEMORY, _resident_bytes),
        mem_get_info=_free_and_total_bytes,
        get_device_name=lambda *_: "CPU",
        current_device=lambda: torch.device("cpu"),
        get_rng_state=lambda *_: torch.get_rng_state(),
        set_rng_state=lambda state, *_: torch.set_rng_state(state),
        is_available=lambda: True,
    )
    return module


@PlatformRegistry.register(platform="cpu")
class PlatformCPU(PlatformBase):
    """One CPU, which verl treats as one device."""

    device_name = "cpu"
    vendor_name = "cpu"
    device_module = _device_module()

    set_device = synchronize = set_allocator_settings = empty_cache = profiler_start = profiler_stop = cudart = _nothing

    def is_available(self) -> bool:
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        # Chosen by VERL_PLATFORM only: on a GPU cluster, actors without a GPU see no CUDA either.
        return False

    def current_device(self) -> torch.device:
        return torch.device("cpu")

    def device_count(self) -> int:
        return 1

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    manual_seed_all = manual_seed

    def get_device_capability(self, device_index: int = 0) -> tuple[None, None]:
        return None, None

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    def nvtx_range(self, msg: str) -> AbstractContextManager[None]:
        return nullcontext()

    def ray_resource_name(self) -> str:
        # A logical resource: ray.init(num_gpus=N) is accepted on a machine without GPUs.
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return []

    def is_ipc_supported(self) -> bool:
        # Weights are then transferred through POSIX shared memory.
        return False
