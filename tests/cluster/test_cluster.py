"""Which Ray a run uses, and what it does when the one that it joined is too small or gone."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from omegaconf import DictConfig, OmegaConf

from fail2fix.cluster import joining as cluster
from fail2fix.method.errors import InputError
from fail2fix.run.exit_status import Exit
from fail2fix.run.failures import failure_of


def config(**ray_init: object) -> DictConfig:
    return OmegaConf.create({"ray_kwargs": {"ray_init": {"num_cpus": 16, "num_gpus": 1, **ray_init}}})


@pytest.fixture
def head() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address(server: socket.socket) -> str:
    return "{}:{}".format(*server.getsockname())


def test_without_an_address_a_run_starts_a_ray_of_its_own() -> None:
    """Also beside a Ray of somebody else on the same machine, which Ray by itself would join."""
    given = config()
    cluster.use(given, cluster.address_of(given, {}))
    assert OmegaConf.to_container(given.ray_kwargs.ray_init) == {"num_cpus": 16, "num_gpus": 1, "address": "local"}
    assert not cluster.joins(given)


@pytest.mark.parametrize("named", ["10.0.0.1:6379", "auto"])
def test_an_address_is_joined_without_what_describes_a_cluster_of_ones_own(named: str) -> None:
    for given, environment in ((config(), {"RAY_ADDRESS": named}), (config(address=named), {"RAY_ADDRESS": "x:1"})):
        cluster.use(given, cluster.address_of(given, environment))
        assert OmegaConf.to_container(given.ray_kwargs.ray_init) == {"address": named}
        assert cluster.joins(given)


@pytest.mark.parametrize("named", ["ray://host:10001", "http://host:8265"])
def test_the_addresses_of_other_doors_are_refused(named: str) -> None:
    with pytest.raises(InputError, match=f"RAY_ADDRESS={named}: .*HOST:PORT"):
        cluster.address_of(config(), {"RAY_ADDRESS": named})


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(InputError, match=r"RAY_ADDRESS=host:8265: .*HOST:PORT") as refused:
        cluster.address_of(config(), {"RAY_ADDRESS": "http://me:hunter2@host:8265"})
    assert "hunter2" not in str(refused.value)


def test_a_head_that_does_not_answer_is_a_fault_before_ray_is_asked(head: socket.socket) -> None:
    cluster.require_head(config(address=address(head)))
    cluster.require_head(config(address="local"))
    gone = config(address=address(head))
    head.close()
    with pytest.raises(cluster.ClusterError, match="no Ray answers there") as error:
        cluster.require_head(gone)
    assert failure_of(error.value).status == Exit.FAULT


def test_a_head_is_lost_when_it_does_not_answer_again_and_again(
    head: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ASK_EACH_S", 0.0)
    where = address(head)
    watched = cluster.Head(lambda: where)
    assert not any(watched.lost for _ in range(9))
    head.close()
    assert [bool(watched.lost) for _ in range(4)] == [False, False, True, True]
    assert watched.lost == f"head at {where}"


def test_a_head_is_not_missed_before_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ASK_EACH_S", 0.0)
    watched = cluster.Head(lambda: "")
    assert not any(watched.lost for _ in range(9))


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "LOOK_S", 0.0)


@pytest.mark.usefixtures("hurried")
def test_a_run_waits_for_nodes_with_enough_free_devices_each(capsys: pytest.CaptureFixture[str]) -> None:
    seen = iter([[(8, 99)], [(8, 99), (4, 99)], [(8, 99), (7, 99), (3, 99)], [(8, 99), (8, 99)]])
    cluster.wait_for_devices(2, 8, 3, lambda: next(seen))
    assert list(seen) == []
    assert capsys.readouterr().out.count("waiting for the Ray cluster: 2 x 8 devices wanted") == 1


@pytest.mark.usefixtures("hurried")
def test_a_run_waits_for_the_cpus_that_verl_reserves_beside_its_devices() -> None:
    """Three a device, on the device's node."""
    seen = iter([[(2, 5), (0, 99)], [(2, 6)]])
    cluster.wait_for_devices(1, 2, 3, lambda: next(seen))
    assert list(seen) == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "WAIT_S", -1.0)


@pytest.mark.usefixtures("impatient")
def test_a_large_node_counts_for_as_many_as_fit() -> None:
    cluster.wait_for_devices(2, 4, 3, lambda: [(8, 24)])


@pytest.mark.usefixtures("impatient")
def test_a_cluster_that_stays_too_small_is_a_fault() -> None:
    with pytest.raises(cluster.ClusterError, match=r"2 x 8 .* each node: \[\(4, 99\), \(8, 99\)\]") as error:
        cluster.wait_for_devices(2, 8, 3, lambda: [(8, 99), (4, 99)])
    assert failure_of(error.value).status == Exit.FAULT
