"""Read our section of a verl config, and refuse old verl keys that verl ignores silently."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fail2fix.method.config import Baseline, Scale
from fail2fix.method.errors import InputError
from fail2fix.run.config import Fail2FixConfig, check
from fail2fix.run.renamed import renamed_in

FUSION = "fail2fix.verifier.code.backend=sandbox_fusion and fail2fix.verifier.code.endpoint"
# Old key -> where verl 0.9 reads it. verl still parses the old ones and ignores them.
LEGACY_REWARD_KEYS = {
    "custom_reward_function.path": "reward.custom_reward_function.path",
    "custom_reward_function.name": "reward.custom_reward_function.name",
    "reward_model.enable": "reward.reward_model.enable",
    "reward_model.model.path": "reward.reward_model.model_path",
    "reward_model.num_workers": "reward.num_workers",
    "reward_model.reward_kwargs": "reward.reward_kwargs",
    "reward_model.reward_loop_class_name": "reward.reward_manager.name",
    "reward_model.reward_loop_module_path": "reward.reward_manager.module.path",
    "reward_model.reward_loop_source": "reward.reward_manager.source",
    "reward_model.reward_manager": "reward.reward_manager.name",
    "sandbox_fusion.url": FUSION,
}
OUR_REWARD = "RiskAverseRewardManager"


def fail2fix_settings(config: DictConfig) -> Fail2FixConfig:
    """The ``fail2fix:`` section as a checked dataclass; the defaults if a config has none (a stock verl run).

    Raises:
        InputError: an unknown key, a wrong type, or a value that makes no sense.
    """
    section = config.get("fail2fix") or OmegaConf.create({})
    if not OmegaConf.is_dict(section):
        raise InputError(f"fail2fix={section}: must be a section of keys, like fail2fix.risk.penalty")
    try:
        # As plain values: a typed node would accept unknown keys that were forced in with "+".
        values = OmegaConf.to_container(section, resolve=True)
        return copy.deepcopy(_parsed(_Section(repr(values), values)))
    except OmegaConfBaseException as error:
        line = f"fail2fix.{error.full_key or ''}: {str(error).splitlines()[0]}"
        raise InputError(renamed_in(line) or line) from error


@dataclass(frozen=True)
class _Section:
    """The plain values of a section; equal where they read the same."""

    text: str
    values: Any = field(compare=False)


@lru_cache(maxsize=8)
def _parsed(section: _Section) -> Fail2FixConfig:
    """The checked dataclass of a section; kept, because every check of a start asks for it."""
    settings = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Fail2FixConfig), section.values))
    assert isinstance(settings, Fail2FixConfig)
    check(settings)
    watchdog = settings.watchdog
    # Retrying a service must end before the watchdog takes it for a hang.
    limits = [limit_s / 2 for limit_s in (watchdog.start_s, watchdog.limit_s) if limit_s is not None]
    settings.verifier.retry_s = min([settings.verifier.retry_s, *limits])
    return settings


def seeds_rollouts(config: DictConfig) -> bool:
    """Whether every request has its own seed (``fail2fix.seeded_rollouts``); auto: on a CPU."""
    asked = config.fail2fix.seeded_rollouts
    return bool(config.trainer.device == "cpu" if asked == "auto" else asked)


def shares_prefixes(config: DictConfig) -> bool:
    """Whether shared starts of rows are read once (``fail2fix.share_prefixes``); auto: on a CPU, by FSDP2."""
    asked = config.fail2fix.share_prefixes
    fits = config.trainer.device == "cpu" and config.actor_rollout_ref.actor.strategy == "fsdp2"
    return bool(fits if asked == "auto" else asked)


def seeds_on_gpu(config: DictConfig) -> str:
    """The note on the cost of seeds on a GPU, or on running without them; empty on a CPU.

    Source: ``VllmConfig.use_v2_model_runner``, ``random_sample`` (v1/sample/ops/topk_topp_sampler.py) and
    ``gumbel_sample`` (v1/worker/gpu/sample/gumbel.py) of vLLM 0.24.
    """
    if config.trainer.device == "cpu":
        return ""
    if not seeds_rollouts(config):
        return (
            "rollouts have no seeds (fail2fix.seeded_rollouts=false): a resumed run samples other rollouts than an "
            "uninterrupted one; equal bits are promised on CPUs only"
        )
    return (
        "fail2fix.seeded_rollouts=true: vLLM's first model runner (Qwen2 and others) then samples request by request "
        "in Python, an estimated 2 to 3 times as long a decode step at 256 requests (not measured); its second (Llama, "
        "Qwen3 and others) draws from the seeds in its kernel; equal bits are promised on CPUs only"
    )


def refuse_legacy_reward_keys(config: DictConfig) -> None:
    """Refuse reward keys of older verl versions by name.

    Raises:
        InputError: the old key and the one to use.
    """
    for old, new in LEGACY_REWARD_KEYS.items():
        if OmegaConf.select(config, old, default=None) not in (None, False):
            raise InputError(f"{old}: verl 0.9 ignores this key silently; set {new} instead")
    if reward_manager(config) == OUR_REWARD and (config.reward.get("sandbox_fusion") or {}).get("url"):
        raise InputError(f"reward.sandbox_fusion.url: only verl's reward managers read this key; set {FUSION} instead")


def reward_manager(config: DictConfig) -> str:
    """The class name of the run's reward manager."""
    return str((config.reward.get("reward_manager") or {}).get("name"))


def asks_for_corrections(settings: Fail2FixConfig) -> bool:
    """Whether the run builds correction prompts, for training or for held-out validation."""
    return settings.correction.enabled or settings.held_out.enabled


def writes_streams(settings: Fail2FixConfig) -> bool:
    """Whether the run stores rollouts: attempts in its checkpoints, or a frozen pool in a file."""
    return settings.held_out.enabled or (settings.correction.enabled and settings.replay.source != "online")


@dataclass(frozen=True)
class OverlongBuffer:
    """DAPO's soft punishment of long responses, in tokens (verl's ``overlong_buffer_cfg`` and ``max_resp_len``)."""

    maximum: int
    buffer: int
    factor: float


def overlong_buffer(config: DictConfig) -> OverlongBuffer | None:
    """The run's overlong punishment, under the keys of verl's own ``dapo`` reward manager; None if it is off.

    Raises:
        InputError: sizes that make no sense.
    """
    given = config.reward.get("reward_kwargs") or {}
    buffer, maximum = given.get("overlong_buffer_cfg") or {}, given.get("max_resp_len")
    if not buffer.get("enable"):
        return None
    key, length, factor = "reward.reward_kwargs", buffer.get("len"), buffer.get("penalty_factor")
    if not isinstance(maximum, int) or maximum < 1:
        raise InputError(f"{key}.max_resp_len={maximum}: the overlong buffer needs the longest response, in tokens")
    if not isinstance(length, int) or not 1 <= length < maximum:
        # A buffer as long as the longest response would punish every token of every response.
        raise InputError(f"{key}.overlong_buffer_cfg.len={length}: must be 1 to {maximum - 1} (max_resp_len={maximum})")
    if not isinstance(factor, int | float) or factor < 0:
        raise InputError(f"{key}.overlong_buffer_cfg.penalty_factor={factor}: must be 0 or more")
    return OverlongBuffer(maximum, length, float(factor))


def inert_penalty(config: DictConfig, settings: Fail2FixConfig) -> str:
    """The warning for a run whose normalization removes the penalty; empty if it does not."""
    if settings.risk.penalty == 0 or settings.risk.rule != "broken" or settings.advantage.estimator != "group_relative":
        return ""
    # A stock run may set the penalty in a section of ours; only our trainer reads how advantages are scaled.
    if (config.get("fail2fix") or {}).get("advantage") and settings.correction.enabled:
        advantage = settings.advantage
        inert = advantage.scale is Scale.shaped_std and advantage.baseline is Baseline.group
        remedy = "use fail2fix.advantage.scale=raw_std or fail2fix.advantage.baseline=with_attempt"
    else:
        algorithm = config.get("algorithm") or {}
        inert = algorithm.get("adv_estimator") == "grpo" and bool(algorithm.get("norm_adv_by_std_in_grpo", True))
        remedy = "set algorithm.norm_adv_by_std_in_grpo=false or train with fail2fix.train"
    if not inert:
        return ""
    return (
        f"fail2fix.risk.penalty={settings.risk.penalty} has no effect on the gradient: all rollouts of a group share "
        f"one attempt, so mean-and-std normalization removes the risk penalty; {remedy}"
    )
