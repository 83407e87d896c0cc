"""Reserve a run's GPUs.

vLLM 0.24 measures the memory of a whole GPU, other processes' included: an engine that sleeps asserts that free memory
has not shrunk meanwhile, and one that starts asserts that it has not grown during profiling (`Worker.sleep` and
`determine_available_memory` in vllm/v1/worker/gpu_worker.py). Two runs on one GPU therefore end each other. A run that
starts its own Ray locks its GPUs by UUID until its process ends; an existing Ray cluster assigns each GPU to one run.

Not seen: runs in other containers, a Ray cluster beside the run's own Ray, and other programs. A warning names the
memory that any of them hold when the run starts.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from fail2fix.cluster.lock import hold

FOLDER = Path("/tmp")
VARIABLE = "CUDA_VISIBLE_DEVICES"
QUERY = ["nvidia-smi", "--query-gpu=index,uuid,memory.used", "--format=csv,noheader,nounits"]
ANSWER_S = 60.0
IDLE_MIB = 1024  # memory that a driver and its services may hold on an idle GPU


@dataclass(frozen=True)
class Gpu:
    """A GPU as ``nvidia-smi`` lists it; of a MIG slice only its UUID is known."""

    index: str
    uuid: str
    used_mib: int = 0

    def __str__(self) -> str:
        return f"GPU {self.index} ({self.uuid})"


@contextmanager
def hold_gpus(
    config: DictConfig, run: Path, environment: Mapping[str, str] = os.environ, folder: Path | None = None
) -> Iterator[list[str]]:
    """Lock the GPUs of a run that starts its own Ray; yield a warning for each one whose memory others use.

    Raises:
        InputError: another run holds one of them.
    """
    ours = [] if config.trainer.device == "cpu" else visible(environment)[: config.trainer.n_gpus_per_node]
    with ExitStack() as held:
        for gpu in ours:
            held.enter_context(hold((folder or FOLDER) / f"fail2fix-{gpu.uuid}.held", run, partial(_refusal, gpu)))
        yield [
            f"{gpu}: other processes hold {gpu.used_mib} MiB; vLLM ends the run if that changes while an engine starts "
            f"or sleeps; choose other GPUs with {VARIABLE}"
            for gpu in ours
            if gpu.used_mib > IDLE_MIB
        ]


def _refusal(gpu: Gpu, other: str) -> str:
    return (
        f"{gpu} belongs to another run ({other}), and vLLM ends a run when another process's memory changes while an "
        "engine starts or sleeps; wait until it ends, or start one Ray for both, which gives each its own GPUs (ray "
        "start --head, then RAY_ADDRESS=auto)"
    )


def visible(environment: Mapping[str, str]) -> list[Gpu]:
    """The GPUs that CUDA would show, in its order, which is Ray's too: a run takes the first of them.

    Indices in ``CUDA_VISIBLE_DEVICES`` are read as ``nvidia-smi`` counts (``CUDA_DEVICE_ORDER=PCI_BUS_ID``). As in
    CUDA, the list ends at the first unknown name.
    """
    found, asked = _listed(), environment.get(VARIABLE)
    if asked is None or not found:
        return found
    shown = []
    for name in map(str.strip, asked.split(",")):
        known = [gpu for gpu in found if name == gpu.index or (name.startswith("GPU-") and gpu.uuid.startswith(name))]
        known += [Gpu(name, name)] if name.startswith("MIG-") else []
        if not known:
            break
        shown.append(known[0])
    return shown


def _listed() -> list[Gpu]:
    """Every GPU of the machine or container; empty if ``nvidia-smi`` does not answer."""
    printed = ""
    with suppress(OSError, subprocess.SubprocessError):
        printed = subprocess.run(QUERY, capture_output=True, text=True, timeout=ANSWER_S, check=True).stdout
    rows = re.findall(r"^(\d+), (GPU-\S+), (\d*)", printed, re.MULTILINE)
    return [Gpu(index, uuid, int(used or 0)) for index, uuid, used in rows]
