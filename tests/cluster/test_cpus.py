"""A run whose Ray may wait for ever for CPUs is refused before Ray starts."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import DictConfig
from verl.single_controller.ray import base
from verl.trainer.main_ppo_v0 import BaseTaskRunner

from fail2fix.cluster import cpus
from fail2fix.method.errors import InputError
from tests.verl_ext.test_contract import config

KEY = "ray_kwargs.ray_init.num_cpus"


def run(num_cpus: object, nodes: int = 1, gpus: int = 1) -> DictConfig:
    given = config(f"trainer.nnodes={nodes}", f"trainer.n_gpus_per_node={gpus}")
    given.ray_kwargs.ray_init.num_cpus = num_cpus
    return given


@pytest.mark.parametrize(("gpus", "needed"), [(1, 5), (2, 8), (8, 26)])
def test_a_run_needs_three_cpus_a_worker_and_two_more(gpus: int, needed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cpus.check_cpus(run(needed, gpus=gpus))
    with pytest.raises(InputError, match=f"^{KEY}={needed - 1}: .* {gpus} workers.* set {KEY}={needed},"):
        cpus.check_cpus(run(needed - 1, gpus=gpus))
    monkeypatch.setattr(cpus, "get_num_cpus", lambda **_: needed - 1)
    with pytest.raises(InputError, match=f"^{KEY}=null: Ray would have {needed - 1} CPUs.* set {KEY}={needed},"):
        cpus.check_cpus(run(None, gpus=gpus))
    monkeypatch.setattr(cpus, "get_num_cpus", lambda **_: needed)
    cpus.check_cpus(run(None, gpus=gpus))


def test_what_is_no_number_is_refused_alike() -> None:
    with pytest.raises(InputError, match=f"^{KEY}=many: .* set {KEY}=5,"):
        cpus.check_cpus(run("many"))


def test_verl_reserves_as_many_cpus_beside_each_device_as_we_count(monkeypatch: pytest.MonkeyPatch) -> None:
    reserved: list[dict[str, Any]] = []

    class Group:
        def ready(self) -> None: ...

    def reserve(bundles: list[dict[str, Any]], **_: Any) -> Group:
        reserved.extend(bundles)
        return Group()

    monkeypatch.setattr(base, "placement_group", reserve)
    monkeypatch.setattr(base.ResourcePoolManager, "_check_resource_available", lambda _: None)
    monkeypatch.setattr(base.ray, "get", lambda asked: asked)
    monkeypatch.setattr(base, "sort_placement_group_by_node_ip", lambda groups: groups)
    manager = BaseTaskRunner().init_resource_pool_mgr(run(26, gpus=8))
    manager.create_resource_pool()
    for pool in manager.resource_pool_dict.values():
        pool.get_placement_groups()
    assert [bundle["CPU"] for bundle in reserved] == [cpus.WORKER] * 8
