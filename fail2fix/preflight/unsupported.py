"""verl features that our loop does not carry, or that cannot compose with two generations a step, and why.

A table, so that a reader sees at once what is refused and a test can walk it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from omegaconf import DictConfig
from verl.trainer.distillation import is_distillation_enabled
from verl.trainer.ppo.utils import need_critic

from fail2fix.method.errors import InputError
from fail2fix.run.config import Fail2FixConfig
from fail2fix.run.settings import OUR_REWARD, seeds_rollouts
from fail2fix.verl_ext.dynamic_sampling import METRICS
from fail2fix.verl_ext.reward_manager import is_risk_averse
from fail2fix.verl_ext.verl_names import (
    advantage_estimators,
    knows_kl_controller,
    knows_kl_penalty,
    knows_precision,
    policy_losses,
)

OUR_MANAGER = "fail2fix.verl_ext.rollout.Fail2FixAgentLoopManager"
# verl's policy losses that weigh a micro-batch as a whole: geo_mean takes the mean of its rows, bypass_mode rejects
# tokens of it and fails where it holds rows of one stream only. clip_cov and kl_cov choose tokens in one, as in verl.
BY_MICRO_BATCH = ("geo_mean", "bypass_mode")


@dataclass(frozen=True)
class Refusal:
    """A key, when it is refused, and the reason and remedy."""

    key: str
    when: Callable[[DictConfig], bool]
    why: str


def _on_cpu_with_seeds(config: DictConfig) -> bool:
    return config.trainer.device == "cpu" and seeds_rollouts(config)


def _policy_loss(config: DictConfig) -> DictConfig:
    policy_loss: DictConfig = config.actor_rollout_ref.actor.policy_loss
    return policy_loss


def _registers_names(config: DictConfig) -> bool:
    """Whether a library of the user's own, imported in the workers only, may register further names."""
    return bool(config.actor_rollout_ref.model.get("external_lib"))


def _greedy_several(config: DictConfig) -> bool:
    """verl samples a validation by its temperature, whatever ``do_sample`` says."""
    sampling = config.actor_rollout_ref.rollout.val_kwargs
    return bool(sampling.n > 1 and sampling.temperature == 0)


def _dtype(config: DictConfig, worker: str) -> object:
    return (config.actor_rollout_ref[worker].get("fsdp_config") or {}).get("model_dtype")


NO_KL_ESTIMATE = "verl knows no KL estimate of this name; use kl, abs, mse, low_var_kl, k1, k2, k3, or one with a +"

ALWAYS = (
    Refusal(
        "algorithm.adv_estimator",
        lambda c: c.algorithm.adv_estimator not in advantage_estimators() and not _registers_names(c),
        f"verl knows no estimator of this name; use one of {', '.join(advantage_estimators())}",
    ),
    Refusal(
        "actor_rollout_ref.actor.policy_loss.loss_mode",
        lambda c: _policy_loss(c).get("loss_mode", "vanilla") not in policy_losses() and not _registers_names(c),
        f"verl knows no policy loss of this name; use one of {', '.join(policy_losses())}",
    ),
    Refusal(
        "actor_rollout_ref.actor.policy_loss.dro_beta",
        lambda c: _policy_loss(c).get("loss_mode") == "dro" and not (_policy_loss(c).get("dro_beta") or 0) > 0,
        "loss_mode=dro needs a number above 0 here; set it",
    ),
    Refusal(
        "actor_rollout_ref.actor.kl_loss_type",
        lambda c: (
            c.actor_rollout_ref.actor.use_kl_loss and not knows_kl_penalty(c.actor_rollout_ref.actor.kl_loss_type)
        ),
        NO_KL_ESTIMATE,
    ),
    Refusal(
        "algorithm.kl_penalty",
        lambda c: c.algorithm.use_kl_in_reward and not knows_kl_penalty(c.algorithm.kl_penalty),
        NO_KL_ESTIMATE,
    ),
    Refusal(
        "algorithm.kl_ctrl",
        lambda c: c.algorithm.use_kl_in_reward and not knows_kl_controller(c.algorithm.kl_ctrl),
        "verl cannot make a KL controller of it; set type to fixed, or to adaptive with a horizon above 0",
    ),
    Refusal(
        "actor_rollout_ref.actor.fsdp_config.model_dtype",
        lambda c: not knows_precision(_dtype(c, "actor")),
        "verl knows no number format of this name; use fp32, bf16 or fp16",
    ),
    Refusal(
        "actor_rollout_ref.ref.fsdp_config.model_dtype",
        lambda c: not knows_precision(_dtype(c, "ref")),
        "verl knows no number format of this name; use fp32, bf16 or fp16",
    ),
    Refusal(
        "actor_rollout_ref.rollout.val_kwargs.n",
        _greedy_several,
        "greedy samples are equal; set it to 1, or val_kwargs.temperature above 0",
    ),
    Refusal(
        "trainer.use_v1",
        lambda c: c.trainer.use_v1,
        "this recipe subclasses verl's RayPPOTrainer; set it to false",
    ),
    Refusal(
        "algorithm.adv_estimator",
        lambda c: need_critic(c) or c.algorithm.adv_estimator in ("remax", "gdpo"),
        "estimators with a critic, a greedy baseline or several rewards are not in our loop; use grpo, or verl itself",
    ),
    Refusal(
        "reward.reward_model.enable",
        lambda c: c.reward.reward_model.enable,
        "a reward model shares the engines' devices, and corrections need the verdicts while the engines are awake",
    ),
    Refusal(
        "distillation.enabled",
        lambda c: is_distillation_enabled(c.get("distillation")),
        "distillation is not in our loop; use verl itself",
    ),
    Refusal(
        "data.gen_batch_size",
        lambda c: c.data.get("gen_batch_size") not in (None, c.data.train_batch_size),
        "verl's classic trainer would train on gen_batch_size prompts; set data.train_batch_size",
    ),
    Refusal(
        "algorithm.filter_groups.metric",
        lambda c: c.algorithm.filter_groups.enable and c.algorithm.filter_groups.metric not in METRICS,
        f"groups are filtered by their rewards or their verdicts; use one of {', '.join(METRICS)}",
    ),
    Refusal(
        "algorithm.filter_groups.max_num_gen_batches",
        lambda c: c.algorithm.filter_groups.enable and c.algorithm.filter_groups.max_num_gen_batches < 1,
        "a step's rounds of sampling must be bounded; set it to the most rounds, the first included",
    ),
    Refusal(
        "trainer.critic_warmup",
        lambda c: c.trainer.critic_warmup > 0,
        "there is no critic to warm up; set it to 0",
    ),
    Refusal(
        "trainer.default_hdfs_dir",
        lambda c: c.trainer.default_hdfs_dir is not None,
        "verl's classic trainer cannot load a checkpoint from it; set it to null and copy checkpoints yourself",
    ),
    Refusal(
        "actor_rollout_ref.actor.strategy",
        lambda c: c.actor_rollout_ref.actor.strategy not in ("fsdp", "fsdp2"),
        "our loss, of one stream or two, is scaled for FSDP's average over ranks; use fsdp2",
    ),
    Refusal(
        "actor_rollout_ref.actor.shuffle",
        lambda c: c.actor_rollout_ref.actor.shuffle,
        "our loss counts each mini-batch's rows beforehand and shuffling would move them; set it to false",
    ),
    Refusal(
        "actor_rollout_ref.actor.use_prefix_grouper",
        lambda c: c.actor_rollout_ref.actor.use_prefix_grouper,
        "it groups rows in an order of its own, against the layout of our mini-batches; set it to false",
    ),
    Refusal(
        "trainer.del_local_ckpt_after_load",
        lambda c: c.trainer.get("del_local_ckpt_after_load"),
        "a resumed run would have no checkpoint until its next; set it to false",
    ),
    Refusal(
        "actor_rollout_ref.rollout.enable_chunked_prefill",
        lambda c: _on_cpu_with_seeds(c) and c.actor_rollout_ref.rollout.enable_chunked_prefill,
        "vLLM cannot rewind a seeded request on a CPU; set it to false",
    ),
    Refusal(
        "actor_rollout_ref.actor.checkpoint.async_save",
        lambda c: c.actor_rollout_ref.actor.checkpoint.async_save,
        "with FSDP verl never records an asynchronous checkpoint as complete, so it could not be resumed",
    ),
)

TWO_STREAMS = (
    Refusal(
        "algorithm.adv_estimator",
        lambda c: c.algorithm.adv_estimator not in ("grpo", "rloo", "rloo_vectorized"),
        "corrections are compared within their groups; use grpo, rloo or rloo_vectorized",
    ),
    Refusal(
        "actor_rollout_ref.actor.loss_agg_mode",
        lambda c: c.actor_rollout_ref.actor.loss_agg_mode == "token-sum",
        "token-sum has no stream mean, so lambda would depend on K and G'; use a mode with a mean",
    ),
    Refusal(
        "actor_rollout_ref.actor.policy_loss.loss_mode",
        lambda c: c.actor_rollout_ref.actor.policy_loss.loss_mode in BY_MICRO_BATCH,
        f"{' and '.join(BY_MICRO_BATCH)} look at each micro-batch as a whole, so lambda would depend on its rows; "
        "use vanilla, gspo or another",
    ),
    Refusal(
        "skip.rollout.enable",
        lambda c: c.skip.rollout.enable,
        "its cache holds one generation a step, and a step has two",
    ),
    Refusal(
        "algorithm.rollout_correction.bypass_mode",
        lambda c: bool((c.algorithm.get("rollout_correction") or {}).get("bypass_mode")),
        "it replaces the policy loss in the workers' config, which the joint loss does not see; use decoupled mode",
    ),
    Refusal(
        "algorithm.rollout_correction.rollout_is_batch_normalize",
        lambda c: bool((c.algorithm.get("rollout_correction") or {}).get("rollout_is_batch_normalize")),
        "it would normalise importance weights over both streams together",
    ),
)


CORRECTION_PROMPTS = (
    Refusal(
        "actor_rollout_ref.rollout.name",
        lambda c: c.actor_rollout_ref.rollout.name != "vllm",
        "two generations a step are verified with vllm only; use vllm",
    ),
    Refusal(
        "actor_rollout_ref.rollout.multi_turn.enable",
        lambda c: c.actor_rollout_ref.rollout.multi_turn.enable,
        "an attempt with tool calls cannot be replayed as one text",
    ),
    Refusal(
        "actor_rollout_ref.rollout.agent.default_agent_loop",
        lambda c: c.actor_rollout_ref.rollout.agent.default_agent_loop != "single_turn_agent",
        "an attempt must be one assistant turn to be replayed",
    ),
    Refusal(
        "actor_rollout_ref.rollout.agent.agent_loop_manager_class",
        lambda c: c.actor_rollout_ref.rollout.agent.get("agent_loop_manager_class") != OUR_MANAGER,
        f"corrections need {OUR_MANAGER}, which hands token ids to the engine",
    ),
    Refusal(
        "reward.reward_manager.name",
        lambda c: not is_risk_averse(c),
        f"corrections need {OUR_REWARD}, or a subclass of it that reward.reward_manager.module.path loads; your own "
        "scoring goes into reward.custom_reward_function",
    ),
)


def refuse_unsupported(config: DictConfig, settings: Fail2FixConfig) -> None:
    """Refuse the first feature of the tables that the config turns on.

    Raises:
        InputError: the key and the reason.
    """
    trains = settings.correction.enabled
    asks = trains or settings.held_out.enabled
    for refusal in ALWAYS + (TWO_STREAMS if trains else ()) + (CORRECTION_PROMPTS if asks else ()):
        if refusal.when(config):
            raise InputError(f"{refusal.key}: {refusal.why}")
