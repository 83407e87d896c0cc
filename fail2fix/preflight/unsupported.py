"""verl features that our training loop refuses, one table entry each: the key, when, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fail2fix.method.errors import InputError
from fail2fix.run.config import Fail2FixConfig
from fail2fix.run.settings import OUR_REWARD, asks_for_corrections, seeds_rollouts
from fail2fix.verl_ext import names
from fail2fix.verl_ext.dynamic_sampling import METRICS
from fail2fix.verl_ext.reward_manager import is_risk_averse

OUR_MANAGER = "fail2fix.verl_ext.rollout.Fail2FixAgentLoopManager"
# verl's policy losses that weigh a micro-batch as a whole: geo_mean averages over its rows, bypass_mode rejects tokens
# of it and fails where it holds rows of one stream only. clip_cov and kl_cov choose tokens in one, as in verl.
BY_MICRO_BATCH = ("geo_mean", "bypass_mode")


@dataclass(frozen=True)
class Refusal:
    """A key, the reason with its remedy, and when it is refused: given its value (None if missing) and the config."""

    key: str
    why: str
    when: Callable[[Any, DictConfig], object]


def _off(switches: Mapping[str, str]) -> tuple[Refusal, ...]:
    """Refuse switches that are on."""
    return tuple(Refusal(key, f"{why}; set it to false", lambda value, c: value) for key, why in switches.items())


def _only(key: str, why: str, *allowed: str) -> Refusal:
    """Refuse values other than these."""
    return Refusal(key, f"{why}; use {' or '.join(allowed)}", lambda value, c: value not in allowed)


def _unknown(key: str, what: str, known: list[str], default: str = "") -> Refusal:
    """Refuse a name that verl does not register, unless a library of the user's may register it in the workers."""

    def is_unknown(name: Any, config: DictConfig) -> bool:
        return (name or default) not in known and not config.actor_rollout_ref.model.get("external_lib")

    return Refusal(key, f"verl knows no {what} of this name; use one of {', '.join(known)}", is_unknown)


ROLLOUT, ACTOR, ADVANTAGE = "actor_rollout_ref.rollout", "actor_rollout_ref.actor", "algorithm.adv_estimator"
KL_ESTIMATES = "verl knows no KL estimate of this name; use kl, abs, mse, low_var_kl, k1, k2, k3, or one with a +"
PRECISIONS = "verl knows no number format of this name; use fp32, bf16 or fp16"

ALWAYS = (
    _unknown(ADVANTAGE, "estimator", names.advantage_estimators()),
    _unknown(f"{ACTOR}.policy_loss.loss_mode", "policy loss", names.policy_losses(), "vanilla"),
    Refusal(
        f"{ACTOR}.policy_loss.dro_beta",
        "loss_mode=dro needs a number above 0 here; set it",
        lambda beta, c: c.actor_rollout_ref.actor.policy_loss.get("loss_mode") == "dro" and not (beta or 0) > 0,
    ),
    Refusal(
        f"{ACTOR}.kl_loss_type",
        KL_ESTIMATES,
        lambda name, c: c.actor_rollout_ref.actor.use_kl_loss and not names.knows_kl_penalty(name),
    ),
    Refusal(
        "algorithm.kl_penalty",
        KL_ESTIMATES,
        lambda name, c: c.algorithm.use_kl_in_reward and not names.knows_kl_penalty(name),
    ),
    Refusal(
        "algorithm.kl_ctrl",
        "verl cannot make a KL controller of it; set type to fixed, or to adaptive with a horizon above 0",
        lambda section, c: c.algorithm.use_kl_in_reward and not names.knows_kl_controller(section),
    ),
    *(
        Refusal(f"{worker}.fsdp_config.model_dtype", PRECISIONS, lambda name, c: not names.knows_precision(name))
        for worker in (ACTOR, "actor_rollout_ref.ref")
    ),
    Refusal(
        f"{ROLLOUT}.val_kwargs.n",
        "greedy samples are equal; set it to 1, or val_kwargs.temperature above 0",
        # verl samples a validation by its temperature, whatever do_sample says.
        lambda samples, c: samples > 1 and c.actor_rollout_ref.rollout.val_kwargs.temperature == 0,
    ),
    Refusal(
        ADVANTAGE,
        "estimators with a critic, a greedy baseline or several rewards are not supported; use grpo, or verl itself",
        lambda name, c: names.need_critic(c) or name in ("remax", "gdpo"),
    ),
    Refusal("distillation.enabled", "distillation is not supported; use verl itself", lambda _, c: names.distills(c)),
    Refusal(
        "data.gen_batch_size",
        "verl's classic trainer would train on gen_batch_size prompts; set data.train_batch_size",
        lambda size, c: size not in (None, c.data.train_batch_size),
    ),
    Refusal(
        "algorithm.filter_groups.metric",
        f"groups are filtered by their rewards or their verdicts; use one of {', '.join(METRICS)}",
        lambda metric, c: c.algorithm.filter_groups.enable and metric not in METRICS,
    ),
    Refusal(
        "algorithm.filter_groups.max_num_gen_batches",
        "a step's rounds of sampling must be bounded; set it to the most rounds, the first included",
        lambda rounds, c: c.algorithm.filter_groups.enable and rounds < 1,
    ),
    Refusal("trainer.critic_warmup", "there is no critic to warm up; set it to 0", lambda steps, c: steps > 0),
    Refusal(
        "trainer.default_hdfs_dir",
        "verl's classic trainer cannot load a checkpoint from it; set it to null and copy checkpoints yourself",
        lambda folder, c: folder is not None,
    ),
    Refusal(
        f"{ROLLOUT}.enable_chunked_prefill",
        "vLLM cannot rewind a seeded request on a CPU; set it to false",
        lambda enabled, c: enabled and c.trainer.device == "cpu" and seeds_rollouts(c),
    ),
    _only(f"{ACTOR}.strategy", "our loss is scaled for FSDP's average over ranks", "fsdp2", "fsdp"),
    *_off(
        {
            "trainer.use_v1": "this recipe subclasses verl's RayPPOTrainer",
            "reward.reward_model.enable": "it shares the engines' devices, and corrections need verdicts meanwhile",
            f"{ACTOR}.shuffle": "our loss counts each mini-batch's rows beforehand, and shuffling would move them",
            f"{ACTOR}.use_prefix_grouper": "it reorders rows, against the layout of our mini-batches",
            f"{ACTOR}.checkpoint.async_save": "with FSDP verl never records such a checkpoint as complete",
            "trainer.del_local_ckpt_after_load": "a resumed run would have no checkpoint until its next",
        }
    ),
)

TWO_STREAMS = (
    Refusal(
        "fail2fix.correction.alternate",
        "corrections are of this step's attempts and follow the update on solving; use replay.source=online",
        lambda on, c: on and c.fail2fix.replay.source != "online",
    ),
    _only(ADVANTAGE, "corrections are compared within their groups", "grpo", "rloo", "rloo_vectorized"),
    Refusal(
        f"{ACTOR}.loss_agg_mode",
        "token-sum has no stream mean, so lambda would depend on K and G'; use a mode with a mean",
        lambda mode, c: mode == "token-sum",
    ),
    Refusal(
        f"{ACTOR}.policy_loss.loss_mode",
        f"{' and '.join(BY_MICRO_BATCH)} weigh each micro-batch as a whole, so lambda would depend on its rows; "
        "use vanilla, gspo or another",
        lambda mode, c: mode in BY_MICRO_BATCH,
    ),
    *_off(
        {
            "skip.rollout.enable": "its cache holds one generation a step, and a step has two",
            "algorithm.rollout_correction.bypass_mode": "it replaces the policy loss, which the joint loss needs",
            "algorithm.rollout_correction.rollout_is_batch_normalize": "it normalizes weights over both streams",
        }
    ),
)

CORRECTION_PROMPTS = (
    _only(f"{ROLLOUT}.name", "two generations a step are verified with vllm only", "vllm"),
    _only(f"{ROLLOUT}.agent.default_agent_loop", "only one assistant turn can be replayed", "single_turn_agent"),
    _only(f"{ROLLOUT}.agent.agent_loop_manager_class", "corrections pass token ids to the engine", OUR_MANAGER),
    *_off({f"{ROLLOUT}.multi_turn.enable": "an attempt with tool calls cannot be replayed as one text"}),
    Refusal(
        "reward.reward_manager.name",
        f"corrections need {OUR_REWARD}, or a subclass of it that reward.reward_manager.module.path loads; your own "
        "scoring goes into reward.custom_reward_function",
        lambda name, c: not is_risk_averse(c),
    ),
)


def refuse_unsupported(config: DictConfig, settings: Fail2FixConfig) -> None:
    """Refuse the first feature of the tables that the config turns on.

    Raises:
        InputError: the key and the reason.
    """
    two_streams = TWO_STREAMS if settings.correction.enabled else ()
    corrections = CORRECTION_PROMPTS if asks_for_corrections(settings) else ()
    for refusal in (*ALWAYS, *two_streams, *corrections):
        if refusal.when(OmegaConf.select(config, refusal.key), config):
            raise InputError(f"{refusal.key}: {refusal.why}")
