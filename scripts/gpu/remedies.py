"""What a training can do without: tried one after another when it does not get through its first step."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

NO_GRAPHS = ("actor_rollout_ref.rollout.enforce_eager=true",)
AWAKE = ("actor_rollout_ref.rollout.free_cache_engine=false", "++actor_rollout_ref.rollout.enable_sleep_mode=false")


@dataclass(frozen=True)
class Remedy:
    """What is given up, in words, and the overrides and variables that do it."""

    words: str
    overrides: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)


# By the probe that asks for it ("graphs", "update": none does), in the order tried where no probe says what is wrong.
REMEDIES = {
    "graphs": Remedy("CUDA graphs and compilation", NO_GRAPHS),
    "ipc": Remedy("CUDA IPC: weights go through shared memory",
                  variables={"VERL_USE_EXTERNAL_MODULES": "gpu.shared_memory_weights"}),
    "attention": Remedy("FlashAttention and vLLM's second model runner: Triton's attention, the first runner",
                        ("++actor_rollout_ref.rollout.engine_kwargs.vllm.attention_backend=TRITON_ATTN",),
                        {"VLLM_USE_V2_MODEL_RUNNER": "0"}),
    "update": Remedy("the default way to compute log-probabilities: sdpa and verl's fused kernel",
                     ("++actor_rollout_ref.model.override_config.attn_implementation=sdpa",
                      "actor_rollout_ref.model.use_fused_kernels=true")),
    "sleep": Remedy("sleeping engines", AWAKE),
}  # fmt: skip


class Remedies:
    """Remedies taken so far, kept in a file for a later call on the same machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.taken: list[str] = json.loads(path.read_text()) if path.exists() else []

    def asked_for(self, probe: dict[str, bool]) -> list[str]:
        """Remedies that a failed probe asks for and that are not taken yet. ``probe``: whether each check passed."""
        return [name for name in REMEDIES if name not in self.taken and not probe.get(name, True)]

    def next(self, probe: dict[str, bool]) -> list[str]:
        """Remedies for another try: those asked for, else the first that is left; empty if none is."""
        left = [name for name in REMEDIES if name not in self.taken]
        return self.asked_for(probe) or left[:1]

    def take(self, names: list[str]) -> None:
        self.taken += names
        self.path.write_text(json.dumps(self.taken) + "\n")

    @property
    def words(self) -> list[str]:
        return [REMEDIES[name].words for name in self.taken]

    @property
    def overrides(self) -> list[str]:
        return [override for name in self.taken for override in REMEDIES[name].overrides]

    @property
    def variables(self) -> dict[str, str]:
        return {key: value for name in self.taken for key, value in REMEDIES[name].variables.items()}


def merged(overrides: list[str]) -> list[str]:
    """Overrides with each key once, the last one given: Hydra refuses a key that is added twice."""
    return list({override.split("=")[0].lstrip("+"): override for override in overrides}.values())
