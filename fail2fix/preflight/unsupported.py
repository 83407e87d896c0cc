"""verl features that our training loop refuses, one table entry each: the key, when, and why."""

from __future__ import annotations

from collections.abc import Callable
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
    when: Callable[[Any, DictConfig], object] = lambda value, config: value


def _registers_names(config: DictConfig) -> bool:
    """Whether a library of the user's, imported in the workers only, may register further names."""
    return bool(config.actor_rollout_ref.model.get("external_lib"))


def _filters(config: DictConfig) -> bool:
    return bool(config.algorithm.filter_groups.enable)


ADVANTAGE, LOSS = "algorithm.adv_estimator", "actor_rollout_ref.actor.policy_loss"
KL_ESTIMATES = "verl knows no KL estimate of this name; use kl, abs, mse, low_var_kl, k1, k2, k3, or one with a +"
PRECISIONS = "verl knows no number format of this name; use fp32, bf16 or fp16"

ALWAYS = (
    Refusal(
        ADVANTAGE,
        f"verl knows no estimator of this name; use one of {', '.join(names.advantage_estimators())}",
        lambda name, c: name not in names.advantage_estimators() and not _registers_names(c),
    ),
    Refusal(
        f"{LOSS}.loss_mode",
        f"verl knows no policy loss of this name; use one of {', '.join(names.policy_losses())}",
        lambda name, c: (name or "vanilla") not in names.policy_losses() and not _registers_names(c),
    ),
    Refusal(
        f"{LOSS}.dro_beta",
        "loss_mode=dro needs a number above 0 here; set it",
        lambda beta, c: c.actor_rollout_ref.actor.policy_loss.get("loss_mode") == "dro" and not (beta or 0) > 0,
    ),
    Refusal(
        "actor_rollout_ref.actor.kl_loss_type",
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
        Refusal(
            f"actor_rollout_ref.{worker}.fsdp_config.model_dtype", PRECISIONS, lambda v, c: not names.knows_precision(v)
        )
        for worker in ("actor", "ref")
    ),
    Refusal(
        "actor_rollout_ref.rollout.val_kwargs.n",
        "greedy samples are equal; set it to 1, or val_kwargs.temperature above 0",
        # verl samples a validation by its temperature, whatever do_sample says.
        lambda samples, c: samples > 1 and c.actor_rollout_ref.rollout.val_kwargs.temperature == 0,
    ),
    Refusal("trainer.use_v1", "this recipe subclasses verl's RayPPOTrainer; set it to false"),
    Refusal(
        ADVANTAGE,
        "estimators with a critic, a greedy baseline or several rewards are not supported; use grpo, or verl itself",
        lambda name, c: names.need_critic(c) or name in ("remax", "gdpo"),
    ),
    Refusal(
        "reward.reward_model.enable",
        "a reward model shares the engines' devices, and corrections need the verdicts while the engines are awake",
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
        lambda metric, c: _filters(c) and metric not in METRICS,
    ),
    Refusal(
        "algorithm.filter_groups.max_num_gen_batches",
        "a step's rounds of sampling must be bounded; set it to the most rounds, the first included",
        lambda rounds, c: _filters(c) and rounds < 1,
    ),
    Refusal("trainer.critic_warmup", "there is no critic to warm up; set it to 0", lambda steps, c: steps > 0),
    Refusal(
        "trainer.default_hdfs_dir",
        "verl's classic trainer cannot load a checkpoint from it; set it to null and copy checkpoints yourself",
        lambda folder, c: folder is not None,
    ),
    Refusal(
        "actor_rollout_ref.actor.strategy",
        "our loss is scaled for FSDP's average over ranks; use fsdp2",
        lambda name, c: name not in ("fsdp", "fsdp2"),
    ),
    Refusal(
        "actor_rollout_ref.actor.shuffle",
        "our loss counts each mini-batch's rows beforehand and shuffling would move them; set it to false",
    ),
    Refusal(
        "actor_rollout_ref.actor.use_prefix_grouper",
        "it reorders rows, against the layout of our mini-batches; set it to false",
    ),
    Refusal(
        "trainer.del_local_ckpt_after_load",
        "a resumed run would have no checkpoint until its next; set it to false",
    ),
    Refusal(
        "actor_rollout_ref.rollout.enable_chunked_prefill",
        "vLLM cannot rewind a seeded request on a CPU; set it to false",
        lambda enabled, c: enabled and c.trainer.device == "cpu" and seeds_rollouts(c),
    ),
    Refusal(
        "actor_rollout_ref.actor.checkpoint.async_save",
        "with FSDP verl never records an asynchronous checkpoint as complete, so it could not be resumed",
    ),
)

TWO_STREAMS = (
    Refusal(
        ADVANTAGE,
        "corrections are compared within their groups; use grpo, rloo or rloo_vectorized",
        lambda name, c: name not in ("grpo", "rloo", "rloo_vectorized"),
    ),
    Refusal(
        "actor_rollout_ref.actor.loss_agg_mode",
        "token-sum has no stream mean, so lambda would depend on K and G'; use a mode with a mean",
        lambda mode, c: mode == "token-sum",
    ),
    Refusal(
        f"{LOSS}.loss_mode",
        f"{' and '.join(BY_MICRO_BATCH)} weigh each micro-batch as a whole, so lambda would depend on its rows; "
        "use vanilla, gspo or another",
        lambda mode, c: mode in BY_MICRO_BATCH,
    ),
    Refusal("skip.rollout.enable", "its cache holds one generation a step, and a step has two"),
    Refusal(
        "algorithm.rollout_correction.bypass_mode",
        "it replaces the policy loss in the workers' config, which the joint loss does not see; use decoupled mode",
    ),
    Refusal(
        "algorithm.rollout_correction.rollout_is_batch_normalize",
        "it would normalize importance weights over both streams together",
    ),
)


CORRECTION_PROMPTS = (
    Refusal(
        "actor_rollout_ref.rollout.name",
        "two generations a step are verified with vllm only; use vllm",
        lambda name, c: name != "vllm",
    ),
    Refusal(
        "actor_rollout_ref.rollout.multi_turn.enable",
        "an attempt with tool calls cannot be replayed as one text; set it to false",
    ),
    Refusal(
        "actor_rollout_ref.rollout.agent.default_agent_loop",
        "an attempt must be one assistant turn to be replayed; use single_turn_agent",
        lambda name, c: name != "single_turn_agent",
    ),
    Refusal(
        "actor_rollout_ref.rollout.agent.agent_loop_manager_class",
        f"corrections need {OUR_MANAGER}, which hands token ids to the engine",
        lambda name, c: name != OUR_MANAGER,
    ),
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
