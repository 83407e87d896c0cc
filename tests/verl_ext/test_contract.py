"""The seams of verl this recipe stands on, and the features it refuses."""

from __future__ import annotations

import inspect
import pickle
import re
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from fail2fix.method.errors import InputError
from fail2fix.preflight.unsupported import ALWAYS, CORRECTION_PROMPTS, TWO_STREAMS, refuse_unsupported
from fail2fix.preflight.verl_keys import KEYS, SECTION, check_keys
from fail2fix.run.settings import fail2fix_settings
from fail2fix.run.shipped_configs import config_dir
from fail2fix.train import register_configs
from fail2fix.verl_ext import compat


def config(*overrides: str, name: str = "cipo") -> DictConfig:
    """A config of the test's own, composed once a process."""
    own: DictConfig = pickle.loads(composed_once(overrides, name))
    return own


@cache
def composed_once(overrides: tuple[str, ...], name: str) -> bytes:
    register_configs()
    with initialize_config_dir(config_dir(), version_base="1.3"):
        return pickle.dumps(compose(name, list(overrides)))


TRAINER = "verl.trainer.ppo.ray_trainer.RayPPOTrainer"


@pytest.mark.parametrize("seam", compat.seams(), ids=str)
def test_every_seam_is_as_we_use_it(seam: compat.Seam) -> None:
    assert seam.problem == ""


def test_a_missing_or_changed_seam_is_named() -> None:
    assert "is missing" in compat.Seam(f"{TRAINER}.no_such_method").problem
    assert (
        "lacks no_such_parameter"
        in compat.Seam(f"{TRAINER}._validate", parameters=frozenset({"no_such_parameter"})).problem
    )
    assert "unexpected keyword argument 'of'" in compat.Seam(f"{TRAINER}._validate", (1, frozenset({"of"}))).problem
    assert "too many positional" in compat.Seam(f"{TRAINER}._validate", (3, frozenset())).problem


@pytest.mark.parametrize(
    "name",
    [
        f"{TRAINER}._compute_old_log_prob",  # called by a private name
        f"{TRAINER}._dump_generations",  # overridden
        "verl.experimental.agent_loop.agent_loop.AgentLoopWorker._postprocess",
        "verl.experimental.agent_loop.single_turn_agent_loop.SingleTurnAgentLoop.run",
        "verl.checkpoint_engine.CheckpointEngineManager.update_weights",  # of an object that verl's trainer holds
        "verl.workers.engine_workers.ActorRolloutRefWorker.update_actor",
        "verl.trainer.ppo.ray_trainer.compute_advantage",  # imported
        "verl.workers.utils.losses.ppo_loss",
    ],
)
def test_seams_are_read_from_the_sources(name: str) -> None:
    assert name in {seam.name for seam in compat.seams()}


@pytest.mark.parametrize("name", compat.UNSEEN)
def test_a_lost_method_that_the_sources_do_not_show_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """verl would call another method in its place, and ours never: a correction prompt as messages, say."""
    holder, _, method = name.rpartition(".")
    for owner in getattr(resolve_name(holder), "__mro__", [resolve_name(holder)]):
        if method in vars(owner):
            monkeypatch.delattr(owner, method)
    with pytest.raises(InputError, match=f"{re.escape(method)} is missing"):
        compat.check_verl()


def test_private_names_of_verl_stand_in_the_port_alone() -> None:
    """Whatever verl's trainer and agent loop call by an underscore is called and overridden in one file."""
    package = Path(compat.__file__).parents[1]
    private = {seam.name.rpartition(".")[2] for seam in compat.seams() if "._" in seam.name}
    assert {"_get_gen_batch", "_save_checkpoint", "_run_agent_loop"} <= private
    for path in sorted(package.rglob("*.py")):
        if path.name != compat.PORT:
            words = set(re.findall(r"(?:self|super\(\)|trainer)\.(_[a-z]\w*)", path.read_text()))
            assert not words & private, path


def test_the_check_passes_on_the_pinned_verl() -> None:
    compat.check_verl()


def test_verls_own_loop_still_has_the_order_ours_keeps() -> None:
    """What happens between the two generations and the next weight sync, in verl's loop."""
    from verl.trainer.ppo.ray_trainer import RayPPOTrainer

    source = inspect.getsource(RayPPOTrainer.fit)
    order = [
        "_load_checkpoint()", "update_weights(", "_validate()", "_get_gen_batch(", "generate_sequences(",
        "sleep_replicas()", "extract_reward(", "_compute_old_log_prob(", "_compute_ref_log_prob(",
        "apply_kl_penalty(", "compute_rollout_correction_and_add_to_batch(", "compute_advantage(", "_update_actor(",
        "_save_checkpoint()", "_log_rollout_data(", "compute_data_metrics(",
    ]  # fmt: skip
    places = [source.index(call) for call in order]
    assert places == sorted(places)


REFUSED: dict[str, Any] = {
    "trainer.use_v1": True,
    "algorithm.adv_estimator": "remax",
    "actor_rollout_ref.actor.policy_loss.loss_mode": "bogus",
    "actor_rollout_ref.actor.policy_loss.dro_beta": None,
    "actor_rollout_ref.actor.kl_loss_type": "bogus",
    "actor_rollout_ref.actor.fsdp_config.model_dtype": "int8",
    "actor_rollout_ref.ref.fsdp_config.model_dtype": "int8",
    "actor_rollout_ref.rollout.val_kwargs.n": 8,
    "algorithm.kl_penalty": "full",
    "algorithm.kl_ctrl": {"type": "bogus"},
    "reward.reward_model.enable": True,
    "distillation.enabled": True,
    "data.gen_batch_size": 64,
    "algorithm.filter_groups.metric": "seq_length",
    "algorithm.filter_groups.max_num_gen_batches": 0,
    "trainer.critic_warmup": 5,
    "trainer.default_hdfs_dir": "hdfs://there",
    "trainer.del_local_ckpt_after_load": True,
    "actor_rollout_ref.rollout.enable_chunked_prefill": True,
    "actor_rollout_ref.actor.checkpoint.async_save": True,
    "actor_rollout_ref.actor.loss_agg_mode": "token-sum",
    "actor_rollout_ref.actor.strategy": "megatron",
    "actor_rollout_ref.actor.shuffle": True,
    "actor_rollout_ref.actor.use_prefix_grouper": True,
    "actor_rollout_ref.rollout.name": "sglang",
    "actor_rollout_ref.rollout.multi_turn.enable": True,
    "actor_rollout_ref.rollout.agent.default_agent_loop": "tool_agent",
    "actor_rollout_ref.rollout.agent.agent_loop_manager_class": None,
    "reward.reward_manager.name": "naive",
    "skip.rollout.enable": True,
    "algorithm.rollout_correction.bypass_mode": True,
    "algorithm.rollout_correction.rollout_is_batch_normalize": True,
    "fail2fix.correction.alternate": True,
}


TABLES = ALWAYS + TWO_STREAMS + CORRECTION_PROMPTS


def changed_in(key: str, *overrides: str) -> DictConfig:
    """A config with one refused value; where it is about that, groups are filtered and there is no GPU."""
    changed = config(*overrides)
    refuse_unsupported(changed, fail2fix_settings(changed))
    OmegaConf.set_struct(changed, False)
    changed.algorithm.filter_groups.enable = "filter_groups" in key
    changed.algorithm.use_kl_in_reward = key in ("algorithm.kl_ctrl", "algorithm.kl_penalty")
    if "dro_beta" in key:
        changed.actor_rollout_ref.actor.policy_loss.loss_mode = "dro"
    if "val_kwargs" in key:
        changed.actor_rollout_ref.rollout.val_kwargs.temperature = 0
    if "alternate" in key:
        changed.fail2fix.replay.source = "lagged"
    if "chunked_prefill" in key:
        changed.trainer.device = "cpu"
    OmegaConf.update(changed, key, REFUSED[key])
    return changed


def test_the_table_of_refusals_is_tested_completely() -> None:
    assert {refusal.key for refusal in TABLES} == REFUSED.keys()


@pytest.mark.parametrize("key", REFUSED)
def test_what_cannot_compose_is_refused_with_a_reason(key: str) -> None:
    changed = changed_in(key)
    with pytest.raises(InputError, match=f"^{key.replace('.', '[.]')}: .{{20,}}"):
        refuse_unsupported(changed, fail2fix_settings(changed))


@pytest.mark.parametrize("key", sorted({r.key for r in TWO_STREAMS + CORRECTION_PROMPTS} - {r.key for r in ALWAYS}))
def test_what_only_two_streams_cannot_do_is_allowed_with_one(key: str) -> None:
    changed = changed_in(key, "fail2fix.correction.enabled=false")
    refuse_unsupported(changed, fail2fix_settings(changed))


@pytest.mark.parametrize("key", sorted({r.key for r in CORRECTION_PROMPTS}))
def test_held_out_corrections_ask_as_much_of_the_engine_without_a_correction_stream(key: str) -> None:
    changed = changed_in(key, "fail2fix.correction.enabled=false", "fail2fix.held_out.enabled=true")
    with pytest.raises(InputError, match=key.replace(".", "[.]")):
        refuse_unsupported(changed, fail2fix_settings(changed))


def test_the_keys_of_a_shipped_config_pass() -> None:
    check_keys(config())


@pytest.mark.parametrize("key", KEYS)
def test_every_key_we_compute_with_is_verls_and_its_kind_is_checked(key: str) -> None:
    """``override_config`` is the user's own; every other key must be in verl's config, or the check would be idle."""
    changed = config()
    if "override_config." not in key:
        assert OmegaConf.select(changed, key, default="absent") != "absent"
    OmegaConf.set_struct(changed, False)
    OmegaConf.update(changed, key, 0.5 if "a section" in KEYS[key].wanted else {"a": 1}, merge=False)
    with pytest.raises(InputError, match=f"^{key.replace('.', '[.]')}=.*: must be "):
        check_keys(changed)


def test_sections_are_looked_into_only_once_they_hold() -> None:
    keys = list(KEYS)
    for key in keys:
        parents = [name for name in keys if key.startswith(f"{name}.") and KEYS[name] is SECTION]
        assert all(keys.index(parent) < keys.index(key) for parent in parents)
